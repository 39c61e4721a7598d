//! The users that an answer mentions.
//!
//! Invariant: each once, whoever of them is still known, in the order of their ids. An answer whose
//! people cannot be looked up is refused: a client would show messages by nobody.

use std::collections::BTreeSet;

use bus_schema::error::Failure;
use bus_schema::events::User;
use bus_schema::ids::UserId;
use bus_schema::limits::USERS_PER_REQUEST;
use bus_schema::ops::profiles::{GetProfiles, GetProfilesRequest};
use bus_schema::runtime::call::Call;
use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::state::Edge;

/// Requests under way at once, for answers that mention more people than one request takes.
const CONCURRENCY: usize = 4;

/// Looks users up.
pub(crate) async fn of(
    edge: &Edge,
    ids: impl IntoIterator<Item = UserId>,
    request_id: &str,
) -> Result<Vec<User>, Failure> {
    let ids: Vec<_> = ids.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
    let call = &Call::platform().request_id(request_id);
    let batches: Vec<_> = ids.chunks(USERS_PER_REQUEST).map(<[_]>::to_vec).collect();
    let asked = batches.into_iter().map(async |ids| {
        let found = edge.bus.call::<GetProfiles>(call, &GetProfilesRequest { ids }).await?;
        Ok::<_, Failure>(found.users)
    });
    let found: Vec<_> = stream::iter(asked).buffer_unordered(CONCURRENCY).try_collect().await?;
    let mut users: Vec<_> = found.into_iter().flatten().collect();
    users.sort_unstable_by_key(|user: &User| user.id);
    users.dedup_by_key(|user| user.id);
    Ok(users)
}
