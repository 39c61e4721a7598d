//! Typed ids: 64-bit numbers that travel as decimal strings.
//!
//! Invariant: an id of one kind is never accepted where another is meant, and the text form is
//! canonical (no sign, no leading zero, no white space), so that equal ids have equal text.
//!
//! Leaves out who may create ids: the store's primary key arbitrates (ARCHITECTURE.md, "Ids").

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// When an id was made, in milliseconds since the Unix epoch, by the clock of whoever made it.
pub const fn made_at_ms(id: u64) -> u64 {
    (id >> RANDOM_BITS) + EPOCH_MS
}

/// Milliseconds from the Unix epoch to 2015-01-01T00:00:00Z, where id time starts.
pub const EPOCH_MS: u64 = 1_420_070_400_000;

/// Bits of an account, channel or DM id that are random; those above are milliseconds.
pub const RANDOM_BITS: u32 = 22;

/// An entry id is `stream sequence * ENTRY_FACTOR + stream index`, so 1,024 streams at most.
pub const ENTRY_FACTOR: u64 = 1024;

/// The text was not a canonical decimal 64-bit number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id")]
pub struct BadId;

fn parse(text: &str) -> Result<u64, BadId> {
    let canonical = matches!(text.as_bytes(), [b'0'] | [b'1'..=b'9', ..]);
    if !canonical || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(BadId);
    }
    text.parse().map_err(|_| BadId)
}

struct IdVisitor;

impl de::Visitor<'_> for IdVisitor {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an id as a decimal string")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<u64, E> {
        parse(text).map_err(E::custom)
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }
        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                parse(text).map(Self)
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(&self.0)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                d.deserialize_str(IdVisitor).map(Self)
            }
        }
        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string", "pattern": "^(0|[1-9][0-9]{0,19})$"})
            }
        }
    };
}

id!(
    /// An account, of a person or of a bot.
    UserId
);
id!(
    /// A channel or a DM: one registry holds both, so the number alone names the conversation.
    ConversationId
);
id!(
    /// A sign-in. Every socket and access token belongs to one.
    SessionId
);
id!(
    /// An incoming webhook.
    WebhookId
);
id!(
    /// An entry's place in the log; see [`EntryId::new`].
    EntryId
);

/// Puts a creation time and random bits together into the number of a new id.
///
/// `unix_ms` before 2015 counts as 2015. Only the lower 22 bits of `random` are used.
pub const fn compose(unix_ms: u64, random: u64) -> u64 {
    (unix_ms.saturating_sub(EPOCH_MS) << RANDOM_BITS) | (random & ((1 << RANDOM_BITS) - 1))
}

impl EntryId {
    /// Before every entry.
    pub const ZERO: Self = Self(0);

    /// The id of the entry at `sequence` of the stream with index `stream`.
    pub const fn new(sequence: u64, stream: StreamIndex) -> Self {
        Self(sequence.saturating_mul(ENTRY_FACTOR).saturating_add(stream.0 as u64))
    }

    /// The stream sequence.
    pub const fn sequence(self) -> u64 {
        self.0 / ENTRY_FACTOR
    }

    /// The highest sequence of a stream whose entry is not above this id, which may be any number.
    pub const fn last_sequence(self, stream: StreamIndex) -> u64 {
        let sequence = self.sequence();
        let above = self.0 % ENTRY_FACTOR < stream.0 as u64;
        if above { sequence.saturating_sub(1) } else { sequence }
    }

    /// The stream's index.
    pub const fn stream(self) -> StreamIndex {
        StreamIndex((self.0 % ENTRY_FACTOR) as u16)
    }
}

/// The index of a `LOG_<index>` stream, 0 to 1,023; it is the stream's for ever.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct StreamIndex(pub u16);

impl fmt::Display for StreamIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn refuses_text_that_is_not_canonical() {
        for bad in ["", "00", "01", "+1", "-1", " 1", "1 ", "1.0", "18446744073709551616", "x"] {
            assert_eq!(bad.parse::<UserId>(), Err(BadId), "{bad:?}");
        }
    }

    #[test]
    fn refuses_json_numbers() {
        assert!(serde_json::from_str::<UserId>("1").is_err());
    }

    proptest! {
        #[test]
        fn text_round_trips(n: u64) {
            let id = ConversationId(n);
            prop_assert_eq!(id.to_string().parse(), Ok(id));
            let json = serde_json::to_string(&id).unwrap();
            prop_assert_eq!(serde_json::from_str::<ConversationId>(&json).unwrap(), id);
        }

        #[test]
        fn any_text_parses_to_itself_or_not_at_all(text in ".{0,24}") {
            if let Ok(id) = text.parse::<EntryId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }

        #[test]
        fn pages_go_on_exactly_after_any_number(after: u64, sequence in 1u64..1 << 53, s in 0u16..1024) {
            let stream = StreamIndex(s);
            let shown = sequence > EntryId(after).last_sequence(stream);
            prop_assert_eq!(shown, EntryId::new(sequence, stream) > EntryId(after));
        }

        #[test]
        fn entry_ids_order_as_their_sequences(a in 0u64..1 << 53, b in 0u64..1 << 53, s in 0u16..1024) {
            let (x, y) = (EntryId::new(a, StreamIndex(s)), EntryId::new(b, StreamIndex(s)));
            prop_assert_eq!(a.cmp(&b), x.cmp(&y));
            prop_assert_eq!((x.sequence(), x.stream()), (a, StreamIndex(s)));
        }
    }
}
