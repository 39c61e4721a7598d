//! A change of a channel, and the log entry that waits for it in the channel's outbox.
//!
//! Invariant: pure. What a change puts into the outbox and what an acknowledgement takes from it are
//! decided here, alike for every backend.

use bus_schema::entry::{Body, ChannelDelete, ChannelUpdate, EntryKind, MemberChange};
use bus_schema::ids::{ConversationId, EntryId, UserId};
use bus_schema::text::ChannelName;
use bus_schema::timestamp::Timestamp;

/// A change of a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// Somebody who is not a member becomes one.
    AddMember {
        /// Who.
        user: UserId,
        /// Channels they may be in, this one included. Exact where the backend has transactions
        /// across documents; elsewhere additions at the same moment may exceed it.
        most_channels: u64,
    },
    /// A member ceases to be one.
    RemoveMember {
        /// Who.
        user: UserId,
    },
    /// It gets another name.
    Rename {
        /// Which.
        name: ChannelName,
    },
    /// It ends: no members, and no further change.
    Delete {
        /// Which request did it, so that the same request is known when it is repeated.
        request: String,
    },
}

/// A change to commit.
#[derive(Debug, Clone)]
pub(crate) struct Commit {
    /// Which channel.
    pub(crate) id: ConversationId,
    /// The revision it was decided upon.
    pub(crate) expected: u64,
    /// Who does it.
    pub(crate) author: UserId,
    /// What.
    pub(crate) change: Change,
    /// Now.
    pub(crate) at: Timestamp,
    /// The call that asks for it, to be remembered; none if empty.
    pub(crate) call: String,
}

impl Commit {
    /// The revision it makes.
    pub(crate) const fn revision(&self) -> u64 {
        self.expected + 1
    }

    /// What it puts into the outbox.
    pub(crate) fn item(&self) -> OutboxItem {
        OutboxItem::new(self.id, self.revision(), self.author, &self.change, self.at)
    }
}

/// What became of a [`Commit`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Committed {
    /// It is there, its entry in the outbox.
    Done,
    /// The channel has another revision now (or is not there): look again.
    Stale,
    /// The user to add is in as many channels as allowed.
    TooManyChannels,
}

/// A log entry, committed with its change and waiting to be published.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct OutboxItem {
    /// The revision of its change.
    pub(crate) revision: u64,
    /// The entry's kind.
    pub(crate) kind: EntryKind,
    /// The entry's payload.
    pub(crate) payload: String,
    /// Whom to notify after the entry: the user it adds.
    pub(crate) notice: Option<UserId>,
    /// The entry's id, once the log has it; then only the notice is still to be published.
    pub(crate) entry: Option<EntryId>,
    /// When it was committed.
    pub(crate) at: Timestamp,
}

impl OutboxItem {
    /// The item of one change.
    pub(crate) fn new(
        id: ConversationId,
        revision: u64,
        author: UserId,
        change: &Change,
        at: Timestamp,
    ) -> Self {
        let member =
            |user_id| MemberChange { conversation_id: id, user_id, author_id: author, revision };
        let (body, notice) = match change {
            Change::AddMember { user, .. } => (Body::MemberAdd(member(*user)), Some(*user)),
            Change::RemoveMember { user } => (Body::MemberRemove(member(*user)), None),
            Change::Rename { name } => {
                let name = name.clone();
                let update =
                    ChannelUpdate { conversation_id: id, name, author_id: author, revision };
                (Body::ChannelUpdate(update), None)
            }
            Change::Delete { .. } => {
                let delete = ChannelDelete { conversation_id: id, author_id: author, revision };
                (Body::ChannelDelete(delete), None)
            }
        };
        Self { revision, kind: body.kind(), payload: body.encode(), notice, entry: None, at }
    }

    /// What an acknowledgement means for the outbox with this head. Pure: every backend asks here.
    pub(crate) fn acknowledged(&self, ack: Ack) -> AckEffect {
        match (ack, self.entry) {
            (Ack::Entry { revision, .. }, None) if revision == self.revision => {
                if self.notice.is_some() { AckEffect::Record } else { AckEffect::Remove }
            }
            (Ack::Notice { revision }, Some(_)) if revision == self.revision => AckEffect::Remove,
            // Another publisher was faster.
            _ => AckEffect::Nothing,
        }
    }
}

/// The log acknowledged something of an outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ack {
    /// The entry of a change.
    Entry {
        /// The change's revision.
        revision: u64,
        /// The entry's id.
        entry: EntryId,
    },
    /// The notice after it.
    Notice {
        /// The change's revision.
        revision: u64,
    },
}

/// What an acknowledgement does to the head of an outbox. An acknowledged MEMBER_ADD also sets the
/// `since` of the member whose revision is the item's, if there still is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AckEffect {
    /// Nothing: it was done before.
    Nothing,
    /// The head keeps the entry's id and waits for its notice.
    Record,
    /// The head leaves.
    Remove,
}

/// Where a channel's outbox stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outbox {
    /// The revision of the channel's last committed change.
    pub(crate) revision: u64,
    /// What is to be published next.
    pub(crate) head: Option<OutboxItem>,
}

impl Outbox {
    /// The revision up to which the log is known to have the channel's changes.
    pub(crate) fn published(&self) -> u64 {
        match &self.head {
            None => self.revision,
            Some(OutboxItem { revision, entry: Some(_), .. }) => *revision,
            Some(OutboxItem { revision, entry: None, .. }) => revision.saturating_sub(1),
        }
    }
}
