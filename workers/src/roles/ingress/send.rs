//! `bot.<bot>.send.<conversation>`.

use bus_schema::bots::{BotSend, BotSent};
use bus_schema::entry::{Body, MessageCreate};
use bus_schema::error::Failure;
use bus_schema::ids::{ConversationId, UserId};

use super::Ingress;

pub(super) async fn send(
    role: &Ingress,
    bot: UserId,
    conversation_id: ConversationId,
    request: BotSend,
) -> Result<BotSent, Failure> {
    let place = role.access(bot, conversation_id).await?.place;
    let BotSend { content, nonce } = request;
    let body = Body::MessageCreate(MessageCreate {
        conversation_id,
        author_id: bot,
        content,
        edited_at: None,
        nonce: nonce.clone(),
    });
    Ok(BotSent { id: role.append(place, &body, nonce.as_ref()).await?.id })
}
