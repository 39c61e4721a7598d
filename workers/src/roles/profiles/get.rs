//! `svc.profiles.get`: users by id; unknown ones are left out.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use bus_schema::error::Failure;
use bus_schema::ids::UserId;
use bus_schema::limits::USERS_PER_REQUEST;
use bus_schema::ops::profiles::{GetProfilesRequest, Users};
use bus_schema::runtime::service::Context;

use super::Profiles;
use super::loader::Missing;
use crate::store::profiles::Cached;

pub(super) async fn get(
    profiles: Arc<Profiles>,
    _: Context,
    request: GetProfilesRequest,
) -> Result<Users, Failure> {
    let ids: BTreeSet<UserId> = request.ids.into_iter().collect();
    if ids.len() > USERS_PER_REQUEST {
        return Err(Failure::bad_request("ids: at most 100"));
    }
    let ids: Vec<UserId> = ids.into_iter().collect();
    let mut users = Vec::with_capacity(ids.len());
    let mut missing = Missing::default();
    let asked_at = Instant::now();
    for (id, cached) in ids.iter().zip(profiles.cache.get(&ids).await) {
        match cached {
            Cached::Fresh(profile) => users.push(profile.user),
            Cached::Absent => {}
            Cached::Stale(profile) => missing.add(*id, Some(profile)),
            Cached::Unknown => missing.add(*id, None),
        }
    }
    if !missing.is_empty() {
        let ids = missing.ids();
        let found = profiles.loader.load(missing, asked_at).await?;
        users.extend(ids.iter().filter_map(|id| found.get(id)).map(|p| p.user.clone()));
    }
    Ok(Users { users })
}
