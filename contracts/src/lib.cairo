//! MedSync: who may use health data, who did, and what is owed for it.
//!
//! `MedSync` (registry, consents, budgets and access log in one contract), `RewardPool` and
//! `PrivateAnchor` are deployed; everything else is a part of them. What callers need is in the
//! package `medsync_interfaces`.

pub mod access_log;
pub mod campaign;
pub mod chain;
pub mod consent_registry;
pub mod context;
pub mod entity_registry;
pub mod hash;
pub mod keys;
pub mod medsync;
pub mod merkle;
pub mod packing;
pub mod private_anchor;
pub mod reward_budgets;
pub mod reward_pool;
pub mod snip12;
pub mod vocabulary;
