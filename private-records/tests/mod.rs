//! The application in the SDK's test host: every method, every error and every reason.

mod bridge;
mod privacy;
mod records;
mod support;
mod tickets;
