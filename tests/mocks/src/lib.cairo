//! Contracts that only tests deploy: an honest ERC-20, one with every bad habit, and a puppet that
//! plays account, patient, entity, funder or spender as badly as it is told to; to measure what
//! things cost, a yardstick and the smallest account; `Judge`, which decides many cases in one
//! call; and `Study`, the README's example.

pub mod account;
pub mod hostile_token;
pub mod judge;
pub mod ledger;
pub mod puppet;
pub mod raw;
pub mod strings;
pub mod study;
pub mod token;
pub mod yardstick;
