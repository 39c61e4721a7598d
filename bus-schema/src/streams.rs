//! The streams that hold the log, and which of them owns which partition.
//!
//! Invariant: stream `i` of `k` owns the partitions `p` with `floor(p * k / 256) = i`; a stream's
//! index is for ever, because entry ids contain it. Leaves out changing `k` on a running platform.

use std::fmt;

use crate::ids::StreamIndex;
use crate::subjects::{LogSubject, PARTITIONS};

/// Stream metadata key under which `setup` writes the number of log streams.
pub const METADATA_STREAMS: &str = "natter.streams";
/// Header with the kind of an entry.
pub const HEADER_TYPE: &str = "Natter-Type";
/// The stream of what could not be decoded.
pub const DEAD: &str = "DEAD";
/// The stream of what bots are to receive.
pub const BOTS: &str = "BOTS";
/// The key-value bucket of the leases on streams.
pub const LEASES: &str = "natter_leases";

/// How many log streams there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout(u16);

/// The number of log streams must be 1 to 256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the number of log streams must be 1 to 256, not {0}")]
pub struct BadLayout(pub u64);

impl Layout {
    /// A layout of `streams` streams, 1 to 256.
    pub fn new(streams: u64) -> Result<Self, BadLayout> {
        match u16::try_from(streams) {
            Ok(n) if (1..=256).contains(&n) => Ok(Self(n)),
            _ => Err(BadLayout(streams)),
        }
    }

    /// The stream that owns a place.
    #[expect(clippy::cast_possible_truncation, reason = "p < 256 and k <= 256, so below 256")]
    pub const fn stream_of(self, place: LogSubject) -> StreamIndex {
        StreamIndex((place.partition() * self.0 as u64 / PARTITIONS) as u16)
    }

    /// Every stream.
    pub fn all(self) -> impl Iterator<Item = StreamIndex> {
        (0..self.0).map(StreamIndex)
    }

    /// How many streams there are.
    pub const fn count(self) -> u16 {
        self.0
    }

    /// The subjects a stream is configured with.
    pub fn subjects(self, stream: StreamIndex) -> Vec<String> {
        if self.0 == 1 {
            return vec![crate::subjects::LOG_ALL.to_owned()];
        }
        (0..PARTITIONS)
            .filter(|p| p * u64::from(self.0) / PARTITIONS == u64::from(stream.0))
            .map(|p| format!("log.{p}.>"))
            .collect()
    }
}

/// The name of the lease on delivering a stream to bots.
pub fn delivery_lease(stream: StreamIndex) -> String {
    format!("DELIVERY_{stream}")
}

/// The name of the lease on auditing a stream.
pub fn audit_lease(stream: StreamIndex) -> String {
    format!("AUDIT_{stream}")
}

/// The name of a log stream: `LOG_<index>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogStream(pub StreamIndex);

impl fmt::Display for LogStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LOG_{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ids::ConversationId;

    #[test]
    fn bounds() {
        assert!(Layout::new(0).is_err());
        assert!(Layout::new(257).is_err());
        assert_eq!(Layout::new(1).unwrap().subjects(StreamIndex(0)), ["log.>"]);
    }

    proptest! {
        #[test]
        fn every_partition_has_exactly_one_owner(k in 2u64..=256) {
            let layout = Layout::new(k).unwrap();
            let mut all: Vec<_> = layout.all().flat_map(|s| layout.subjects(s)).collect();
            all.sort();
            all.dedup();
            prop_assert_eq!(all.len(), 256);
        }

        #[test]
        fn the_owner_is_configured_with_the_partition(k in 2u64..=256, id: u64) {
            let layout = Layout::new(k).unwrap();
            let place = LogSubject::Channel(ConversationId(id));
            let subjects = layout.subjects(layout.stream_of(place));
            let wanted = format!("log.{}.>", place.partition());
            prop_assert!(subjects.contains(&wanted));
        }
    }
}
