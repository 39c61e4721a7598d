//! `POST /v1/conversations/{conversation}/messages`.

use std::sync::Arc;

use axum::extract::State;
use bus_schema::entry::{Body, MessageCreate};
use bus_schema::error::{Code, Failure};
use bus_schema::events::Message;
use bus_schema::ids::ConversationId;
use bus_schema::text::{Content, Nonce};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::http::extract::{Caller, InBody, InPath};
use crate::http::refusal::{Answer, Created};
use crate::http::route::{Route, post};
use crate::send;
use crate::state::Edge;

pub(super) fn route() -> Route {
    post(super::ALL, "Writes a message; answered once it is durable", create)
        .takes::<NewMessage>()
        .creates::<Message>()
        .refuses(&[Code::NotFound, Code::Conflict])
}

/// A message to be written.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct NewMessage {
    /// 1 to 4,000 characters.
    content: Content,
    /// Repeated with it within 5 minutes: the same message.
    #[serde(default)]
    nonce: Option<Nonce>,
}

async fn create(
    State(edge): State<Arc<Edge>>,
    caller: Caller,
    InPath(conversation): InPath<ConversationId>,
    InBody(body): InBody<NewMessage>,
) -> Answer<Created<Message>> {
    let listed = edge.may_send(caller.user, conversation, caller.request_id()).await?;
    let nonce = body.nonce.clone();
    let message = Body::MessageCreate(MessageCreate {
        conversation_id: conversation,
        author_id: caller.user,
        content: body.content,
        edited_at: None,
        nonce: body.nonce,
    });
    let item = send::append(&edge, caller.user, listed.place, message, nonce.as_ref()).await?;
    match &item.entry.body {
        Body::MessageCreate(body) => Ok(Created(super::sent(item.entry.id, item.entry.at, body))),
        // Only if another entry came back than was appended.
        _ => Err(Failure::unknown_outcome().into()),
    }
}
