//! What judging needs of the store, and what the store said.

use crate::store::history::Precedents;

/// What the thread must know from the store before it can go on judging.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Missing {
    /// The membership events up to the base.
    pub(super) events: bool,
    /// Messages at or below the base.
    pub(super) targets: Vec<u64>,
}

/// The store's answer to what was missing.
#[derive(Debug)]
pub(super) struct Known {
    /// What was asked.
    pub(super) asked: Missing,
    /// What was found; a target that was asked for and is not here is not a message.
    pub(super) found: Precedents,
}
