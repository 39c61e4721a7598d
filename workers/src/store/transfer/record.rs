//! What is moved, in a form that belongs to no backend.
//!
//! Invariant: two records are equal if and only if nobody could tell their stores apart by them;
//! what a backend may drop or reorder without anybody noticing is not in them, or in a fixed order.
//! Nothing secret is in [`Record::key`] or `Debug`.

use std::fmt;

use bus_schema::entry::{Entry, EntryKind};
use bus_schema::ids::{ConversationId, EntryId, StreamIndex, UserId};
use bus_schema::subjects::{DmSubject, LogSubject};
use bus_schema::text::{ChannelName, Nonce};
use bus_schema::timestamp::Timestamp;

use crate::store::channels::{Member, OutboxItem};
use crate::store::history::EditRecord;
use crate::store::invites::InviteRecord;
use crate::store::keys::{KeyRecord, Purpose};
use crate::store::sessions::{SessionRecord, TokenHash};
use crate::store::users::Account;
use crate::store::webhooks::WebhookRecord;
use crate::store::{StoreError, StoreErrorKind};

/// One record of any table.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Record {
    /// Of [`Table::Keys`](super::Table::Keys).
    Key(Purpose, KeyRecord),
    /// Of [`Table::Accounts`](super::Table::Accounts).
    Account(Box<Account>),
    /// Of [`Table::Invites`](super::Table::Invites).
    Invite(InviteRecord),
    /// Of [`Table::Webhooks`](super::Table::Webhooks).
    Webhook(WebhookRecord),
    /// Of [`Table::Sessions`](super::Table::Sessions).
    Session(SessionCopy),
    /// Of [`Table::Channels`](super::Table::Channels).
    Channel(Box<ChannelCopy>),
    /// Of [`Table::Dms`](super::Table::Dms).
    Dm(DmCopy),
    /// Of [`Table::Nonces`](super::Table::Nonces).
    Nonce(NonceCopy),
    /// Of [`Table::Entries`](super::Table::Entries).
    Entry(EntryCopy),
    /// Of [`Table::Messages`](super::Table::Messages).
    Message(Box<MessageCopy>),
    /// Of [`Table::Membership`](super::Table::Membership).
    Membership(MembershipCopy),
    /// Of [`Table::Buckets`](super::Table::Buckets).
    Bucket(BucketCopy),
    /// Of [`Table::Markers`](super::Table::Markers).
    Marker(MarkerCopy),
    /// Of [`Table::Floors`](super::Table::Floors); never 0, which is the same as none.
    Floor(StreamIndex, u64),
}

/// A session, live or ended.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct SessionCopy {
    pub(crate) session: SessionRecord,
    /// The token to be presented next.
    pub(crate) token: TokenHash,
    pub(crate) ended_at: Option<Timestamp>,
    /// What is remembered of tokens that were presented, ordered by token.
    pub(crate) rotations: Vec<RotationCopy>,
}

/// A refresh that is recognized when it is repeated.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct RotationCopy {
    pub(crate) spent: TokenHash,
    pub(crate) nonce: Nonce,
    pub(crate) at: Timestamp,
}

impl fmt::Debug for SessionCopy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionCopy")
            .field("session", &self.session)
            .field("ended_at", &self.ended_at)
            .field("rotations", &self.rotations.len())
            .finish_non_exhaustive()
    }
}

/// A channel, deleted or not.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ChannelCopy {
    pub(crate) id: ConversationId,
    pub(crate) name: ChannelName,
    pub(crate) owner: UserId,
    pub(crate) revision: u64,
    /// The request that deleted it.
    pub(crate) deleted_by: Option<String>,
    /// By id.
    pub(crate) members: Vec<Member>,
    /// By revision.
    pub(crate) outbox: Vec<OutboxItem>,
}

/// A DM.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct DmCopy {
    pub(crate) place: DmSubject,
    /// By id.
    pub(crate) openings: Vec<DmOpening>,
}

/// That somebody opened a DM. Since when is asked only as long as the notice is to be published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct DmOpening {
    pub(crate) user: UserId,
    pub(crate) waiting_since: Option<Timestamp>,
}

/// A request that created a channel.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct NonceCopy {
    pub(crate) owner: UserId,
    pub(crate) nonce: Nonce,
    pub(crate) channel: ConversationId,
    pub(crate) at: Timestamp,
}

/// A valid entry as it is stored; a deleted message's content is empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct EntryCopy {
    pub(crate) conversation: ConversationId,
    pub(crate) seq: u64,
    pub(crate) at: Timestamp,
    pub(crate) kind: EntryKind,
    pub(crate) payload: String,
}

/// A message in its final state. One without author is an edit or a deletion that came first.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct MessageCopy {
    pub(crate) conversation: ConversationId,
    pub(crate) seq: u64,
    pub(crate) at: Option<Timestamp>,
    pub(crate) author: Option<UserId>,
    pub(crate) nonce: Option<Nonce>,
    /// Empty once deleted.
    pub(crate) content: String,
    pub(crate) edit: Option<EditRecord>,
    /// The sequence of the entry that deleted it.
    pub(crate) deleted: Option<u64>,
}

/// A membership event as judges read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct MembershipCopy {
    pub(crate) conversation: ConversationId,
    pub(crate) seq: u64,
    pub(crate) kind: EntryKind,
    pub(crate) user: UserId,
    pub(crate) revision: u64,
}

/// That a conversation has entries in a range of [`BUCKET`] sequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct BucketCopy {
    pub(crate) conversation: ConversationId,
    pub(crate) bucket: u64,
    /// The time of the first of them.
    pub(crate) first_at: Timestamp,
    /// The sequence of the last.
    pub(crate) last_seq: u64,
}

/// Stream sequences of one bucket.
pub(crate) const BUCKET: u64 = 1 << 18;

/// How far a user has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct MarkerCopy {
    pub(crate) user: UserId,
    pub(crate) conversation: ConversationId,
    pub(crate) entry: EntryId,
}

impl Record {
    /// Names it within its table, for the same record in another store and for operators.
    pub(crate) fn key(&self) -> String {
        match self {
            Self::Key(purpose, key) => format!("{} {}", purpose.as_str(), key.kid),
            Self::Account(account) => account.id().to_string(),
            Self::Invite(invite) => invite.name.clone(),
            Self::Webhook(webhook) => webhook.id.to_string(),
            Self::Session(copy) => copy.session.id.to_string(),
            Self::Channel(channel) => channel.id.to_string(),
            Self::Dm(dm) => dm.place.id().to_string(),
            Self::Nonce(nonce) => format!("{} {}", nonce.owner, nonce.nonce.as_str()),
            Self::Entry(entry) => format!("{} {}", entry.conversation, entry.seq),
            Self::Message(message) => format!("{} {}", message.conversation, message.seq),
            Self::Membership(event) => format!("{} {}", event.conversation, event.seq),
            Self::Bucket(bucket) => format!("{} {}", bucket.conversation, bucket.bucket),
            Self::Marker(marker) => format!("{} {}", marker.user, marker.conversation),
            Self::Floor(stream, _) => stream.to_string(),
        }
    }

    /// How many rows it counts for.
    pub(crate) fn rows(&self) -> usize {
        match self {
            Self::Channel(channel) => 1 + channel.members.len() + channel.outbox.len(),
            _ => 1,
        }
    }

    /// The last entry that changed it, for what follows from entries.
    pub(crate) fn last_change(&self) -> Option<(ConversationId, u64)> {
        match self {
            Self::Message(message) => {
                let edit = message.edit.map(|edit| edit.seq);
                let last = edit.max(message.deleted).unwrap_or(message.seq).max(message.seq);
                Some((message.conversation, last))
            }
            Self::Membership(event) => Some((event.conversation, event.seq)),
            Self::Bucket(bucket) => Some((bucket.conversation, bucket.last_seq)),
            _ => None,
        }
    }
}

impl EntryCopy {
    /// The entry, to be written like any other. Rows name no stream, so its id may name any.
    pub(crate) fn entry(&self, stream: StreamIndex) -> Result<Entry, StoreError> {
        // Decoding asks a place only for its conversation.
        let place = LogSubject::Channel(self.conversation);
        let (kind, bytes) = (Some(self.kind.as_str()), self.payload.as_bytes());
        Entry::decode(place, stream, self.seq, self.at, kind, bytes)
            .or_else(|error| {
                if self.kind != EntryKind::MessageCreate {
                    return Err(error);
                }
                let id = EntryId::new(self.seq, stream);
                Entry::decode_deleted(place, id, self.at, &self.payload).map_err(|_| error)
            })
            .map_err(|error| {
                let why = format!("entry {} of {}: {error}", self.seq, self.conversation);
                StoreError::new(StoreErrorKind::Corrupt, why)
            })
    }
}
