//! Reading what the cache does not have: one query for all who miss meanwhile.
//!
//! Invariant: one query at a time. Requests that miss while it runs wait together for the next one,
//! in which each id stands once and those cached meanwhile not at all.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use bus_schema::error::Failure;
use bus_schema::events::VersionedUser;
use bus_schema::ids::UserId;
use tokio::sync::{mpsc, oneshot};

use crate::store::StoreError;
use crate::store::profiles::{Cached, ProfileCache};
use crate::store::users::UserStore;

/// Requests that may wait for the loader.
const QUEUE: usize = 1_024;
/// Requests answered from one query: of at most 100 ids each.
const REQUESTS_PER_QUERY: usize = 64;

/// The profiles found; ids that do not exist are left out.
pub(super) type Found = HashMap<UserId, VersionedUser>;

struct Miss {
    ids: Vec<UserId>,
    reply: oneshot::Sender<Result<Arc<Found>, Failure>>,
}

/// Hands misses to the one task that queries.
pub(super) struct Loader(mpsc::Sender<Miss>);

impl Loader {
    /// Starts the task; it ends with the loader.
    pub(super) fn start(users: Arc<dyn UserStore>, cache: Arc<dyn ProfileCache>) -> Self {
        let (queue, misses) = mpsc::channel(QUEUE);
        tokio::spawn(answer_all(users, cache, misses));
        Self(queue)
    }

    /// The profiles of these ids, and perhaps of others.
    pub(super) async fn load(&self, ids: Vec<UserId>) -> Result<Arc<Found>, Failure> {
        let (reply, answer) = oneshot::channel();
        self.0.try_send(Miss { ids, reply }).map_err(|_| Failure::unavailable())?;
        answer.await.map_err(|_| Failure::unavailable())?
    }
}

async fn answer_all(
    users: Arc<dyn UserStore>,
    cache: Arc<dyn ProfileCache>,
    mut misses: mpsc::Receiver<Miss>,
) {
    let mut waiting = Vec::with_capacity(REQUESTS_PER_QUERY);
    while misses.recv_many(&mut waiting, REQUESTS_PER_QUERY).await > 0 {
        let ids: BTreeSet<UserId> = waiting.iter().flat_map(|m| m.ids.iter().copied()).collect();
        let ids: Vec<UserId> = ids.into_iter().collect();
        let found = load(&*users, &*cache, &ids).await;
        for miss in waiting.drain(..) {
            // Whoever asked may have gone away; the cache has the answer.
            let _ = miss.reply.send(found.clone());
        }
    }
}

async fn load(
    users: &dyn UserStore,
    cache: &dyn ProfileCache,
    ids: &[UserId],
) -> Result<Arc<Found>, Failure> {
    let mut found = Found::with_capacity(ids.len());
    let mut stale = Vec::new();
    let mut wanted = Vec::new();
    for (id, cached) in ids.iter().zip(cache.get(ids).await) {
        match cached {
            Cached::Fresh(profile) => {
                found.insert(*id, profile);
            }
            Cached::Absent => {}
            Cached::Stale(profile) => {
                stale.push(profile);
                wanted.push(*id);
            }
            Cached::Unknown => wanted.push(*id),
        }
    }
    if wanted.is_empty() {
        return Ok(Arc::new(found));
    }
    match query(users, cache, &wanted).await {
        Ok(profiles) => found.extend(profiles.into_iter().map(|p| (p.user.id, p))),
        // A name of a minute ago is better than none, if that is all that is asked for.
        Err(error) if stale.len() == wanted.len() => {
            tracing::warn!(%error, "profiles could not be read again; the last known are given");
            found.extend(stale.into_iter().map(|p| (p.user.id, p)));
        }
        Err(error) => return Err(error.into()),
    }
    Ok(Arc::new(found))
}

async fn query(
    users: &dyn UserStore,
    cache: &dyn ProfileCache,
    wanted: &[UserId],
) -> Result<Vec<VersionedUser>, StoreError> {
    metrics::counter!("natter_profiles_queried_total").increment(wanted.len() as u64);
    metrics::counter!("natter_profiles_queries_total").increment(1);
    let read_at = Instant::now();
    let profiles = users.profiles(wanted.to_vec()).await?;
    cache.put(&profiles, read_at).await;
    let found: HashSet<UserId> = profiles.iter().map(|p| p.user.id).collect();
    let absent = wanted.iter().filter(|id| !found.contains(id)).copied();
    let absent: Vec<UserId> = absent.collect();
    cache.put_absent(&absent, read_at).await;
    Ok(profiles)
}
