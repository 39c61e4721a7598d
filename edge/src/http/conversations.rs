//! `GET /v1/conversations`.

use std::sync::Arc;

use axum::extract::State;
use bus_schema::events::{Conversation, User};
use schemars::JsonSchema;
use serde::Serialize;

use super::extract::Caller;
use super::refusal::{Answer, Shown};
use super::route::{Route, get};
use crate::conversations::{self, Asking};
use crate::state::Edge;

pub(super) fn routes() -> Vec<Route> {
    vec![
        get("/v1/conversations", "Lists one's conversations, as in READY", list)
            .shows::<Conversations>(),
    ]
}

/// Everything one is in.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Conversations {
    /// Channels, then DMs.
    conversations: Vec<Conversation>,
    /// Everybody these mention, once.
    users: Vec<User>,
}

async fn list(State(edge): State<Arc<Edge>>, caller: Caller) -> Answer<Shown<Conversations>> {
    let listing = edge.listing(caller.user, caller.request_id()).await?;
    let asking = Asking { user: caller.user, request_id: caller.request_id() };
    let view = conversations::view_for(&edge, asking, &listing, |_| true).await?;
    Ok(Shown(Conversations { conversations: view.conversations, users: view.users }))
}
