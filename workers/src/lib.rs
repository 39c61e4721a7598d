//! The workers: roles that own Natter's stores and answer on the bus.
//!
//! Invariant: any worker may die at any moment and more may be started, without telling anyone;
//! what must survive is in the log or in a store. Edges never see this crate: they talk by bus.

#[doc(hidden)]
pub mod bench;
pub mod cli;
pub mod config;
mod identity;
mod judge;
mod lease;
mod process;
mod readiness;
pub mod roles;
pub mod store;
#[cfg(test)]
mod testing;

pub use process::{RunError, run};
