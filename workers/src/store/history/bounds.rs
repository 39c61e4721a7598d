//! Ids of entries as bounds of the sequences of one stream, whichever stream an id names.

use bus_schema::ids::{EntryId, StreamIndex};

/// The sequences of `stream` whose entries come after `id` are those above the result.
pub(crate) const fn after(id: EntryId, stream: StreamIndex) -> u64 {
    if id.stream().0 < stream.0 { id.sequence().saturating_sub(1) } else { id.sequence() }
}

/// The sequences of `stream` whose entries come before `id` are those below the result.
pub(crate) const fn before(id: EntryId, stream: StreamIndex) -> u64 {
    if id.stream().0 > stream.0 { id.sequence() + 1 } else { id.sequence() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bounds_are_exclusive_whatever_stream_an_id_names(
            id in 0u64..10_000, seq in 1u64..10, stream in 0u16..1024,
        ) {
            let (id, stream) = (EntryId(id), StreamIndex(stream));
            let entry = EntryId::new(seq, stream);
            prop_assert_eq!(entry > id, seq > after(id, stream));
            prop_assert_eq!(entry < id, seq < before(id, stream));
        }
    }
}
