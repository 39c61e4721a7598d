//! What every test stands on: a shared platform, people, and a run that shows the logs when it fails.
//!
//! Invariant: a test that passes has also left every process running and nothing in their logs that
//! says "panicked". Whoever kills processes uses a platform of their own ([`alone`]).

mod bot;
mod person;
mod shared;

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures::FutureExt as _;
use natter_tests::client::Api;
use natter_tests::stack::{Plan, Stack};
use natter_tests::{Context as _, Failure, Outcome, ensure};
use rand::RngExt as _;
use tokio::runtime::Builder;
use tokio::time::timeout;

pub(crate) use bot::Bot;
pub(crate) use person::{PASSWORD, Person, find};

/// The longest a test may take, unless it says otherwise.
const TEST_WITHIN: Duration = Duration::from_mins(1);
/// How long something may take that comes a little later than the answer that caused it.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// The platform as a test sees it.
pub(crate) struct World {
    /// The public addresses of the edges; there are two.
    pub(crate) edges: Vec<String>,
    /// Where bots connect.
    pub(crate) nats: String,
}

/// Runs a test against the shared platform.
pub(crate) fn play(test: impl AsyncFnOnce(World) -> Outcome) {
    play_within(TEST_WITHIN, test);
}

/// Runs a test that may take longer against the shared platform.
pub(crate) fn play_within(limit: Duration, test: impl AsyncFnOnce(World) -> Outcome) {
    finish(|| async {
        let stack = shared::stack().await?;
        let (edges, nats, marks) = (stack.edges(), stack.nats(), stack.marks());
        let outcome = limited(limit, test(World { edges, nats })).await;
        let outcome = outcome.and_then(|()| stack.unharmed(&marks));
        outcome.inspect_err(|_| eprintln!("{}", stack.logs_since(&marks)))
    });
}

/// Runs a test against a platform of its own.
pub(crate) fn alone(
    limit: Duration,
    plan: Plan,
    test: impl AsyncFnOnce(&mut Stack, World) -> Outcome,
) {
    finish(|| async {
        let mut stack = Box::pin(Stack::start(plan)).await?;
        let world = World { edges: stack.edges().to_vec(), nats: stack.nats().url() };
        let outcome = limited(limit, test(&mut stack, world)).await;
        let outcome = outcome.and_then(|()| no_panic(&stack.logs_since(&[])));
        outcome.inspect_err(|_| eprintln!("{}", stack.logs_since(&[])))
    });
}

fn finish<F: Future<Output = Outcome>>(test: impl FnOnce() -> F) {
    let outcome: Outcome = (|| {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(Box::pin(test()))
    })();
    assert!(outcome.is_ok(), "{:?}", outcome.err());
}

/// A panic of the test has printed itself; it becomes a failure so that the logs are shown too.
async fn limited(limit: Duration, test: impl Future<Output = Outcome>) -> Outcome {
    let test = AssertUnwindSafe(Box::pin(test)).catch_unwind();
    let ended = timeout(limit, test).await.during(format_args!("the test, within {limit:?}"))?;
    ended.unwrap_or_else(|_| Err(Failure::new("an assertion did not hold, see above")))
}

pub(crate) fn no_panic(logs: &str) -> Outcome {
    let panic = logs.lines().find(|line| line.contains("panicked at"));
    ensure!(panic.is_none(), "a process panicked: {panic:?}");
    Ok(())
}

impl World {
    /// An edge, as nobody yet.
    pub(crate) fn api(&self) -> Outcome<Api> {
        Api::new(&self.edges[0])
    }

    /// A new person, on the first edge.
    pub(crate) async fn person(&self, hint: &str) -> Outcome<Person> {
        self.person_on(0, hint).await
    }

    /// A new person, on a certain edge.
    pub(crate) async fn person_on(&self, edge: usize, hint: &str) -> Outcome<Person> {
        Person::register(&self.edges[edge], &self.edges, hint).await
    }

    /// An owner, a member, and the channel they share; on different edges.
    pub(crate) async fn channel_of_two(&self) -> Outcome<(Person, Person, u64)> {
        let owner = self.person_on(0, "owner").await?;
        let member = self.person_on(1, "member").await?;
        let channel = owner.channel("den").await?;
        owner.add(channel, &member).await?;
        Ok((owner, member, channel))
    }
}

/// A username that nobody has.
pub(crate) fn unique(hint: &str) -> String {
    format!("{hint}_{:012x}", rand::rng().random::<u64>() >> 16)
}

/// An id that nobody has, in the range of real ones.
pub(crate) fn nobody() -> u64 {
    rand::rng().random_range(1 << 60..1 << 61)
}
