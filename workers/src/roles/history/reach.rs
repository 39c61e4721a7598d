//! Whether the store answers, and what is asked of it.
//!
//! Invariant: a store that is away costs those who meet it first one failed question and one look,
//! which they share, and everybody after them nothing: they are told at once, until a look, of which
//! there is one each second, finds it back. One slow answer alone does not make it away.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bus_schema::error::{Code, Failure};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::view::View;
use crate::store::{StoreError, StoreErrorKind};

/// How long a look may take.
const LOOK: Duration = Duration::from_secs(1);

/// What the last look saw.
#[derive(Debug, Default)]
pub(super) struct Reach {
    away: AtomicBool,
    looks: AtomicU64,
    looking: Mutex<()>,
}

impl View {
    /// Whether the store is away: then what is in memory is all there is to answer with.
    pub(super) fn is_store_away(&self) -> bool {
        self.reach.away.load(Ordering::Relaxed)
    }

    /// Whether this refusal came as the store was found to be away, so that asking again finds what
    /// is in memory.
    pub(super) fn went_away<T>(&self, answer: &Result<T, Failure>) -> bool {
        let refused = answer.as_ref().err().is_some_and(|why| why.code == Code::Unavailable);
        refused && self.is_store_away()
    }

    /// Looks whether the store answers, and how far it holds the stream.
    pub(super) async fn look(&self) -> Result<(), StoreError> {
        let floor = timeout(LOOK, self.store.floor(self.stream)).await;
        let floor = floor
            .unwrap_or_else(|_| Err(StoreError::new(StoreErrorKind::Unavailable, "no answer")));
        self.reach.away.store(floor.is_err(), Ordering::Relaxed);
        self.reach.looks.fetch_add(1, Ordering::Relaxed);
        self.raise_floor(floor?);
        Ok(())
    }

    /// Asks the store, unless it is known to be away.
    pub(super) async fn ask<T>(
        &self,
        question: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, Failure> {
        if self.is_store_away() {
            return Err(Failure::unavailable());
        }
        let answer = question.await;
        if answer.as_ref().err().is_some_and(|error| error.kind.passes()) {
            self.doubt().await;
        }
        Ok(answer?)
    }

    /// A question failed: looks, once for all whose questions fail meanwhile.
    async fn doubt(&self) {
        let looks = self.reach.looks.load(Ordering::Relaxed);
        let _turn = self.reach.looking.lock().await;
        if self.reach.looks.load(Ordering::Relaxed) == looks
            && let Err(error) = self.look().await
        {
            tracing::debug!(stream = %self.stream, store.error = %error, "the store is away");
        }
    }
}
