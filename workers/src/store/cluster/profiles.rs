//! The cache of profiles in Redis, shared by all workers.
//!
//! Invariant: a batch is one command and one round trip, in which each id is looked up once. Values
//! are compared where they are, by a script, so that of two workers the one with the higher version
//! wins whenever they write. Ages are judged by Redis's clock, which is the same for all.
//!
//! Expiry slides at no cost to those who ask: what is used is read again from the accounts when it
//! is no longer fresh, and kept anew; only what has got old without that, because they do not answer
//! or `fresh` is long, is given more time, behind the answer. (Measured: 100 keys by MGET cost Redis
//! a third of what 100 GETEX cost it, and a quarter to a sixth of MGET with 100 PEXPIRE or a script.)
//!
//! What was kept before Redis was last out of reach may have missed a change, so it is stale to those
//! who could not reach it; every change is put by all who hear of it, so one who can is enough.
//!
//! Leaves out misses, and sharing them between requests: that is the role's loader, for each process.

#[cfg(test)]
mod tests;
mod value;

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bus_schema::events::{User, VersionedUser};
use bus_schema::ids::UserId;
use bus_schema::limits::USERS_PER_REQUEST;
use redis::{Script, ScriptInvocation};
use tokio::sync::Semaphore;

use self::value::{FORMAT, Value};
use super::redis::link::{Clock, Link};
use super::redis::{Redis, RedisSettings};
use crate::store::StoreError;
use crate::store::profiles::{CacheLimits, Cached, ProfileCache, ProfileCaches};

/// Keys of one command, which Redis works on without a break.
const KEYS_PER_COMMAND: usize = USERS_PER_REQUEST;
/// Answers being tidied up after at once; what is left is tidied up after when it is asked for again.
const TIDYING: usize = 64;

static KEEP: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("profiles/keep.lua")));
static DISCARD: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("profiles/discard.lua")));

/// Opens caches in one Redis.
pub(crate) struct InRedis(Redis);

impl InRedis {
    /// Refuses settings that cannot be right; connects to nothing.
    pub(crate) fn new(settings: &RedisSettings) -> Result<Self, StoreError> {
        Redis::new(settings).map(Self)
    }
}

impl ProfileCaches for InRedis {
    fn open(&self, limits: CacheLimits) -> Arc<dyn ProfileCache> {
        let link = Arc::new(Link::start(self.0.clone()));
        let keys = Keys(format!("{}profile:{FORMAT}:", self.0.settings.key_prefix));
        let tidying = Arc::new(Semaphore::new(TIDYING));
        Arc::new(RedisCache { link, keys, limits, tidying })
    }
}

/// How an id becomes a key.
#[derive(Clone)]
struct Keys(String);

impl Keys {
    fn of(&self, id: UserId) -> String {
        format!("{}{id}", self.0)
    }
}

/// The cluster's [`ProfileCache`].
struct RedisCache {
    link: Arc<Link>,
    keys: Keys,
    limits: CacheLimits,
    tidying: Arc<Semaphore>,
}

/// What to do behind an answer.
#[derive(Default)]
struct Tidy {
    /// Keys whose time is running out although they are asked for.
    lengthen: Vec<String>,
    /// Keys and values that nothing understands, and that might stand above what is right.
    discard: Vec<(String, Vec<u8>)>,
}

type Values = Vec<Vec<Option<Vec<u8>>>>;

#[async_trait]
impl ProfileCache for RedisCache {
    async fn get(&self, ids: &[UserId]) -> Vec<Cached> {
        if ids.is_empty() {
            return Vec::new();
        }
        let mut batch = redis::pipe();
        for ids in ids.chunks(KEYS_PER_COMMAND) {
            let mget = batch.cmd("MGET");
            for id in ids {
                mget.arg(self.keys.of(*id));
            }
        }
        let asked = self
            .link
            .ask(async move |mut connection, _| batch.query_async::<Values>(&mut connection).await);
        let Some((values, clock)) = asked.await else { return vec![Cached::Unknown; ids.len()] };
        let mut tidy = Tidy::default();
        let values = values.into_iter().flatten().chain(std::iter::repeat(None));
        let judged = ids.iter().zip(values).map(|(id, value)| {
            value.map_or(Cached::Unknown, |value| self.judge(*id, value, clock, &mut tidy))
        });
        let judged = judged.collect();
        self.start(tidy);
        judged
    }

    async fn put(&self, profiles: &[VersionedUser], read_at: Instant) {
        let life = self.limits.idle;
        for profiles in profiles.chunks(KEYS_PER_COMMAND) {
            let kept = profiles.iter().map(|p| (p.user.id, p.version, Some(&p.user)));
            if !self.keep(kept, read_at, life).await {
                return;
            }
        }
    }

    async fn put_absent(&self, ids: &[UserId], read_at: Instant) {
        for ids in ids.chunks(KEYS_PER_COMMAND) {
            let kept = ids.iter().map(|id| (*id, 0, None));
            if !self.keep(kept, read_at, self.limits.absent).await {
                return;
            }
        }
    }
}

impl RedisCache {
    fn judge(&self, id: UserId, bytes: Vec<u8>, clock: Clock, tidy: &mut Tidy) -> Cached {
        let value = value::decode(&bytes).filter(|v| v.user.as_ref().is_none_or(|u| u.id == id));
        let Some(Value { version, at_ms, user }) = value else {
            metrics::counter!("natter_redis_undecodable_total").increment(1);
            tidy.discard.push((self.keys.of(id), bytes));
            return Cached::Unknown;
        };
        // What was read in the future was dated by another clock: it may be of any age.
        let age = clock
            .at(Instant::now())
            .checked_sub(at_ms)
            .map_or(Duration::MAX, Duration::from_millis);
        match user {
            Some(user) => {
                if age >= self.limits.idle / 2 {
                    tidy.lengthen.push(self.keys.of(id));
                }
                let profile = VersionedUser { version, user };
                let fresh = age <= self.limits.fresh && clock.trusts(at_ms);
                if fresh { Cached::Fresh(profile) } else { Cached::Stale(profile) }
            }
            None if age <= self.limits.absent && clock.trusts(at_ms) => Cached::Absent,
            None => Cached::Unknown,
        }
    }

    /// Whether Redis has answered.
    async fn keep<'a>(
        &self,
        kept: impl Iterator<Item = (UserId, u64, Option<&'a User>)> + Send,
        read_at: Instant,
        life: Duration,
    ) -> bool {
        let kept: Vec<_> = kept.collect();
        let write = |clock: Clock| {
            let mut script = KEEP.prepare_invoke();
            let at_ms = clock.at(read_at);
            for (id, version, user) in &kept {
                let Some(value) = value::encode(*version, at_ms, *user) else { continue };
                script.key(self.keys.of(*id)).arg(value).arg(millis(life));
            }
            script
        };
        let asked = self.link.ask(async move |mut connection, clock| {
            write(clock).invoke_async::<()>(&mut connection).await
        });
        asked.await.is_some()
    }

    /// Begins to tidy up, unless there is too much of that already.
    fn start(&self, tidy: Tidy) {
        if tidy.lengthen.is_empty() && tidy.discard.is_empty() {
            return;
        }
        let Ok(permit) = Arc::clone(&self.tidying).try_acquire_owned() else { return };
        let (link, life) = (Arc::clone(&self.link), millis(self.limits.idle));
        tokio::spawn(async move {
            tidy_up(&link, tidy, life).await;
            drop(permit);
        });
    }
}

async fn tidy_up(link: &Link, tidy: Tidy, life: u64) {
    if !tidy.lengthen.is_empty() {
        let mut batch = redis::pipe();
        for key in tidy.lengthen {
            batch.cmd("PEXPIRE").arg(key).arg(life).ignore();
        }
        link.ask(async move |mut connection, _| batch.query_async::<()>(&mut connection).await)
            .await;
    }
    if !tidy.discard.is_empty() {
        let mut script: ScriptInvocation<'_> = DISCARD.prepare_invoke();
        for (key, value) in tidy.discard {
            script.key(key).arg(value);
        }
        link.ask(async move |mut connection, _| script.invoke_async::<()>(&mut connection).await)
            .await;
    }
}

fn millis(span: Duration) -> u64 {
    // Redis refuses a life of nothing.
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX).clamp(1, i64::MAX.cast_unsigned() / 2)
}
