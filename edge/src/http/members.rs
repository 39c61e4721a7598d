//! `/v1/channels/{channel}/members`: adding, removing, leaving.

use std::sync::Arc;

use axum::extract::State;
use bus_schema::error::{Code, Failure};
use bus_schema::events::Channel;
use bus_schema::ids::{ConversationId, UserId};
use bus_schema::ops::channels::{AddMember, AddMemberRequest, RemoveMember, RemoveMemberRequest};
use bus_schema::text::Username;
use schemars::JsonSchema;
use serde::Deserialize;

use super::extract::{Caller, InBody, InPath};
use super::refusal::{Answer, Done, Shown};
use super::route::{Route, delete, post};
use crate::state::Edge;

pub(super) fn routes() -> Vec<Route> {
    vec![
        post(
            "/v1/channels/{channel}/members",
            "Adds somebody; its creator only. Adding a member again changes nothing",
            add,
        )
        .takes::<Person>()
        .shows::<Channel>()
        .refuses(&[Code::NotFound, Code::NotOwner, Code::Conflict]),
        delete(
            "/v1/channels/{channel}/members/{user}",
            "Removes somebody (its creator only), or as `@me` leaves",
            remove,
        )
        .refuses(&[Code::NotFound, Code::NotOwner, Code::NotAMember, Code::Conflict]),
    ]
}

/// Somebody, by name.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Person {
    /// Their username.
    pub(super) username: Username,
}

async fn add(
    State(edge): State<Arc<Edge>>,
    caller: Caller,
    InPath(id): InPath<ConversationId>,
    InBody(body): InBody<Person>,
) -> Answer<Shown<Channel>> {
    let request = AddMemberRequest { id, username: body.username };
    Ok(Shown(edge.bus.call::<AddMember>(&caller.with_token(), &request).await?))
}

async fn remove(
    State(edge): State<Arc<Edge>>,
    caller: Caller,
    InPath((id, user)): InPath<(ConversationId, String)>,
) -> Answer<Done> {
    let user_id = match user.as_str() {
        "@me" => None,
        user => Some(user.parse::<UserId>().map_err(|_| Failure::not_found())?),
    };
    let request = RemoveMemberRequest { id, user_id };
    edge.bus.call::<RemoveMember>(&caller.with_token(), &request).await?;
    Ok(Done)
}
