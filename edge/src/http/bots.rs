//! `/v1/bots`: the caller's bots and their credentials.

use std::sync::Arc;

use axum::extract::State;
use bus_schema::error::Code;
use bus_schema::events::User;
use bus_schema::ids::UserId;
use bus_schema::ops::Empty;
use bus_schema::ops::bots::{
    BotRequest, Bots, CreateBot, CreateBotRequest, Credentials, Creds, DeleteBot, ListBots,
    RevokeCredentials,
};

use super::extract::{Caller, InBody, InPath};
use super::refusal::{Answer, Created, Done, Shown};
use super::route::{Route, delete, get, post};
use crate::state::Edge;

pub(super) fn routes() -> Vec<Route> {
    vec![
        post("/v1/bots", "Makes a bot, which is then added to channels by its name", create)
            .takes::<CreateBotRequest>()
            .creates::<User>()
            .refuses(&[Code::UsernameTaken, Code::Conflict]),
        get("/v1/bots", "Lists one's bots", list).shows::<Bots>(),
        delete(
            "/v1/bots/{bot}",
            "Deletes a bot: its credentials end, it leaves its channels, its name is free",
            remove,
        )
        .refuses(&[Code::NotFound]),
        post(
            "/v1/bots/{bot}/credentials",
            "Makes the creds file with which a bot connects to NATS; shown once",
            credentials,
        )
        .creates::<Creds>()
        .refuses(&[Code::NotFound]),
        delete(
            "/v1/bots/{bot}/credentials",
            "Ends all credentials of a bot: it is cut off, and comes back only with new ones",
            revoke,
        )
        .refuses(&[Code::NotFound]),
    ]
}

async fn create(
    State(edge): State<Arc<Edge>>,
    caller: Caller,
    InBody(request): InBody<CreateBotRequest>,
) -> Answer<Created<User>> {
    Ok(Created(edge.bus.call::<CreateBot>(&caller.with_token(), &request).await?))
}

async fn list(State(edge): State<Arc<Edge>>, caller: Caller) -> Answer<Shown<Bots>> {
    Ok(Shown(edge.bus.call::<ListBots>(&caller.with_token(), &Empty {}).await?))
}

async fn remove(
    State(edge): State<Arc<Edge>>,
    caller: Caller,
    InPath(id): InPath<UserId>,
) -> Answer<Done> {
    edge.bus.call::<DeleteBot>(&caller.with_token(), &BotRequest { id }).await?;
    Ok(Done)
}

async fn credentials(
    State(edge): State<Arc<Edge>>,
    caller: Caller,
    InPath(id): InPath<UserId>,
) -> Answer<Created<Creds>> {
    let request = BotRequest { id };
    Ok(Created(edge.bus.call::<Credentials>(&caller.with_token(), &request).await?))
}

async fn revoke(
    State(edge): State<Arc<Edge>>,
    caller: Caller,
    InPath(id): InPath<UserId>,
) -> Answer<Done> {
    edge.bus.call::<RevokeCredentials>(&caller.with_token(), &BotRequest { id }).await?;
    Ok(Done)
}
