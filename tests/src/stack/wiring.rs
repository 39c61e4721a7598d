//! Who is connected to whom through what.
//!
//! Invariant: a part of a platform is told only ports that came from here, so whatever stands between
//! two parts sees all that they say to each other.

use crate::Outcome;

/// Puts something between two parts, or nothing.
pub trait Wiring: Send + Sync {
    /// The port on which `from` reaches `to`, which listens on `port`. The same for the same two.
    fn port(&self, from: &str, to: &str, port: u16) -> Outcome<u16>;
}

/// Nothing between any two.
pub struct Direct;

impl Wiring for Direct {
    fn port(&self, _: &str, _: &str, port: u16) -> Outcome<u16> {
        Ok(port)
    }
}
