//! Granting a conversation's wishes. What is missing is fetched from history, and from the log itself while
//! history does not answer.

use std::sync::Arc;
use std::time::Duration;

use bus_schema::ids::ConversationId;
use bus_schema::runtime::bus::jitter;
use bus_schema::subjects::LogSubject;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::catching_up::Landed;
use super::{Found, Wish};
use crate::follow::fetch;
use crate::state::Edge;

/// Entries of one fetch.
pub(super) const FETCH: u32 = 500;
/// Entries that fill the ring of a conversation that starts from history.
const AT_START: u32 = 50;
/// Failed fetches before the log itself is read.
const HISTORY_FAILURES: u32 = 2;

/// What a conversation reaches with its wishes.
pub(super) struct Outside {
    pub(super) edge: Arc<Edge>,
    pub(super) place: LogSubject,
    pub(super) id: ConversationId,
    /// Where answers go.
    pub(super) found: mpsc::Sender<Found>,
    /// How long a start from history waits for another.
    pub(super) patience: Duration,
}

impl Outside {
    pub(super) fn grant(&self, wish: Wish) {
        let edge = &self.edge;
        match wish {
            Wish::Start => self.start(),
            Wish::Fetch { after, min, membership } => self.fetch(after, min, membership),
            Wish::CatchUp { after, generation, limit, min } => {
                self.catch_up(after, generation, limit, min);
            }
            Wish::Forget { user, socket } => edge.hub.forget(user, self.id, socket),
            Wish::Lacks(position) => {
                edge.positions.lacks(edge.layout.stream_of(self.place), self.id, position);
            }
            Wish::Whole(position) => edge.positions.whole(self.id, position),
        }
    }

    fn start(&self) {
        let (edge, place, found) = (self.edge.clone(), self.place, self.found.clone());
        let patience = self.patience;
        tokio::spawn(async move {
            sleep(patience).await;
            // The subscription must have reached the server before the answer is taken.
            if let Err(error) = edge.bus.client().flush().await {
                tracing::debug!(%error, %place, "flushing before a start");
            }
            let min = edge.heard.of(edge.layout.stream_of(place));
            let asked = Asked { after: None, limit: AT_START, min, membership: true };
            let answer = until_answered(&edge, place, asked, &found).await;
            if let Some(Found::Range(range)) = answer {
                let _ = found.send(Found::Start(range)).await;
            }
        });
    }

    fn fetch(&self, after: u64, min: u64, membership: bool) {
        let (edge, place, found) = (self.edge.clone(), self.place, self.found.clone());
        tokio::spawn(async move {
            let asked = Asked { after: Some(after), limit: FETCH, min, membership };
            let answer = until_answered(&edge, place, asked, &found).await;
            if let Some(answer) = answer {
                let _ = found.send(answer).await;
            }
        });
    }

    fn catch_up(&self, after: Option<u64>, generation: u64, limit: u32, min: u64) {
        let (edge, place, found) = (self.edge.clone(), self.place, self.found.clone());
        tokio::spawn(async move {
            let turn = edge.catching_up.turn().await;
            let answer = fetch::range(&edge, place, after, limit, min, false).await;
            drop(turn);
            let _ = found.send(Found::Landed(Landed { after, generation, answer })).await;
        });
    }
}

/// What a fetch asks for.
struct Asked {
    after: Option<u64>,
    limit: u32,
    min: u64,
    membership: bool,
}

/// Repeats a fetch with back-off for as long as somebody follows.
async fn until_answered(
    edge: &Edge,
    place: LogSubject,
    asked: Asked,
    found: &mpsc::Sender<Found>,
) -> Option<Found> {
    let mut wait = Duration::from_millis(50);
    let mut failures = 0;
    let Asked { after, limit, min, membership } = asked;
    while !found.is_closed() {
        let turn = edge.fetches.turn().await;
        let answer = fetch::range(edge, place, after, limit, min, membership).await;
        drop(turn);
        match answer {
            Ok(range) => return Some(Found::Range(range)),
            Err(failure) => {
                failures += 1;
                metrics::counter!("natter_follow_fetch_failures_total").increment(1);
                tracing::debug!(%place, %failure, "fetching again");
            }
        }
        if let Some(after) = after
            && failures >= HISTORY_FAILURES
            && let Some(raw) =
                edge.fallback.read(edge.layout.stream_of(place), place, after, min).await
        {
            return Some(Found::Raw { after, raw });
        }
        sleep(jitter(wait)).await;
        wait = (wait * 2).min(Duration::from_secs(2));
    }
    None
}
