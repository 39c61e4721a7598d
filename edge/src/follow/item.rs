//! An entry on its way to sockets, with its one serialization.
//!
//! Invariant: the frame is encoded at most once per edge, whoever and however many read it.

use std::sync::{Arc, OnceLock};

use axum::extract::ws::Utf8Bytes;
use bus_schema::entry::Entry;

/// A judged, valid entry.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) entry: Entry,
    frame: OnceLock<Utf8Bytes>,
}

impl Item {
    pub(crate) fn new(entry: Entry) -> Arc<Self> {
        Arc::new(Self { entry, frame: OnceLock::new() })
    }

    /// The stream sequence.
    pub(crate) const fn sequence(&self) -> u64 {
        self.entry.id.sequence()
    }

    /// The DISPATCH frame.
    pub(crate) fn frame(&self) -> Utf8Bytes {
        self.frame.get_or_init(|| self.entry.frame_json().into()).clone()
    }
}
