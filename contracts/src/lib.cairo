//! MedSync: who may use health data, who did, and who was paid for it.
//!
//! `MedSync` (registry, consents and access log in one contract), `RewardPool` and `PrivateAnchor`
//! are deployed; everything else is a part of them.

pub mod access_log;
pub mod campaign;
pub mod consent_registry;
pub mod context;
pub mod entity_registry;
pub mod hash;
pub mod medsync;
pub mod merkle;
pub mod packing;
pub mod private_anchor;
pub mod reward_pool;
pub mod snip12;
pub mod src5;
pub mod vocabulary;
