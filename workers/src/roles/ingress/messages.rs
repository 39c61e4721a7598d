//! `messages.edit` and `messages.delete`, with the rules that people have.

use bus_schema::bots::{MessagesDelete, MessagesEdit};
use bus_schema::entry::{Body, MessageDelete, MessageUpdate};
use bus_schema::error::{Code, Failure};
use bus_schema::events::Message;
use bus_schema::ids::{EntryId, UserId};
use bus_schema::ops::Empty;
use bus_schema::ops::history::{Freshness, GetMessage, GetMessageRequest};
use bus_schema::runtime::call::Call;
use bus_schema::subjects::LogSubject;

use super::Ingress;

pub(super) async fn edit(
    role: &Ingress,
    bot: UserId,
    request: MessagesEdit,
) -> Result<Message, Failure> {
    let MessagesEdit { conversation_id, message_id, content } = request;
    let place = role.access(bot, conversation_id).await?.place;
    let message = find(role, place, message_id).await?;
    if message.author_id != bot {
        return Err(Failure::new(Code::Forbidden, "only its author may edit a message"));
    }
    let update = Body::MessageUpdate(MessageUpdate {
        conversation_id,
        message_id,
        content: content.clone(),
        author_id: bot,
    });
    let edited_at = Some(role.append(place, &update, None).await?.at);
    Ok(Message { content, edited_at, ..message })
}

/// A bot creates no channels, so only its own messages are its to delete.
pub(super) async fn delete(
    role: &Ingress,
    bot: UserId,
    request: MessagesDelete,
) -> Result<Empty, Failure> {
    let MessagesDelete { conversation_id, message_id } = request;
    let place = role.access(bot, conversation_id).await?.place;
    if find(role, place, message_id).await?.author_id != bot {
        let why = "only its author and the channel's creator may delete a message";
        return Err(Failure::new(Code::Forbidden, why));
    }
    let deletion =
        Body::MessageDelete(MessageDelete { conversation_id, message_id, author_id: bot });
    role.append(place, &deletion, None).await?;
    Ok(Empty {})
}

async fn find(role: &Ingress, place: LogSubject, id: EntryId) -> Result<Message, Failure> {
    let stream = role.layout.stream_of(place);
    if id.stream() != stream {
        return Err(Failure::not_found());
    }
    let request = GetMessageRequest { place, id, fresh: Freshness { min: 0, latest: true } };
    role.bus.call::<GetMessage>(&Call::platform().stream(stream), &request).await
}
