//! The number that a kind of entry is stored as, by every backend.
//!
//! Invariant: a number is for ever.

use bus_schema::entry::EntryKind;

/// The number of a kind.
pub(crate) const fn kind_number(kind: EntryKind) -> u8 {
    match kind {
        EntryKind::MessageCreate => 1,
        EntryKind::MessageUpdate => 2,
        EntryKind::MessageDelete => 3,
        EntryKind::MemberAdd => 4,
        EntryKind::MemberRemove => 5,
        EntryKind::ChannelUpdate => 6,
        EntryKind::ChannelDelete => 7,
    }
}

/// The kind with a number.
pub(crate) fn kind_numbered(number: i64) -> Option<EntryKind> {
    EntryKind::ALL.into_iter().find(|kind| i64::from(kind_number(*kind)) == number)
}
