//! The last sequence of a stream, as it is now.
//!
//! Invariant: an answer was asked of the server after the request for it was made, so whatever was
//! acknowledged before is below it. Requests that come while one is under way share the next one.

use std::future::Future;
use std::time::Duration;

use bus_schema::ids::StreamIndex;
use bus_schema::runtime::bus::Bus;
use bus_schema::runtime::log::leader;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

/// Requests that may wait for the next question.
const WAITING: usize = 4_096;
/// How long one question may take.
const QUESTION: Duration = Duration::from_secs(2);

/// Asks for one stream. The task behind it ends with the last clone.
#[derive(Clone)]
pub(super) struct Latest(mpsc::Sender<oneshot::Sender<Option<u64>>>);

impl Latest {
    /// Asks the server.
    pub(super) fn of(bus: &Bus, stream: StreamIndex) -> Self {
        let bus = bus.clone();
        Self::new(move || {
            let bus = bus.clone();
            async move {
                let asked = timeout(QUESTION, leader::ask(&bus, stream)).await;
                asked.ok()?.ok().map(|stream| stream.cached_info().state.last_sequence)
            }
        })
    }

    fn new<F>(ask: impl Fn() -> F + Send + 'static) -> Self
    where
        F: Future<Output = Option<u64>> + Send,
    {
        let (requests, mut waiting) = mpsc::channel::<oneshot::Sender<_>>(WAITING);
        tokio::spawn(async move {
            let mut askers = Vec::new();
            while waiting.recv_many(&mut askers, WAITING).await > 0 {
                let answer = ask().await;
                for asker in askers.drain(..) {
                    // Whoever asked may have given up.
                    let _ = asker.send(answer);
                }
            }
        });
        Self(requests)
    }

    /// The last sequence; `None` if the server does not say.
    pub(super) async fn sequence(&self) -> Option<u64> {
        let (reply, answer) = oneshot::channel();
        self.0.send(reply).await.ok()?;
        answer.await.ok()?
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn those_who_come_meanwhile_share_the_next_question() {
        let (asked, gate) = (Arc::new(AtomicU64::new(0)), Arc::new(Semaphore::new(0)));
        let (count, open) = (asked.clone(), gate.clone());
        let latest = Latest::new(move || {
            let (count, open) = (count.clone(), open.clone());
            async move {
                let n = count.fetch_add(1, Ordering::SeqCst) + 1;
                open.acquire().await.ok()?.forget();
                Some(n)
            }
        });
        let first = tokio::spawn({
            let latest = latest.clone();
            async move { latest.sequence().await }
        });
        while asked.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        let others: Vec<_> = (0..50)
            .map(|_| {
                let latest = latest.clone();
                tokio::spawn(async move { latest.sequence().await })
            })
            .collect();
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
        gate.add_permits(2);
        assert_eq!(first.await.unwrap(), Some(1));
        for other in others {
            assert_eq!(other.await.unwrap(), Some(2));
        }
        assert_eq!(asked.load(Ordering::SeqCst), 2);
    }
}
