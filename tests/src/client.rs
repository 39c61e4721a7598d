//! A client of the protocol, written from its page alone.
//!
//! Invariant: it holds the server to the protocol while using it. Every event is checked against the
//! rules of order ([`rules`]) and of cursors ([`cursors`]), and what breaks one is kept as a
//! violation, never repaired in silence. All queues are bounded. It does not decide when to
//! reconnect or retry: that differs between a test and a replay.

pub mod account;
pub mod backoff;
pub mod content;
pub mod cursors;
pub mod http;
pub mod link;
pub mod paging;
pub mod rules;
pub mod session;
pub mod socket;

pub use account::Account;
pub use cursors::{Cursors, Gap};
pub use http::{Answer, Api};
pub use rules::Kind;
pub use session::{Event, Session};
pub use socket::{Heard, Socket};

use rand::RngExt as _;

/// A nonce of 128 random bits, in the 32 characters the protocol allows.
pub fn nonce() -> String {
    format!("{:032x}", rand::rng().random::<u128>())
}
