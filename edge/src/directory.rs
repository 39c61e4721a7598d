//! Which edges are alive, so that clients know where else to go.
//!
//! Invariant: an edge that was not heard for [`FORGOTTEN_AFTER`] or that said it leaves is not
//! given to clients; at most [`EDGES_MAX`] are kept, whatever is announced.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bus_schema::events::EdgeAlive;
use bus_schema::runtime::bus::{Bus, Status};
use bus_schema::runtime::shutdown::Shutdown;
use bus_schema::subjects;
use futures::StreamExt as _;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep};

use crate::state::Edge;

/// How often an edge says that it is alive.
const ANNOUNCE_EVERY: Duration = Duration::from_secs(5);
/// Three announcements missed, and a second.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(16);
/// Other edges kept.
const EDGES_MAX: usize = 1_000;
/// Characters of a URL that is believed to be one.
const URL_CHARS: usize = 512;
/// How long to wait before subscribing again.
const SUBSCRIBE_AGAIN: Duration = Duration::from_secs(1);

/// The edges heard of.
pub struct Directory {
    own: String,
    others: Mutex<BTreeMap<String, Instant>>,
    /// Somebody new is there, who has not heard of us.
    newcomer: Notify,
    left: AtomicBool,
}

impl Directory {
    /// Of the edge that clients reach at `own`.
    pub fn new(own: &str) -> Self {
        Self {
            own: own.to_owned(),
            others: Mutex::default(),
            newcomer: Notify::new(),
            left: AtomicBool::new(false),
        }
    }

    /// Says once that this edge leaves; it announces itself no more.
    pub async fn leave(&self, edge: &Edge) {
        if self.left.swap(true, Ordering::Relaxed) {
            return;
        }
        say(&edge.bus, self, true).await;
        // Best effort: whoever misses it forgets this edge within seconds.
        let _ = edge.bus.client().flush().await;
    }

    /// The edges alive now, this one first.
    pub fn alive(&self) -> Vec<String> {
        let others = self.others.lock();
        let heard = others.iter().filter(|(_, at)| at.elapsed() < FORGOTTEN_AFTER);
        std::iter::once(&self.own).chain(heard.map(|(url, _)| url)).cloned().collect()
    }

    fn hear(&self, said: EdgeAlive) {
        if said.url == self.own || !is_url(&said.url) {
            return;
        }
        let mut others = self.others.lock();
        if said.leaving {
            others.remove(&said.url);
            return;
        }
        others.retain(|_, at| at.elapsed() < FORGOTTEN_AFTER);
        let known = others.contains_key(&said.url);
        if known || others.len() < EDGES_MAX {
            others.insert(said.url, Instant::now());
        }
        if !known {
            self.newcomer.notify_one();
        }
    }
}

fn is_url(text: &str) -> bool {
    let scheme = text.starts_with("http://") || text.starts_with("https://");
    scheme && text.len() <= URL_CHARS && text.bytes().all(|b| b.is_ascii_graphic())
}

/// Announces this edge and hears of others until stopped; then says that it leaves.
pub(crate) async fn run(edge: Arc<Edge>, shutdown: Shutdown) {
    tokio::select! {
        () = listen(&edge.bus, &edge.directory) => {}
        () = announce(&edge.bus, &edge.directory) => {}
        () = shutdown.requested() => {}
    }
    edge.directory.leave(&edge).await;
}

/// Never ends.
async fn listen(bus: &Bus, directory: &Directory) {
    loop {
        match bus.client().subscribe(subjects::EDGES).await {
            Ok(mut messages) => {
                while let Some(message) = messages.next().await {
                    match serde_json::from_slice(&message.payload) {
                        Ok(said) => directory.hear(said),
                        Err(error) => tracing::warn!(%error, "an announcement cannot be read"),
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "cannot hear of other edges"),
        }
        sleep(SUBSCRIBE_AGAIN).await;
    }
}

/// At once, after each interval, after a reconnect, and when a newcomer shows up. Never ends.
async fn announce(bus: &Bus, directory: &Directory) {
    let mut status = bus.status();
    loop {
        if !directory.left.load(Ordering::Relaxed) {
            say(bus, directory, false).await;
        }
        let epoch = status.borrow_and_update().epoch;
        tokio::select! {
            () = sleep(ANNOUNCE_EVERY) => {}
            () = directory.newcomer.notified() => {}
            () = reconnected(&mut status, epoch) => {}
        }
    }
}

async fn reconnected(status: &mut watch::Receiver<Status>, epoch: u64) {
    let ended = status.wait_for(|now| now.epoch != epoch).await.is_err();
    if ended {
        // The connection is being taken down with the process.
        std::future::pending::<()>().await;
    }
}

async fn say(bus: &Bus, directory: &Directory, leaving: bool) {
    let alive = EdgeAlive { url: directory.own.clone(), leaving };
    if let Err(error) = bus.publish_event(subjects::EDGES.to_owned(), &alive).await {
        tracing::debug!(%error, "this edge was not announced");
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn said(url: &str, leaving: bool) -> EdgeAlive {
        EdgeAlive { url: url.to_owned(), leaving }
    }

    #[tokio::test(start_paused = true)]
    async fn own_first_then_those_heard_lately() {
        let directory = Directory::new("http://me");
        directory.hear(said("http://b", false));
        directory.hear(said("http://a", false));
        directory.hear(said("http://me", false));
        assert_eq!(directory.alive(), ["http://me", "http://a", "http://b"]);
        advance(Duration::from_secs(10)).await;
        directory.hear(said("http://b", false));
        advance(Duration::from_secs(10)).await;
        assert_eq!(directory.alive(), ["http://me", "http://b"]);
        directory.hear(said("http://b", true));
        assert_eq!(directory.alive(), ["http://me"]);
    }

    #[test]
    fn what_is_no_url_is_not_passed_on() {
        let directory = Directory::new("http://me");
        for odd in ["", "x", "javascript:alert(1)", "http://a b", "http://ä"] {
            directory.hear(said(odd, false));
        }
        directory.hear(said(&format!("http://{}", "a".repeat(URL_CHARS)), false));
        assert_eq!(directory.alive(), ["http://me"]);
    }

    #[test]
    fn bounded() {
        let directory = Directory::new("http://me");
        for n in 0..EDGES_MAX + 10 {
            directory.hear(said(&format!("http://{n}"), false));
        }
        assert_eq!(directory.alive().len(), EDGES_MAX + 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_newcomer_is_answered_once() {
        let directory = Directory::new("http://me");
        let soon = Duration::from_millis(1);
        directory.hear(said("http://a", false));
        tokio::time::timeout(soon, directory.newcomer.notified()).await.unwrap();
        directory.hear(said("http://a", false));
        assert!(tokio::time::timeout(soon, directory.newcomer.notified()).await.is_err());
    }
}
