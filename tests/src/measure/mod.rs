//! The measuring program: what one sign-in and one page of history cost, in time and in look-ups.
//!
//! Invariant: what is counted is what the servers themselves say they have worked on, of one platform
//! alone; times are those of the platform's own clocks, or of a client that does nothing else.

pub mod cast;
pub mod metrics;
pub mod mongodb;
pub mod redis;
pub mod report;

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::client::{Cursors, Session};
use crate::json::Look as _;
use crate::measure::cast::Cast;
use crate::measure::metrics::Stages;
use crate::measure::report::{Report, Round};
use crate::stack::{Plan, Stack};
use crate::stores::Stores;
use crate::{Outcome, ensure};

/// How long a store may take until it says what it has worked on.
const SEEN_WITHIN: Duration = Duration::from_secs(10);

/// What to measure.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Keep everything in Cassandra, MongoDB and Redis, and count what the last two work on.
    #[arg(long)]
    pub cluster: bool,
    /// Conversations of the user who signs in.
    #[arg(long, default_value_t = 50)]
    pub conversations: usize,
    /// People whom READY mentions.
    #[arg(long, default_value_t = 100)]
    pub people: usize,
    /// Authors of the page.
    #[arg(long, default_value_t = 60)]
    pub authors: usize,
    /// How often each is done.
    #[arg(long, default_value_t = 20)]
    pub rounds: usize,
}

/// What the stores work on, where there are stores that say so.
struct Watch {
    redis: redis::Monitor,
    mongodb: mongodb::Profiler,
}

impl Watch {
    async fn begin(stores: &Stores) -> Outcome<Self> {
        let redis = redis::Monitor::start(&stores.redis, &stores.key_prefix()).await?;
        let mongodb = mongodb::Profiler::start(&stores.mongodb, &stores.name).await?;
        Ok(Self { redis, mongodb })
    }
}

/// Starts a platform, and measures.
pub async fn run(options: Options) -> Outcome<Report> {
    ensure!(options.rounds > 0, "at least one round is needed");
    let stores = if options.cluster { Some(Stores::find()?) } else { None };
    let mut plan = Plan::default().edges(1);
    if let Some(stores) = &stores {
        plan = plan.cluster(stores);
    }
    let stack = Stack::start(plan).await?;
    let cast = Cast::gather(&stack.edges()[0], &options).await?;
    let watch = match &stores {
        Some(stores) => Some(Watch::begin(stores).await?),
        None => None,
    };
    let mut report = Report::new(&options);
    for round in 0..=options.rounds {
        // The first time nobody is cached; it is told apart.
        let cold = round == 0;
        if let (true, Some(watch)) = (cold, &watch) {
            watch.redis.forget().await?;
        }
        report.pages.push(page(&cast, watch.as_ref(), cold, options.authors).await?);
        if let (true, Some(watch)) = (cold, &watch) {
            watch.redis.forget().await?;
        }
        // Last: after it everybody is cached, the authors of the page too.
        report.sign_ins.push(sign_in(&stack, &cast, watch.as_ref(), cold).await?);
    }
    Ok(report)
}

/// From IDENTIFY to READY, by a client that has nothing.
async fn sign_in(stack: &Stack, cast: &Cast, watch: Option<&Watch>, cold: bool) -> Outcome<Round> {
    let stages = Stages::read(&stack.metrics("edge-0").await?)?;
    let before = Seen::so_far(watch).await?;
    let began = Instant::now();
    let mut session = Session::open(&cast.edge, cast.token(), Cursors::default()).await?;
    let ready = session.expect("READY").await?;
    let took = began.elapsed();
    session.expect("RESUMED").await?;
    let violations = session.violations();
    ensure!(violations.is_empty(), "{violations:?}");
    session.close().await;
    let seen = before.until_now(watch).await?;
    let stages = Stages::read(&stack.metrics("edge-0").await?)?.since(&stages);
    Ok(Round {
        cold,
        took,
        stages,
        seen,
        people: people(&ready)?,
        items: length(&ready, "conversations")?,
    })
}

/// One page of history, as it is asked for.
async fn page(cast: &Cast, watch: Option<&Watch>, cold: bool, authors: usize) -> Outcome<Round> {
    let before = Seen::so_far(watch).await?;
    let path = format!("/conversations/{}/messages?limit=100", cast.busy);
    let api = cast.api()?;
    let began = Instant::now();
    let page = api.get(&path).await?.ok(200)?;
    let took = began.elapsed();
    let seen = before.until_now(watch).await?;
    let items = length(&page, "messages")?;
    let round =
        Round { cold, took, stages: Stages::default(), seen, people: people(&page)?, items };
    ensure!(round.people == authors, "{} authors on the page, not {authors}", round.people);
    Ok(round)
}

fn people(answer: &Value) -> Outcome<usize> {
    length(answer, "users")
}

fn length(answer: &Value, key: &str) -> Outcome<usize> {
    Ok(answer.at(key)?.as_array().map_or(0, Vec::len))
}

/// What the stores have worked on.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Commands of the profiles' cache.
    pub redis: Vec<redis::Command>,
    /// Operations on accounts.
    pub mongodb: Vec<mongodb::Operation>,
}

impl Seen {
    /// Whatever comes from here on is new.
    async fn so_far(watch: Option<&Watch>) -> Outcome<Self> {
        if let Some(watch) = watch {
            watch.redis.take().await?;
            watch.mongodb.take().await?;
        }
        Ok(Self::default())
    }

    async fn until_now(mut self, watch: Option<&Watch>) -> Outcome<Self> {
        if let Some(watch) = watch {
            self.redis = watch.redis.take().await?;
            self.mongodb = watch.mongodb.take().await?;
        }
        Ok(self)
    }
}
