//! What an outbox publishes next, and what its acknowledgement is. Pure.
//!
//! Invariant: the same head gives the same publication under the same message id, whoever
//! publishes it and how often, so within the log's window the log keeps it once. Beyond the window a
//! repeated entry stands in the log a second time and is void there, for its revision is not above
//! the channel's last (`bus_schema::verdict`).

use bus_schema::entry::Notice;
use bus_schema::ids::{ConversationId, EntryId};
use bus_schema::streams::Layout;
use bus_schema::subjects::LogSubject;

use crate::store::channels::{Ack, DmNotice, OutboxItem};

/// The type header of a notice.
pub(super) const NOTICE: &str = "NOTICE";

/// Something to append to the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Publication {
    /// Where.
    pub(super) place: LogSubject,
    /// Its type header.
    pub(super) kind: &'static str,
    /// Its payload.
    pub(super) payload: String,
    /// Its message id.
    pub(super) msg_id: String,
}

/// The head's entry, or the notice that follows it once the entry's id is known.
pub(super) fn next(channel: ConversationId, head: &OutboxItem) -> Publication {
    let revision = head.revision;
    match (head.entry, head.notice) {
        (Some(entry_id), Some(user)) => {
            let conversation_id = channel;
            Publication {
                place: LogSubject::User(user),
                kind: NOTICE,
                payload: encode(&Notice::AddedToChannel { conversation_id, entry_id, revision }),
                msg_id: format!("{channel}:{revision}:u:{user}"),
            }
        }
        _ => Publication {
            place: LogSubject::Channel(channel),
            kind: head.kind.as_str(),
            payload: head.payload.clone(),
            msg_id: format!("{channel}:{revision}:c"),
        },
    }
}

/// What it means that the log has [`next`] of this head at `sequence`.
pub(super) fn acknowledgement(
    layout: Layout,
    channel: ConversationId,
    head: &OutboxItem,
    sequence: u64,
) -> Ack {
    let revision = head.revision;
    if head.entry.is_some() && head.notice.is_some() {
        Ack::Notice { revision }
    } else {
        let stream = layout.stream_of(LogSubject::Channel(channel));
        Ack::Entry { revision, entry: EntryId::new(sequence, stream) }
    }
}

/// The notice to somebody who opened a DM.
pub(super) fn dm_opened(notice: DmNotice) -> Publication {
    let DmNotice { id, user } = notice;
    Publication {
        place: LogSubject::User(user),
        kind: NOTICE,
        payload: encode(&Notice::DmOpened { conversation_id: id }),
        msg_id: format!("{id}:u:{user}"),
    }
}

/// Serializing ids and numbers cannot fail.
fn encode(notice: &Notice) -> String {
    serde_json::to_string(notice).unwrap_or_default()
}
