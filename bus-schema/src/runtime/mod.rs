//! The shared way of running on the bus: settings, connecting, typed calls, serving, reading and
//! writing the log, telemetry, health, stopping.
//!
//! Invariant: what an edge and a worker do alike, they do with this code. Leaves out every decision
//! about chat; nothing here knows what a channel is.

pub mod admin;
pub mod bus;
pub mod call;
pub mod credentials;
pub mod log;
pub mod service;
pub mod settings;
pub mod shutdown;
pub mod telemetry;
pub mod tokens;

/// Header with the request id that follows a request from its frame to the last worker.
pub const HEADER_REQUEST_ID: &str = "Natter-Request-Id";
/// Header with the id that all attempts of one call share.
pub const HEADER_CALL: &str = "Natter-Call";
/// Header with the caller's access token.
pub const HEADER_TOKEN: &str = "Natter-Token";
/// Header with the caller as asserted by whoever asks.
pub const HEADER_USER: &str = "Natter-User";
/// Header of an error answer: the [`crate::error::Failure`] as JSON.
pub const HEADER_FAILURE: &str = "Natter-Failure";
