//! `svc.history.<stream>.*`: entries, messages in their final state, read markers.
//!
//! Invariant: an answer that fills a range says `through`: it holds every entry of the conversation
//! up to that stream sequence. A worker that has not read as far as `min` waits up to a second and
//! then answers `unavailable`; it never guesses.

mod members;
mod page;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub use self::members::{MEMBERS_MAX, MembersReply, MembersRequest};
pub use self::page::{Bound, page_limit};
use super::operations;
use crate::entry::{Entry, EntryKind, Undecodable};
use crate::events::Message;
use crate::ids::{ConversationId, EntryId, StreamIndex, UserId};
use crate::subjects::LogSubject;
use crate::timestamp::Timestamp;
use crate::verdict::Membership;

operations! { History:
    /// Valid entries of one conversation after a sequence, or its newest.
    Range, "range", Platform, Safe, RangeRequest => RangeReply;
    /// Where some conversations of one user stand: newest entry, marker, unread, newest messages.
    Summaries, "summaries", Platform, Safe, SummariesRequest => SummariesReply;
    /// Which of some conversations a user is a member of.
    Members, "members", Platform, Safe, MembersRequest => MembersReply;
    /// Which places of the stream got entries after a sequence.
    Changes, "changes", Platform, Safe, ChangesRequest => ChangesReply;
    /// A page of messages in their final state.
    Messages, "messages", Platform, Safe, MessagesRequest => MessagesReply;
    /// One message in its final state.
    GetMessage, "message", Platform, Safe, GetMessageRequest => Message;
    /// Moves a read marker forward.
    SetRead, "set_read", Platform, Safe, SetReadRequest => SetReadReply;
}

/// How far a worker must have read before it answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freshness {
    /// The highest sequence of the stream that the asker has heard of.
    pub min: u64,
    /// Read up to the stream's end as it is when asked: for what a person asks, who may have
    /// changed something through another edge a moment ago.
    #[serde(default)]
    pub latest: bool,
}

/// See [`Range`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RangeRequest {
    /// Which conversation.
    pub place: LogSubject,
    /// After this stream sequence; none asks for the newest `limit` entries.
    pub after: Option<u64>,
    /// How far the worker must have read.
    pub fresh: Freshness,
    /// Entries at most, 1 to [`RANGE_MAX`].
    pub limit: u32,
    /// Also give the membership as it is at `through`.
    #[serde(default)]
    pub membership: bool,
}

/// Entries of one [`Range`] at most. 200 entries of 4,000 scalars stay below NATS's 1 MB only
/// because a reply is also cut at [`RANGE_BYTES`].
pub const RANGE_MAX: u32 = 500;

/// Bytes of payload after which a [`Range`] or a page ends early.
pub const RANGE_BYTES: usize = 512 * 1024;

/// An entry as it travels between workers and edges.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StoredEntry {
    /// The stream sequence.
    pub seq: u64,
    /// The log's time stamp.
    pub at: Timestamp,
    /// The kind.
    pub t: EntryKind,
    /// The stored payload, unchanged but for the content of a deleted message, which is empty.
    pub d: Box<RawValue>,
}

impl StoredEntry {
    /// Packs an entry.
    pub fn pack(entry: &Entry) -> Result<Self, Undecodable> {
        Ok(Self {
            seq: entry.id.sequence(),
            at: entry.at,
            t: entry.body.kind(),
            d: RawValue::from_string(entry.payload.clone())?,
        })
    }

    /// Packs a message that was deleted: as it was sent, its content empty.
    pub fn pack_deleted(entry: &Entry) -> Result<Self, Undecodable> {
        let payload = crate::entry::shown_deleted(&entry.payload)?;
        Ok(Self { d: RawValue::from_string(payload)?, ..Self::pack(entry)? })
    }

    /// The `d` of the client event: the stored object with its id and time in front. It is not decoded,
    /// for the content of a deleted message is empty, which no message could be.
    pub fn event(&self, stream: StreamIndex) -> serde_json::Result<Box<RawValue>> {
        let id = EntryId::new(self.seq, stream);
        let rest = self.d.get().get(1..).unwrap_or_default();
        RawValue::from_string(format!(r#"{{"id":"{id}","at":"{}",{rest}"#, self.at))
    }

    /// Unpacks it, also a message that was deleted.
    pub fn unpack(&self, place: LogSubject, stream: StreamIndex) -> Result<Entry, Undecodable> {
        let (kind, payload) = (Some(self.t.as_str()), self.d.get());
        let decoded = Entry::decode(place, stream, self.seq, self.at, kind, payload.as_bytes());
        match decoded {
            Err(Undecodable::Json(_)) if self.t == EntryKind::MessageCreate => {
                Entry::decode_deleted(place, EntryId::new(self.seq, stream), self.at, payload)
            }
            decoded => decoded,
        }
    }
}

/// Entries of a conversation, ascending, valid ones only.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RangeReply {
    /// The answer holds every valid entry of the range up to this stream sequence. Where entries
    /// were left out for `limit`, it is the sequence of the last one given.
    pub through: u64,
    /// Whether entries were left out after `through` (or, for the newest, before the first).
    pub more: bool,
    /// The entries.
    pub entries: Vec<StoredEntry>,
    /// The membership at `through`, if asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub membership: Option<Membership>,
}

/// See [`Summaries`]. All places belong to the worker's stream; at most [`SUMMARIES_MAX`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SummariesRequest {
    /// For whom.
    pub user: UserId,
    /// Which conversations.
    pub places: Vec<SummaryOf>,
    /// How far the worker must have read.
    pub fresh: Freshness,
}

/// Conversations of one [`Summaries`].
pub const SUMMARIES_MAX: usize = 500;

/// One conversation of a [`SummariesRequest`].
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct SummaryOf {
    /// Which.
    pub place: LogSubject,
    /// The user's own MEMBER_ADD, the lowest their marker can be; "0" in a DM.
    pub since: EntryId,
    /// How many of the newest messages to give, 0 to 100.
    #[serde(default)]
    pub messages: u32,
}

/// Where conversations stand.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SummariesReply {
    /// Every entry up to this stream sequence is taken into account.
    pub through: u64,
    /// In the order asked.
    pub summaries: Vec<Summary>,
}

/// Where one conversation stands for one user.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Summary {
    /// The newest valid entry, if there is one.
    pub last_id: Option<EntryId>,
    /// Up to where the user has read: their marker, or `since` where that is higher.
    pub read_id: Option<EntryId>,
    /// Messages of others after it that are not deleted, at most 100.
    pub unread: u32,
    /// The newest messages, ascending, if asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub messages: Vec<Message>,
}

/// See [`Changes`].
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct ChangesRequest {
    /// After this stream sequence.
    pub after: u64,
    /// How far the worker must have read.
    pub fresh: Freshness,
}

/// Places that got entries.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ChangesReply {
    /// Every entry up to this stream sequence is taken into account.
    pub through: u64,
    /// The worker no longer knows so far back: treat every conversation of the stream as changed.
    pub too_old: bool,
    /// Each place and its last sequence; cut at 20,000 places, then `through` is where.
    pub places: Vec<(LogSubject, u64)>,
}

/// See [`Messages`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MessagesRequest {
    /// Which conversation.
    pub place: LogSubject,
    /// Which messages.
    pub bound: Bound,
    /// How many, 1 to 100.
    pub limit: u32,
    /// How far the worker must have read.
    pub fresh: Freshness,
}

/// A page of messages, ascending, final state, deleted ones left out.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MessagesReply {
    /// The messages.
    pub messages: Vec<Message>,
    /// Whether there are more in the direction of `next`.
    pub has_more: bool,
    /// What to give as `after` (for [`Bound::After`]) or `before` (else) for the next page.
    pub next: Option<EntryId>,
}

/// See [`GetMessage`]. Answers `not_found` for what is not a message or is deleted.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GetMessageRequest {
    /// Which conversation.
    pub place: LogSubject,
    /// Which message.
    pub id: EntryId,
    /// How far the worker must have read.
    pub fresh: Freshness,
}

/// See [`SetRead`]. Answers `bad_request` beyond the newest entry.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SetReadRequest {
    /// Whose marker.
    pub user: UserId,
    /// Where.
    pub place: LogSubject,
    /// Their own MEMBER_ADD, where the marker of a new member stands; zero in a DM.
    #[serde(default = "never")]
    pub since: EntryId,
    /// To which entry.
    pub id: EntryId,
    /// How far the worker must have read.
    pub fresh: Freshness,
}

/// As an edge of an earlier version means it, which does not say.
const fn never() -> EntryId {
    EntryId::ZERO
}

/// Where the marker is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SetReadReply {
    /// Where.
    pub conversation_id: ConversationId,
    /// The marker.
    pub id: EntryId,
    /// Whether this request moved it.
    pub moved: bool,
}
