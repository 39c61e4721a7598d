//! Messages on their way into an answer: final state, form, size.
//!
//! Invariant: an answer that is cut to its budget keeps at least one message.

use bus_schema::events::Message;
use bus_schema::ids::{ConversationId, EntryId, StreamIndex};

use super::thread::Thread;
use crate::store::history::MessageRecord;

/// The form in which messages are given.
pub(super) fn shown(
    record: MessageRecord,
    conversation: ConversationId,
    stream: StreamIndex,
) -> Message {
    Message {
        id: EntryId::new(record.seq, stream),
        conversation_id: conversation,
        author_id: record.author,
        content: record.content,
        at: record.at,
        edited_at: record.edit.map(|edit| edit.at),
        nonce: record.nonce,
    }
}

/// Bytes of a message in an answer, in its longest form.
fn size(message: &MessageRecord) -> usize {
    let escaped = |b: u8| matches!(b, b'"' | b'\\' | b'\n' | b'\t');
    let content = message.content.as_str();
    MESSAGE_BYTES + content.len() + content.bytes().filter(|b| escaped(*b)).count()
}

/// What a message costs beside its content: ids, times, a nonce of escapes only, names.
const MESSAGE_BYTES: usize = 320;

/// Leaves out what goes beyond the budget, but never all. Whether anything was left out.
pub(super) fn fit(messages: &mut Vec<MessageRecord>, budget: &mut usize) -> bool {
    let mut kept = 0;
    for message in messages.iter() {
        let size = size(message);
        if size > *budget && kept > 0 {
            break;
        }
        *budget = budget.saturating_sub(size);
        kept += 1;
    }
    let cut = kept < messages.len();
    messages.truncate(kept);
    cut
}

/// A row of the store, with what the tail knows of it; `None` if the tail deleted it.
pub(super) fn changed(thread: Option<&Thread>, row: MessageRecord) -> Option<MessageRecord> {
    match thread {
        Some(thread) => thread.changed(row),
        None => Some(row),
    }
}
