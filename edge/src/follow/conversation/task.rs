//! The task of a conversation: what reaches it from the bus, from history and from sockets, one thing after
//! the other, and what it wishes then done.
//!
//! Invariant: whatever came, the conversation takes its next step, and its wishes are granted, before
//! anything else is looked at.

use std::sync::Arc;
use std::time::Duration;

use async_nats::Subscriber;
use bus_schema::ids::ConversationId;
use bus_schema::sabotage::{Safeguard, off};
use bus_schema::subjects::LogSubject;
use futures::StreamExt as _;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::fetching::Outside;
use super::{Command, Conversation, Sizes};
use crate::hub::events::LiveEvent;
use crate::state::Edge;

/// How much later than the first questions a subscription begins, where it is to be later.
const LATE: Duration = Duration::from_millis(500);

/// Follows a conversation until nobody has needed it for the linger time. `patience` is how long whoever
/// created it may take to start it, before it starts from history by itself.
pub(crate) async fn run(
    edge: Arc<Edge>,
    place: LogSubject,
    id: ConversationId,
    mut feed: Option<Subscriber>,
    mut commands: mpsc::Receiver<Command>,
    patience: Duration,
) {
    let linger = Duration::from_secs(edge.settings.linger_s);
    let (found, mut results) = mpsc::channel(4);
    let outside = Outside { edge: edge.clone(), place, id, found, patience };
    let shelf = edge.catching_up.shelf.clone();
    let mut this = Conversation::new(place, id, Sizes::from(&edge.settings), shelf);
    let made = Instant::now();
    let mut used = made;
    loop {
        if !this.is_idle() {
            used = Instant::now();
        }
        tokio::select! {
            biased;
            message = next_of(&mut feed) => match message {
                Some(_) if off(Safeguard::Subscribe) && made.elapsed() < LATE => {}
                Some(message) => {
                    let live = LiveEvent::read(&edge, &message);
                    if let Some(live) = live.filter(|live| live.place == place) {
                        this.live(live);
                    }
                }
                // The subscription ends only with the client, so with the edge.
                None => break,
            },
            Some(found) = results.recv() => this.found(found),
            command = commands.recv() => match command {
                Some(command) => {
                    used = Instant::now();
                    this.command(command);
                }
                None => break,
            },
            () = sleep_until(this.next_alarm(used + linger)) => {
                this.alarm();
                let over = this.is_idle() && used.elapsed() >= linger;
                if over && edge.hub.retire(id, &commands) {
                    break;
                }
            }
        }
        this.step();
        this.wishes.drain(..).for_each(|wish| outside.grant(wish));
    }
}

async fn next_of(feed: &mut Option<Subscriber>) -> Option<async_nats::Message> {
    match feed {
        Some(feed) => feed.next().await,
        None => std::future::pending().await,
    }
}
