//! Tests of Natter as a whole: real processes, and a client that knows nothing but the protocol page.
//!
//! Invariant: nothing here shares a type with the product. What a client sees is read as plain JSON,
//! so a mistake made twice in the product's types still shows. Code in this library is what the
//! integration tests (`it/`) and the programs (`bin/`) have in common; it asserts nothing by itself
//! and returns every failure as a [`Failure`].

pub mod check;
pub mod client;
pub mod eventually;
pub mod failure;
pub mod json;
pub mod locate;
pub mod measure;
pub mod model;
pub mod nats;
pub mod outage;
pub mod process;
pub mod replay;
pub mod stack;
pub mod stores;
pub mod storm;
pub mod warden;

pub use failure::{Context, Failure, Outcome};
