//! Moving everything from one store to another: what every backend gives out and takes in whole.
//!
//! Invariants: the records of [`Table::ALL`] are everything that a store holds; what else is in a
//! backend (registries, indexes, lists of buckets) follows from them, and importing makes it.
//! Exporting a table page by page gives each record once, in an order of the backend's own that is
//! the same as long as nobody writes. A record that is imported again, whatever came between, is
//! there once, as it was given. Nothing else uses the store meanwhile.
//!
//! Leaves out order, progress and comparing: the command's.

mod record;

use std::sync::Arc;

use async_trait::async_trait;
use bus_schema::timestamp::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub(crate) use self::record::{
    BUCKET, BucketCopy, ChannelCopy, DmCopy, DmOpening, EntryCopy, MarkerCopy, MembershipCopy,
    MessageCopy, NonceCopy, Record, RotationCopy, SessionCopy,
};
use super::{StoreError, StoreErrorKind};

/// What a store holds, by kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Table {
    /// What signs and derives tokens.
    Keys,
    /// Accounts with their password hashes.
    Accounts,
    /// Invitations, also those that are used up.
    Invites,
    /// Incoming webhooks.
    Webhooks,
    /// Sessions with their tokens and rotations, also those that have ended.
    Sessions,
    /// Channels with members and outbox, also deleted ones.
    Channels,
    /// DMs and who opened them.
    Dms,
    /// Names of requests that created channels.
    Nonces,
    /// The log as it was.
    Entries,
    /// Messages in their final state. Follows from the entries.
    Messages,
    /// Membership events. Follows from the entries.
    Membership,
    /// Where a conversation has entries. Follows from the entries.
    Buckets,
    /// Read markers.
    Markers,
    /// How far each stream is held.
    Floors,
}

impl Table {
    /// All, in the order in which they are copied: floors last, since they say that what is below
    /// them is there.
    pub(crate) const ALL: [Self; 14] = [
        Self::Keys,
        Self::Accounts,
        Self::Invites,
        Self::Webhooks,
        Self::Sessions,
        Self::Channels,
        Self::Dms,
        Self::Nonces,
        Self::Entries,
        Self::Messages,
        Self::Membership,
        Self::Buckets,
        Self::Markers,
        Self::Floors,
    ];

    /// Its name, for operators.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Keys => "keys",
            Self::Accounts => "accounts",
            Self::Invites => "invites",
            Self::Webhooks => "webhooks",
            Self::Sessions => "sessions",
            Self::Channels => "channels",
            Self::Dms => "dms",
            Self::Nonces => "nonces",
            Self::Entries => "entries",
            Self::Messages => "messages",
            Self::Membership => "membership",
            Self::Buckets => "buckets",
            Self::Markers => "markers",
            Self::Floors => "floors",
        }
    }

    /// Whether importing another table makes it, so that it is compared but not copied.
    pub(crate) const fn follows(self) -> bool {
        matches!(self, Self::Messages | Self::Membership | Self::Buckets)
    }
}

/// Where an export goes on: text that only the backend that made it understands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Cursor(String);

impl Cursor {
    /// One that says this.
    pub(crate) fn new(at: &impl Serialize) -> Result<Self, StoreError> {
        let text = serde_json::to_string(at);
        Ok(Self(text.map_err(|e| StoreError::new(StoreErrorKind::Corrupt, e))?))
    }

    /// What it says.
    pub(crate) fn at<T: DeserializeOwned>(&self) -> Result<T, StoreError> {
        let read = serde_json::from_str(&self.0);
        read.map_err(|e| StoreError::new(StoreErrorKind::Corrupt, format!("a cursor: {e}")))
    }
}

/// Some records of a table.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// The records.
    pub(crate) records: Vec<Record>,
    /// Where the rest begins; none at the end.
    pub(crate) next: Option<Cursor>,
}

/// How far the copy into a store has come; kept in that store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CopyState {
    /// Tells the content of the source from another.
    pub(crate) source: String,
    /// When the copy was begun.
    pub(crate) begun_at: Timestamp,
    /// Where it stands.
    pub(crate) stage: Stage,
}

/// Where a copy stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stage {
    /// Everything before this is in the target.
    Copying {
        /// The table.
        table: Table,
        /// Where its rest begins.
        from: Option<Cursor>,
    },
    /// Everything is in the target, but was not yet found to be the same.
    Comparing,
    /// Both were found the same.
    Finished,
}

impl CopyState {
    /// Fails while the store is not yet what it is going to be. Whoever would use it asks this.
    pub(crate) fn usable(state: Option<&Self>) -> Result<(), StoreError> {
        match state {
            Some(Self { stage: Stage::Copying { .. } | Stage::Comparing, .. }) => {
                let why = "a copy into this store is not finished: run the same `natter-workers \
                           copy` again, or empty the store";
                Err(StoreError::new(StoreErrorKind::Conflict, why))
            }
            Some(Self { stage: Stage::Finished, .. }) | None => Ok(()),
        }
    }
}

/// A store as a source or a target.
#[async_trait]
pub(crate) trait Transfer: Send + Sync {
    /// Records of a table from a cursor on, about `rows` rows of them and at least one if there is
    /// one. The rows of a channel are its members and what waits in its outbox.
    async fn export(
        &self,
        table: Table,
        from: Option<Cursor>,
        rows: usize,
    ) -> Result<Page, StoreError>;

    /// Writes records of a table that does not [follow](Table::follows); durable when answered.
    async fn import(&self, table: Table, records: Arc<[Record]>) -> Result<(), StoreError>;

    /// How far the copy into this store has come, if there ever was one.
    async fn state(&self) -> Result<Option<CopyState>, StoreError>;

    /// Keeps that.
    async fn keep_state(&self, state: CopyState) -> Result<(), StoreError>;
}

/// A record came with the name of another table, or of one that follows.
pub(crate) fn misplaced(table: Table) -> StoreError {
    StoreError::new(StoreErrorKind::Corrupt, format!("not a record to import: {}", table.name()))
}
