//! What is kept of the log: entries as they were, messages in their final state, membership,
//! markers, and how far all of that reaches.
//!
//! Invariants: only valid entries are written; every row is a pure function of the entries it was
//! made from, so writing any of them again, in any order, ends in the same rows. The floor rises
//! with the rows below it or after them, so whoever reads it first sees every valid entry up to the
//! floor. Rows above the floor that was read may be seen too; readers filter them by sequence.
//!
//! Leaves out judging (that is [`bus_schema::verdict`]) and what the log still holds.

mod bounds;
mod kinds;

use std::sync::Arc;

use async_trait::async_trait;
use bus_schema::entry::Entry;
use bus_schema::ids::{ConversationId, EntryId, StreamIndex, UserId};
use bus_schema::ops::history::StoredEntry;
use bus_schema::text::{Content, Nonce};
use bus_schema::timestamp::Timestamp;
use bus_schema::verdict::MembershipEvent;

pub(crate) use self::bounds::{after, before};
pub(crate) use self::kinds::{kind_number, kind_numbered};
use super::StoreError;

/// Something read, and the floor it was read at or above.
#[derive(Debug, Clone)]
pub struct Snapshot<T> {
    /// Every valid entry up to this stream sequence is taken into account.
    pub floor: u64,
    /// What was read.
    pub value: T,
}

/// Rows of a range, and whether the store has more of them in the direction asked.
#[derive(Debug, Clone)]
pub struct Rows<T> {
    /// In the order asked.
    pub rows: Vec<T>,
    /// Whether a bound was met before the range ended.
    pub more: bool,
    /// If so, where: everything up to here in that direction was looked at, so this is where to go
    /// on. It need not be a row: where many were deleted, fewer rows than asked for may be given.
    pub stop: Option<u64>,
}

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), more: false, stop: None }
    }
}

/// A message in its final state, not deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRecord {
    /// Its stream sequence.
    pub seq: u64,
    /// When it was written.
    pub at: Timestamp,
    /// By whom.
    pub author: UserId,
    /// The author's name for it.
    pub nonce: Option<Nonce>,
    /// What it says now.
    pub content: Content,
    /// The edit that made it say so.
    pub edit: Option<EditRecord>,
}

/// The last edit of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EditRecord {
    /// Its stream sequence.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
}

/// What is needed to judge entries of one conversation.
#[derive(Debug, Clone)]
pub struct PrecedentsQuery {
    /// Which.
    pub conversation: ConversationId,
    /// Whether to give its membership events.
    pub events: bool,
    /// Sequences of messages that edits or deletions are about.
    pub targets: Vec<u64>,
}

/// The answer to a [`PrecedentsQuery`]: everything known, at any sequence. Whoever judges an entry
/// uses only what stands before it.
#[derive(Debug, Clone, Default)]
pub struct Precedents {
    /// Valid membership events, ascending.
    pub events: Vec<MembershipEvent>,
    /// Those of the targets that are valid messages of the conversation.
    pub targets: Vec<TargetRecord>,
}

/// A message as a judge sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetRecord {
    /// Its stream sequence.
    pub seq: u64,
    /// Who wrote it.
    pub author: UserId,
    /// The sequence of the entry that deleted it.
    pub deleted: Option<u64>,
}

/// Which entries of a conversation to read.
#[derive(Debug, Clone, Copy)]
pub struct RangeQuery {
    /// Which conversation.
    pub conversation: ConversationId,
    /// The oldest after this sequence, ascending; none: the newest, descending.
    pub after: Option<u64>,
    /// Of the newest, those above this sequence are left out.
    pub upto: u64,
    /// How many at most.
    pub limit: u32,
    /// Bytes of payload after which to end early.
    pub bytes: usize,
    /// Whether to give the membership events too.
    pub events: bool,
}

/// The answer to a [`RangeQuery`].
#[derive(Debug, Clone, Default)]
pub struct RangeRows {
    /// The entries.
    pub entries: Rows<StoredEntry>,
    /// Valid membership events, ascending, if asked for.
    pub events: Vec<MembershipEvent>,
}

/// Where a page of messages hangs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// At a stream sequence, whether there is a message or not.
    Seq(u64),
    /// At the first message, deleted or not, at or after a time; after all if there is none.
    At(Timestamp),
}

/// Which messages of a conversation to read, deleted ones left out.
#[derive(Debug, Clone, Copy)]
pub struct PageQuery {
    /// Which conversation.
    pub conversation: ConversationId,
    /// Where.
    pub anchor: Anchor,
    /// How many at most below the anchor.
    pub older: u32,
    /// How many at most at and above it.
    pub newer: u32,
}

/// The answer to a [`PageQuery`].
#[derive(Debug, Clone, Default)]
pub struct PageRows {
    /// The sequence of the anchor; none if it is a time after all messages.
    pub anchor: Option<u64>,
    /// Below the anchor, descending.
    pub older: Rows<MessageRecord>,
    /// At and above it, ascending.
    pub newer: Rows<MessageRecord>,
}

/// What to read of a conversation for a summary.
#[derive(Debug, Clone)]
pub struct StandingQuery {
    /// Which conversation.
    pub conversation: ConversationId,
    /// The lowest the marker can be.
    pub since: EntryId,
    /// Rows above this sequence do not count.
    pub upto: u64,
    /// The newest valid entry, if the asker knows it already.
    pub last: Option<u64>,
    /// Deleted messages of which the store may not know yet, ascending.
    pub deleted: Vec<u64>,
    /// How many of the newest messages to give.
    pub messages: u32,
}

/// Where a conversation stands in the store.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// The user's marker, if they have one.
    pub marker: Option<EntryId>,
    /// The newest valid entry's sequence.
    pub last: Option<u64>,
    /// Sequences of others' messages after marker and `since`, ascending, at most
    /// [`bus_schema::limits::UNREAD_MAX`]; empty without a look if `last` is read.
    pub unread: Vec<u64>,
    /// The newest messages, descending.
    pub messages: Vec<MessageRecord>,
}

/// Where a marker is after it was asked to move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marker {
    /// Where it is now.
    pub id: EntryId,
    /// Whether this request moved it.
    pub moved: bool,
}

/// The store of what the log said.
#[async_trait]
pub trait HistoryStore: Send + Sync + 'static {
    /// Makes what the store needs before it can be used, where opening does not: safe to repeat, and
    /// to do by two at once. Only the setup role does it; until then operations of such a store are
    /// [`Unavailable`](super::StoreErrorKind::Unavailable).
    async fn migrate(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// How far the store holds a stream; 0 if it holds nothing.
    async fn floor(&self, stream: StreamIndex) -> Result<u64, StoreError>;

    /// Writes valid entries of one stream, then raises its floor: never before all rows are there.
    /// When it fails, some may be there already; writing the same again is the remedy. A floor below
    /// the present one leaves the floor where it is.
    async fn write_batch(
        &self,
        stream: StreamIndex,
        entries: Vec<Entry>,
        floor: u64,
    ) -> Result<(), StoreError>;

    /// Writes valid entries without raising the floor: several such writes may be under way at once,
    /// and the floor follows, by [`Self::write_batch`], when all of them up to there are done.
    async fn write_rows(
        &self,
        stream: StreamIndex,
        entries: Arc<[Entry]>,
    ) -> Result<(), StoreError>;

    /// What is needed to judge, in the order asked.
    async fn precedents(
        &self,
        stream: StreamIndex,
        queries: Vec<PrecedentsQuery>,
    ) -> Result<Snapshot<Vec<Precedents>>, StoreError>;

    /// Entries of a conversation.
    async fn range(
        &self,
        stream: StreamIndex,
        query: RangeQuery,
    ) -> Result<Snapshot<RangeRows>, StoreError>;

    /// Messages of a conversation.
    async fn page(
        &self,
        stream: StreamIndex,
        query: PageQuery,
    ) -> Result<Snapshot<PageRows>, StoreError>;

    /// Where some conversations of one user stand, in the order asked.
    async fn standings(
        &self,
        stream: StreamIndex,
        user: UserId,
        queries: Vec<StandingQuery>,
    ) -> Result<Snapshot<Vec<Standing>>, StoreError>;

    /// Moves a user's marker forward; never backwards.
    async fn advance_marker(
        &self,
        user: UserId,
        conversation: ConversationId,
        id: EntryId,
    ) -> Result<Marker, StoreError>;
}
