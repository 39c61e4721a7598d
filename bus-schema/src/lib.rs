//! Everything two Natter processes must agree on.
//!
//! Ids, subjects, streams, entries and the verdict on them, frames, events, requests, error codes,
//! bounds and permissions. Invariant: pure. No runtime, no driver, no clock beyond
//! [`timestamp::Timestamp::now`], unless the `runtime` feature adds the shared way of connecting,
//! calling, serving, logging and stopping.

pub mod body;
pub mod bots;
pub mod entry;
pub mod error;
pub mod events;
pub mod frames;
pub mod ids;
pub mod limits;
pub mod ops;
pub mod permissions;
pub mod positions;
#[cfg(feature = "runtime")]
pub mod runtime;
pub mod sabotage;
pub mod streams;
pub mod subjects;
pub mod text;
pub mod timestamp;
pub mod verdict;
