//! Reading what the cache does not have: one query for all who miss meanwhile.
//!
//! Invariant: one query at a time. Requests that miss while it runs wait together for the next one,
//! in which each id stands once. Only they look into the cache again, together and once, for what
//! the query has brought: whoever meets no other has looked each id up once and no more. A query that
//! fails refuses only those who asked for somebody of whom nothing is known.

use std::collections::{BTreeMap, HashMap, HashSet};
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

/// What the cache did not have.
#[derive(Default)]
pub(super) struct Missing {
    /// Whom, with what was known of them some time ago.
    ids: Vec<(UserId, Option<VersionedUser>)>,
}

impl Missing {
    /// Adds what the cache said of an id, if that is no answer.
    pub(super) fn add(&mut self, id: UserId, stale: Option<VersionedUser>) {
        self.ids.push((id, stale));
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The ids, in the order in which they were added.
    pub(super) fn ids(&self) -> Vec<UserId> {
        self.ids.iter().map(|(id, _)| *id).collect()
    }
}

struct Miss {
    missing: Missing,
    /// When the cache was asked, at the latest.
    asked_at: Instant,
    reply: oneshot::Sender<Result<Arc<Found>, Failure>>,
}

impl Miss {
    fn wants_any(&self, ids: &HashSet<UserId>) -> bool {
        self.missing.ids.iter().any(|(id, _)| ids.contains(id))
    }
}

/// What a query comes to.
struct Loaded {
    found: Found,
    refused: Option<Refused>,
}

/// It failed.
struct Refused {
    why: Failure,
    /// Those of whom nothing is known; of the others, the last known is found.
    unknown: HashSet<UserId>,
}

/// Hands misses to the one task that queries.
pub(super) struct Loader(mpsc::Sender<Miss>);

impl Loader {
    /// Starts the task; it ends with the loader.
    pub(super) fn start(users: Arc<dyn UserStore>, cache: Arc<dyn ProfileCache>) -> Self {
        let (queue, misses) = mpsc::channel(QUEUE);
        tokio::spawn(Worker { users, cache, last_put: None }.answer_all(misses));
        Self(queue)
    }

    /// The profiles of these ids, and perhaps of others; the cache was asked at `asked_at`.
    pub(super) async fn load(
        &self,
        missing: Missing,
        asked_at: Instant,
    ) -> Result<Arc<Found>, Failure> {
        let (reply, answer) = oneshot::channel();
        let miss = Miss { missing, asked_at, reply };
        self.0.try_send(miss).map_err(|_| Failure::unavailable())?;
        answer.await.map_err(|_| Failure::unavailable())?
    }
}

/// What is known of an id that several may have missed.
struct Wanted {
    stale: Option<VersionedUser>,
    /// Whether the last query may have brought it after everybody here had looked.
    look_again: bool,
}

/// The one who queries.
struct Worker {
    users: Arc<dyn UserStore>,
    cache: Arc<dyn ProfileCache>,
    /// When the last query's profiles were in the cache.
    last_put: Option<Instant>,
}

impl Worker {
    async fn answer_all(mut self, mut misses: mpsc::Receiver<Miss>) {
        let mut waiting = Vec::with_capacity(REQUESTS_PER_QUERY);
        while misses.recv_many(&mut waiting, REQUESTS_PER_QUERY).await > 0 {
            let Loaded { found, refused } = self.load(&mut waiting).await;
            let found = Arc::new(found);
            for miss in waiting.drain(..) {
                let refused = refused.as_ref().filter(|refused| miss.wants_any(&refused.unknown));
                let answer = refused.map_or_else(|| Ok(Arc::clone(&found)), |r| Err(r.why.clone()));
                // Whoever asked may have gone away; the cache has the answer.
                let _ = miss.reply.send(answer);
            }
        }
    }

    /// Everybody who is wanted, once.
    fn gather(&self, waiting: &mut [Miss]) -> BTreeMap<UserId, Wanted> {
        let mut wanted: BTreeMap<UserId, Wanted> = BTreeMap::new();
        for miss in waiting {
            let late = self.last_put.is_some_and(|put| miss.asked_at <= put);
            for (id, stale) in &mut miss.missing.ids {
                let entry = wanted.entry(*id).or_insert(Wanted { stale: None, look_again: true });
                entry.look_again &= late;
                entry.stale = entry.stale.take().or_else(|| stale.take());
            }
        }
        wanted
    }

    async fn load(&mut self, waiting: &mut [Miss]) -> Loaded {
        let mut wanted = self.gather(waiting);
        let mut found = Found::with_capacity(wanted.len());
        let again = wanted.iter().filter(|(_, wanted)| wanted.look_again).map(|(id, _)| *id);
        let again: Vec<UserId> = again.collect();
        for (id, cached) in again.iter().zip(self.cache.get(&again).await) {
            match cached {
                Cached::Fresh(profile) => {
                    found.insert(*id, profile);
                    wanted.remove(id);
                }
                Cached::Absent => drop(wanted.remove(id)),
                Cached::Stale(_) | Cached::Unknown => {}
            }
        }
        if wanted.is_empty() {
            return Loaded { found, refused: None };
        }
        let ids: Vec<UserId> = wanted.keys().copied().collect();
        match query(&*self.users, &*self.cache, &ids).await {
            Ok(profiles) => {
                self.last_put = Some(Instant::now());
                found.extend(profiles.into_iter().map(|p| (p.user.id, p)));
            }
            Err(error) => {
                let mut unknown = HashSet::new();
                for (id, Wanted { stale, .. }) in wanted {
                    // A name of a minute ago is better than none.
                    match stale {
                        Some(profile) => drop(found.insert(id, profile)),
                        None => drop(unknown.insert(id)),
                    }
                }
                let refused = Refused { why: error.into(), unknown };
                return Loaded { found, refused: Some(refused) };
            }
        }
        Loaded { found, refused: None }
    }
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
