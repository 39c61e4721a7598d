//! A row to write: its statement, and the values in the statement's order.
//!
//! Invariant: the time stamp of a row is the sequence of the entry it comes from, but for the first
//! entry of a bucket, where it falls as the sequence rises.

use bus_schema::entry::{Entry, MessageCreate};
use bus_schema::ids::ConversationId;
use bus_schema::verdict::MembershipEvent;
use scylla::serialize::SerializationError;
use scylla::serialize::row::{RowSerializationContext, SerializeRow};
use scylla::serialize::writers::RowWriter;
use scylla::statement::prepared::PreparedStatement;
use scylla::value::MaybeUnset;

use super::bucket_of;
use super::statements::Statements;
use crate::store::history::kind_number;

/// Above every sequence: the time stamp of a bucket's first entry is what is left of this.
const TOP: i64 = 1 << 62;

/// A row to write.
pub(super) enum Row<'a> {
    /// The entry of a message, and what it is once it is deleted.
    Message(&'a Entry, String),
    /// Another entry.
    Other(&'a Entry),
    /// The message of an entry.
    Create(&'a Entry, &'a MessageCreate),
    /// What a message says now.
    Edit { entry: &'a Entry, target: u64, content: &'a str },
    /// That a message is deleted.
    Delete { conversation: ConversationId, target: u64, by: u64 },
    /// The same in the log as it was.
    EmptyEntry { conversation: ConversationId, target: u64, by: u64 },
    /// A membership event.
    Member(ConversationId, MembershipEvent),
    /// The first entry of a bucket, so far.
    First { conversation: ConversationId, seq: u64, at: u64 },
    /// The last.
    Last { conversation: ConversationId, seq: u64 },
}

/// Where a conversation's rows of a sequence are.
const fn key(conversation: ConversationId, seq: u64) -> (i64, i64, i64) {
    (number(conversation.0), number(bucket_of(seq)), number(seq))
}

pub(super) const fn number(n: u64) -> i64 {
    n.cast_signed()
}

fn kind(entry: &Entry) -> i8 {
    kind_number(entry.body.kind()).cast_signed()
}

impl Row<'_> {
    pub(super) const fn statement<'s>(&self, all: &'s Statements) -> &'s PreparedStatement {
        match self {
            Self::Message(..) => &all.keep_message,
            Self::Other(_) => &all.keep_other,
            Self::Create(..) => &all.create,
            Self::Edit { .. } => &all.edit,
            Self::Delete { .. } => &all.delete,
            Self::EmptyEntry { .. } => &all.empty_entry,
            Self::Member(..) => &all.remember,
            Self::First { .. } => &all.first_in_bucket,
            Self::Last { .. } => &all.last_in_bucket,
        }
    }

    /// About how large it is.
    pub(super) fn bytes(&self) -> usize {
        ROW_BYTES
            + match self {
                Self::Message(entry, emptied) => entry.payload.len() + emptied.len(),
                Self::Other(entry) => entry.payload.len(),
                Self::Create(_, message) => message.content.as_str().len(),
                Self::Edit { content, .. } => content.len(),
                _ => 0,
            }
    }
}

/// What a row costs beside its texts.
const ROW_BYTES: usize = 80;

impl SerializeRow for Row<'_> {
    fn serialize(
        &self,
        ctx: &RowSerializationContext<'_>,
        writer: &mut RowWriter<'_>,
    ) -> Result<(), SerializationError> {
        match self {
            Self::Message(e, emptied) => {
                let (c, b, s) = key(e.body.conversation(), e.id.sequence());
                let at = number(e.at.as_millis());
                (c, b, s, at, kind(e), e.payload.as_str(), emptied.as_str(), s)
                    .serialize(ctx, writer)
            }
            Self::Other(e) => {
                let (c, b, s) = key(e.body.conversation(), e.id.sequence());
                let at = number(e.at.as_millis());
                (c, b, s, at, kind(e), e.payload.as_str(), s).serialize(ctx, writer)
            }
            Self::Create(e, message) => {
                let (c, b, s) = key(message.conversation_id, e.id.sequence());
                let nonce = message.nonce.as_ref().map(bus_schema::text::Nonce::as_str);
                // Unset, not null: a null would be a tombstone.
                let nonce = nonce.map_or(MaybeUnset::Unset, MaybeUnset::Set);
                let (at, author) = (number(e.at.as_millis()), number(message.author_id.0));
                (c, b, s, at, author, nonce, message.content.as_str(), s).serialize(ctx, writer)
            }
            Self::Edit { entry, target, content } => {
                let (c, b, s) = key(entry.body.conversation(), *target);
                let (by, at) = (number(entry.id.sequence()), number(entry.at.as_millis()));
                (by, *content, at, by, c, b, s).serialize(ctx, writer)
            }
            Self::Delete { conversation, target, by } => {
                let ((c, b, s), by) = (key(*conversation, *target), number(*by));
                (by, by, c, b, s).serialize(ctx, writer)
            }
            Self::EmptyEntry { conversation, target, by } => {
                let (c, b, s) = key(*conversation, *target);
                (number(*by), c, b, s).serialize(ctx, writer)
            }
            Self::Member(conversation, event) => {
                let s = number(event.id.sequence());
                let kind = kind_number(event.kind).cast_signed();
                let (user, revision) = (number(event.user.0), number(event.revision));
                (number(conversation.0), s, kind, user, revision, s).serialize(ctx, writer)
            }
            Self::First { conversation, seq, at } => {
                let (c, b, s) = key(*conversation, *seq);
                (TOP - s, number(*at), c, b).serialize(ctx, writer)
            }
            Self::Last { conversation, seq } => {
                let (c, b, s) = key(*conversation, *seq);
                (s, s, c, b).serialize(ctx, writer)
            }
        }
    }

    fn is_empty(&self) -> bool {
        false
    }
}
