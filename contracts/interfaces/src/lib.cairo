//! What a contract needs to call MedSync: traits, structs, events, error codes and SRC-5 ids. There
//! is no implementation here; the contracts themselves are written against these definitions.

pub mod access_log;
pub mod campaign;
pub mod chain;
pub mod consent_registry;
pub mod entity_registry;
pub mod private_anchor;
pub mod reward_budgets;
pub mod reward_pool;
pub mod snip12;
pub mod src5;
pub mod vocabulary;
