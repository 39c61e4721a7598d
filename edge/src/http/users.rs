//! `/v1/users`: oneself and others.

use std::sync::Arc;

use axum::extract::State;
use bus_schema::error::{Code, Failure};
use bus_schema::events::User;
use bus_schema::ids::UserId;
use bus_schema::limits::USERS_PER_REQUEST;
use bus_schema::ops::auth::{ChangePassword, ChangePasswordRequest, Secret};
use bus_schema::ops::profiles::{
    ByUsername, ByUsernameRequest, GetProfiles, GetProfilesRequest, UpdateProfile,
    UpdateProfileRequest, Users,
};
use bus_schema::text::{Password, Username};
use schemars::JsonSchema;
use serde::Deserialize;

use super::extract::{Caller, InBody, InPath, InQuery};
use super::refusal::{Answer, Done, Shown};
use super::route::{Route, get, patch, post};
use crate::state::Edge;

pub(super) fn routes() -> Vec<Route> {
    vec![
        get("/v1/users/@me", "Shows oneself", me).shows::<User>(),
        patch("/v1/users/@me", "Changes one's profile; what is absent stays", update)
            .takes::<UpdateProfileRequest>()
            .shows::<User>()
            .refuses(&[Code::UsernameTaken]),
        post(
            "/v1/users/@me/password",
            "Changes the password and ends the other sessions",
            password,
        )
        .takes::<NewPassword>()
        .refuses(&[Code::Forbidden]),
        get("/v1/users", "Looks users up by id; unknown ones are left out", by_ids)
            .query::<Ids>()
            .shows::<Users>()
            .refuses(&[Code::BadRequest]),
        get("/v1/users/by-username/{username}", "Looks a user up by name", by_username)
            .shows::<User>()
            .refuses(&[Code::NotFound]),
    ]
}

async fn me(State(edge): State<Arc<Edge>>, caller: Caller) -> Answer<Shown<User>> {
    let request = GetProfilesRequest { ids: vec![caller.user] };
    let found = edge.bus.call::<GetProfiles>(&caller.as_platform(), &request).await?;
    let me = found.users.into_iter().find(|user| user.id == caller.user);
    Ok(Shown(me.ok_or_else(Failure::unauthorized)?))
}

async fn update(
    State(edge): State<Arc<Edge>>,
    caller: Caller,
    InBody(change): InBody<UpdateProfileRequest>,
) -> Answer<Shown<User>> {
    Ok(Shown(edge.bus.call::<UpdateProfile>(&caller.with_token(), &change).await?))
}

/// The password and its successor.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct NewPassword {
    /// The present one.
    old: Secret,
    /// The one to set.
    new: Password,
}

async fn password(
    State(edge): State<Arc<Edge>>,
    caller: Caller,
    InBody(body): InBody<NewPassword>,
) -> Answer<Done> {
    let request = ChangePasswordRequest { old: body.old, new: body.new };
    edge.bus.call::<ChangePassword>(&caller.with_token(), &request).await?;
    Ok(Done)
}

/// Whom to look up.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Ids {
    /// Up to 100 user ids with commas between.
    ids: String,
}

impl Ids {
    fn parse(&self) -> Result<Vec<UserId>, Failure> {
        let malformed = || Failure::bad_request("ids: up to 100 ids with commas between");
        let mut ids = Vec::new();
        for text in self.ids.split(',') {
            if ids.len() == USERS_PER_REQUEST {
                return Err(malformed());
            }
            ids.push(text.parse().map_err(|_| malformed())?);
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }
}

async fn by_ids(
    State(edge): State<Arc<Edge>>,
    caller: Caller,
    InQuery(query): InQuery<Ids>,
) -> Answer<Shown<Users>> {
    let request = GetProfilesRequest { ids: query.parse()? };
    Ok(Shown(edge.bus.call::<GetProfiles>(&caller.as_platform(), &request).await?))
}

async fn by_username(
    State(edge): State<Arc<Edge>>,
    caller: Caller,
    InPath(username): InPath<String>,
) -> Answer<Shown<User>> {
    let username = Username::parse(&username).map_err(|_| Failure::not_found())?;
    let request = ByUsernameRequest { username };
    Ok(Shown(edge.bus.call::<ByUsername>(&caller.as_platform(), &request).await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(text: &str) -> Option<Vec<u64>> {
        let parsed = Ids { ids: text.to_owned() }.parse();
        parsed.ok().map(|ids| ids.into_iter().map(|id| id.0).collect())
    }

    #[test]
    fn lists_of_ids() {
        assert_eq!(ids("3,1,3").unwrap(), [1, 3]);
        for bad in ["", ",", "1,", "1 ,2", "x", "-1", "01", "18446744073709551616"] {
            assert_eq!(ids(bad), None, "{bad:?}");
        }
        let many = |n: usize| vec!["7"; n].join(",");
        assert!(ids(&many(100)).is_some());
        assert!(ids(&many(101)).is_none());
    }
}
