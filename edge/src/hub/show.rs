//! CONVERSATION_ADD: a conversation as a socket first hears of it.
//!
//! Invariant: `last_id` is where the conversation's entries start for this user: for a new member
//! the entry before their MEMBER_ADD, so that their first entry is that one.

use bus_schema::error::Failure;
use bus_schema::frames::{self, event};
use bus_schema::ids::{EntryId, UserId};
use bus_schema::ops::channels::{Listed, ListedKind, Listing};

use crate::conversations;
use crate::follow::fetch;
use crate::state::Edge;

/// How many of the newest entries are looked through for the one before a MEMBER_ADD.
const LOOK_BACK: u32 = 200;

/// The frame, and the stream sequence after which entries start. `need` is an entry of the
/// conversation that the answer must know of.
pub(crate) async fn added(
    edge: &Edge,
    user: UserId,
    listed: &Listed,
    need: u64,
) -> Result<(String, u64), Failure> {
    edge.heard.hear(edge.layout.stream_of(listed.place), need);
    let mut listed = listed.clone();
    if let ListedKind::Dm { opened } = &mut listed.what {
        // It is being shown, so it is to be seen, whether or not its first entry counts.
        *opened = true;
    }
    let listing = Listing { conversations: vec![listed.clone()] };
    let view = conversations::view(edge, user, &listing, |_| false).await?;
    let mut conversation = view.conversations.into_iter().next().ok_or_else(Failure::not_found)?;
    conversation.last_id = match listed.what {
        ListedKind::Channel { since, .. } => before(edge, &listed, since).await?,
        ListedKind::Dm { .. } => conversation.last_id.filter(|last| last.sequence() < need),
    };
    let after = conversation.last_id.map_or(0, EntryId::sequence);
    Ok((frames::dispatch(event::CONVERSATION_ADD, &conversation), after))
}

/// The newest valid entry before `since`. Where that is further back than is looked, the place
/// right before `since`, which is no entry's but as good a cursor.
async fn before(edge: &Edge, listed: &Listed, since: EntryId) -> Result<Option<EntryId>, Failure> {
    let newest = fetch::range(edge, listed.place, None, LOOK_BACK, since.sequence(), false).await?;
    let found = newest.items.iter().rev().map(|item| item.entry.id).find(|id| *id < since);
    Ok(match found {
        Some(id) => Some(id),
        None if newest.more => {
            Some(EntryId::new(since.sequence().saturating_sub(1), since.stream()))
        }
        None => None,
    })
}
