//! `/v1/channels`: making, showing, renaming, deleting.

use std::sync::Arc;

use axum::extract::State;
use bus_schema::error::Code;
use bus_schema::events::Channel;
use bus_schema::ids::ConversationId;
use bus_schema::ops::channels::{
    ChannelRequest, CreateChannel, CreateChannelRequest, DeleteChannel, GetChannel, RenameChannel,
    RenameChannelRequest,
};
use bus_schema::text::ChannelName;
use schemars::JsonSchema;
use serde::Deserialize;

use super::extract::{Caller, InBody, InPath};
use super::refusal::{Answer, Created, Done, Shown};
use super::route::{Route, delete, get, patch, post};
use crate::state::Edge;

pub(super) fn routes() -> Vec<Route> {
    vec![
        post(
            "/v1/channels",
            "Makes a channel; repeated with its nonce within 5 minutes, the same one",
            create,
        )
        .takes::<CreateChannelRequest>()
        .creates::<Channel>()
        .refuses(&[Code::Conflict]),
        get("/v1/channels/{channel}", "Shows a channel to a member", show)
            .shows::<Channel>()
            .refuses(&[Code::NotFound]),
        patch("/v1/channels/{channel}", "Renames a channel; its creator only", rename)
            .takes::<NewName>()
            .shows::<Channel>()
            .refuses(&[Code::NotFound, Code::NotOwner]),
        delete("/v1/channels/{channel}", "Deletes a channel; its creator only", remove)
            .refuses(&[Code::NotFound, Code::NotOwner]),
    ]
}

async fn create(
    State(edge): State<Arc<Edge>>,
    caller: Caller,
    InBody(request): InBody<CreateChannelRequest>,
) -> Answer<Created<Channel>> {
    Ok(Created(edge.bus.call::<CreateChannel>(&caller.with_token(), &request).await?))
}

async fn show(
    State(edge): State<Arc<Edge>>,
    caller: Caller,
    InPath(id): InPath<ConversationId>,
) -> Answer<Shown<Channel>> {
    let request = ChannelRequest { id };
    Ok(Shown(edge.bus.call::<GetChannel>(&caller.with_token(), &request).await?))
}

/// A channel's new name.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct NewName {
    /// 1 to 100 characters.
    name: ChannelName,
}

async fn rename(
    State(edge): State<Arc<Edge>>,
    caller: Caller,
    InPath(id): InPath<ConversationId>,
    InBody(body): InBody<NewName>,
) -> Answer<Shown<Channel>> {
    let request = RenameChannelRequest { id, name: body.name };
    Ok(Shown(edge.bus.call::<RenameChannel>(&caller.with_token(), &request).await?))
}

async fn remove(
    State(edge): State<Arc<Edge>>,
    caller: Caller,
    InPath(id): InPath<ConversationId>,
) -> Answer<Done> {
    edge.bus.call::<DeleteChannel>(&caller.with_token(), &ChannelRequest { id }).await?;
    Ok(Done)
}
