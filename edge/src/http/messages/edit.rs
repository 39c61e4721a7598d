//! `PATCH /v1/conversations/{conversation}/messages/{message}`.

use std::sync::Arc;

use axum::extract::State;
use bus_schema::entry::{Body, MessageUpdate};
use bus_schema::error::{Code, Failure};
use bus_schema::events::Message;

use super::NewContent;
use crate::http::extract::{Caller, InBody, InPath};
use crate::http::refusal::{Answer, Shown};
use crate::http::route::{Route, patch};
use crate::send;
use crate::state::Edge;

pub(super) fn route() -> Route {
    patch(super::ONE, "Replaces a message's content; its author only", edit)
        .takes::<NewContent>()
        .shows::<Message>()
        .refuses(&[Code::NotFound, Code::Forbidden])
}

async fn edit(
    State(edge): State<Arc<Edge>>,
    caller: Caller,
    InPath((conversation, id)): InPath<super::Ids>,
    InBody(body): InBody<NewContent>,
) -> Answer<Shown<Message>> {
    let listed = edge.access(caller.user, conversation, caller.request_id()).await?;
    let message = super::find(&edge, &caller, listed.place, id).await?;
    if message.author_id != caller.user {
        return Err(Failure::new(Code::Forbidden, "only its author may edit a message").into());
    }
    let update = Body::MessageUpdate(MessageUpdate {
        conversation_id: conversation,
        message_id: id,
        content: body.content.clone(),
        author_id: caller.user,
    });
    let item = send::append(&edge, caller.user, listed.place, update, None).await?;
    Ok(Shown(Message { content: body.content, edited_at: Some(item.entry.at), ..message }))
}
