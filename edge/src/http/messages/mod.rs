//! `/v1/conversations/{conversation}/messages`, one file per operation.

mod create;
mod delete;
mod edit;
mod list;

use bus_schema::entry::MessageCreate;
use bus_schema::error::Failure;
use bus_schema::events::Message;
use bus_schema::ids::{ConversationId, EntryId};
use bus_schema::ops::history::{GetMessage, GetMessageRequest};
use bus_schema::subjects::LogSubject;
use bus_schema::text::Content;
use bus_schema::timestamp::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;

use super::extract::Caller;
use super::route::Route;
use crate::state::Edge;

/// The messages of a conversation.
const ALL: &str = "/v1/conversations/{conversation}/messages";
/// One of them.
const ONE: &str = "/v1/conversations/{conversation}/messages/{message}";

/// The ids in [`ONE`].
type Ids = (ConversationId, EntryId);

pub(super) fn routes() -> Vec<Route> {
    vec![list::route(), create::route(), edit::route(), delete::route()]
}

/// What a message shall say.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct NewContent {
    /// 1 to 4,000 characters.
    content: Content,
}

/// A message in its present state, also if it was written through another edge a moment ago.
async fn find(
    edge: &Edge,
    caller: &Caller,
    place: LogSubject,
    id: EntryId,
) -> Result<Message, Failure> {
    let stream = edge.layout.stream_of(place);
    if id.stream() != stream {
        return Err(Failure::not_found());
    }
    let request = GetMessageRequest { place, id, fresh: edge.fresh(place, true) };
    edge.bus.call::<GetMessage>(&caller.as_platform().stream(stream), &request).await
}

/// A message as its entry made it.
fn sent(id: EntryId, at: Timestamp, body: &MessageCreate) -> Message {
    Message {
        id,
        conversation_id: body.conversation_id,
        author_id: body.author_id,
        content: body.content.clone(),
        at,
        edited_at: body.edited_at,
        nonce: body.nonce.clone(),
    }
}
