//! `PUT /v1/conversations/{conversation}/read`.

use std::sync::Arc;

use axum::extract::State;
use bus_schema::error::Code;
use bus_schema::ids::{ConversationId, EntryId};
use schemars::JsonSchema;
use serde::Deserialize;

use super::extract::{Caller, InBody, InPath};
use super::refusal::{Answer, Done};
use super::route::{Route, put};
use crate::read;
use crate::state::Edge;

pub(super) fn routes() -> Vec<Route> {
    vec![
        put(
            "/v1/conversations/{conversation}/read",
            "Moves the read marker forward, for all of one's sessions",
            set,
        )
        .takes::<Marker>()
        .refuses(&[Code::NotFound]),
    ]
}

/// Up to where one has read.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Marker {
    /// An entry, at most the conversation's `last_id`.
    id: EntryId,
}

async fn set(
    State(edge): State<Arc<Edge>>,
    caller: Caller,
    InPath(conversation): InPath<ConversationId>,
    InBody(marker): InBody<Marker>,
) -> Answer<Done> {
    let listed = edge.access(caller.user, conversation, caller.request_id()).await?;
    read::set(&edge, caller.user, &listed, marker.id, caller.request_id()).await?;
    Ok(Done)
}
