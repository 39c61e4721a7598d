//! `POST /v1/dms`.

use std::sync::Arc;

use axum::extract::State;
use bus_schema::error::Code;
use bus_schema::ops::channels::{OpenDm, OpenDmRequest, OpenedDm};

use super::extract::{Caller, InBody};
use super::members::Person;
use super::refusal::{Answer, Shown};
use super::route::{Route, post};
use crate::state::Edge;

pub(super) fn routes() -> Vec<Route> {
    vec![
        post("/v1/dms", "Gives the DM with somebody: the same one whoever opens it", open)
            .takes::<Person>()
            .shows::<OpenedDm>()
            .refuses(&[Code::NotFound]),
    ]
}

async fn open(
    State(edge): State<Arc<Edge>>,
    caller: Caller,
    InBody(body): InBody<Person>,
) -> Answer<Shown<OpenedDm>> {
    let request = OpenDmRequest { username: body.username };
    Ok(Shown(edge.bus.call::<OpenDm>(&caller.with_token(), &request).await?))
}
