//! A session that is there when it is needed, and what was made ready on it.
//!
//! Invariants: nothing is connected before the first use; from then on connecting is tried until it
//! succeeds, one attempt at a time, with a jittered back-off. Whoever asks meanwhile waits no
//! longer than [`FIRST_WAIT`] for the first attempt and not at all after it failed. Once there, a
//! session stays: the driver mends its connections itself.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bus_schema::runtime::bus::jitter;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::errors::unavailable;
use crate::store::StoreError;

/// How long the first to ask waits for the first attempt.
const FIRST_WAIT: Duration = Duration::from_secs(2);
/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(20);
/// The wait after the first failed attempt; it doubles with each,
const RETRY_MIN: Duration = Duration::from_millis(250);
/// up to this.
const RETRY_MAX: Duration = Duration::from_secs(5);

/// One attempt.
pub(crate) type Make<T> =
    Box<dyn Fn() -> Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send>> + Send + Sync>;

enum State<T> {
    /// The first attempt is under way.
    Connecting,
    /// It failed, as the ones after it did so far.
    Failed(StoreError),
    Ready(Arc<T>),
}

/// What is made in the background; see the module.
pub(crate) struct Link<T> {
    make: Arc<Make<T>>,
    state: OnceLock<watch::Receiver<State<T>>>,
}

impl<T: Send + Sync + 'static> Link<T> {
    /// Does nothing yet.
    pub(crate) fn new(make: Make<T>) -> Self {
        Self { make: Arc::new(make), state: OnceLock::new() }
    }

    /// What was made, or why it is not there.
    pub(crate) async fn get(&self) -> Result<Arc<T>, StoreError> {
        let mut state = self.state.get_or_init(|| self.start()).clone();
        if let State::Ready(made) = &*state.borrow() {
            return Ok(Arc::clone(made));
        }
        let decided = state.wait_for(|state| !matches!(state, State::Connecting));
        match timeout(FIRST_WAIT, decided).await {
            Ok(Ok(state)) => match &*state {
                State::Ready(made) => Ok(Arc::clone(made)),
                State::Failed(error) => Err(error.clone()),
                State::Connecting => Err(unavailable("connecting")),
            },
            Ok(Err(_)) => Err(unavailable("connecting ended")),
            Err(_) => Err(unavailable("connecting")),
        }
    }

    fn start(&self) -> watch::Receiver<State<T>> {
        let (sender, receiver) = watch::channel(State::Connecting);
        let make = Arc::clone(&self.make);
        tokio::spawn(async move {
            tokio::select! {
                () = keep_trying(&make, &sender) => {}
                // Nobody is left to want it.
                () = sender.closed() => {}
            }
        });
        receiver
    }
}

async fn keep_trying<T>(make: &Make<T>, state: &watch::Sender<State<T>>) {
    let mut wait = RETRY_MIN;
    loop {
        let attempt = timeout(ATTEMPT, make()).await;
        match attempt.unwrap_or_else(|_| Err(unavailable("no answer in time"))) {
            Ok(made) => {
                tracing::info!("connected to Cassandra");
                state.send_replace(State::Ready(Arc::new(made)));
                return;
            }
            Err(error) => {
                // The first failure matters to people; those after it are more of the same.
                if wait == RETRY_MIN {
                    tracing::warn!(store.error = %error, "Cassandra is not there; trying on");
                } else {
                    tracing::debug!(store.error = %error, "Cassandra is still not there");
                }
                state.send_replace(State::Failed(error));
            }
        }
        sleep(jitter(wait)).await;
        wait = RETRY_MAX.min(wait * 2);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::testing::eventually;

    #[tokio::test]
    async fn fails_at_once_until_it_is_there_and_is_made_once() {
        let attempts = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&attempts);
        let link = Link::new(Box::new(move || {
            let attempt = count.fetch_add(1, Ordering::SeqCst) + 1;
            Box::pin(
                async move { if attempt < 3 { Err(unavailable("away")) } else { Ok(attempt) } },
            )
        }));
        assert_eq!(attempts.load(Ordering::SeqCst), 0, "not before it is needed");
        assert!(link.get().await.is_err());
        let made = eventually("it is made", async || link.get().await.ok()).await;
        assert_eq!((*made, *link.get().await.unwrap()), (3, 3));
    }

    #[tokio::test]
    async fn ends_with_the_last_who_wants_it() {
        let alive = Arc::new(());
        let held = Arc::clone(&alive);
        let link: Link<()> = Link::new(Box::new(move || {
            let held = Arc::clone(&held);
            Box::pin(async move {
                drop(held);
                Err(unavailable("away"))
            })
        }));
        assert!(link.get().await.is_err());
        drop(link);
        eventually("the task ends", async || (Arc::strong_count(&alive) == 1).then_some(())).await;
    }
}
