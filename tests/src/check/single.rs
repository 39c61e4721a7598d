//! What one fault by itself costs: how long a message took, from the first try to its ACK and from the
//! log to a connected client, while the fault lasted and shortly after; beside it what a bare publisher
//! and subscriber of NATS saw on the same nodes at the same time.
//!
//! Invariant: measured from the record alone, as the verdict is. A message that was sent in a fault's
//! window counts for that fault. A client that the fault itself holds back, or that is not connected,
//! is served late by its own fault: what it hears after resuming counts from RESUMED on.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::stream::{Config, Republish};
use futures::StreamExt as _;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::faults::bus::REFERENCE;
use super::record::{Answer, Event, Op, Record, What};
use crate::Outcome;
use crate::eventually::{Seen, eventually};

/// What is sent so soon after a fault still counts for it.
const AFTER_US: u64 = 10_000_000;
/// From one reference message to the next.
const EVERY: Duration = Duration::from_millis(100);
/// How long one publish to the reference stream is waited for before it is tried again.
const TRY: Duration = Duration::from_secs(2);
/// The reference stream is there by then.
const MADE_WITHIN: Duration = Duration::from_secs(30);
/// The subject of the reference, and where it is sent on to.
const SUBJECT: (&str, &str) = ("reference.in", "reference.out");

/// A stretch of time, and the longest that anything begun in it took.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    from: u64,
    to: u64,
    send: u64,
    live: u64,
    nats_send: u64,
    nats_live: u64,
}

/// Times of reference messages, in microseconds of the run: published, acknowledged, heard.
#[derive(Debug, Default)]
pub struct Reference {
    took: Vec<(u64, u64, u64)>,
}

/// The costs of one kind of fault.
#[derive(Debug)]
pub struct Costs {
    kind: String,
    windows: Vec<Window>,
}

/// Makes the stream that a bare publisher writes to.
pub async fn prepare(client: &async_nats::Client) -> Outcome {
    let context = jetstream::new(client.clone());
    let (source, destination) = (SUBJECT.0.to_owned(), SUBJECT.1.to_owned());
    let config = Config {
        name: REFERENCE.to_owned(),
        subjects: vec![source.clone()],
        num_replicas: 3,
        republish: Some(Republish { source, destination, headers_only: false }),
        ..Config::default()
    };
    // Nodes that have just become one may not yet know each other to be there.
    eventually("the reference stream is made", MADE_WITHIN, async || {
        let made = context.create_stream(config.clone()).await;
        Ok(made.map_or_else(Seen::not_yet, |_| Seen::Done(())))
    })
    .await
}

/// Publishes and listens on the bare nodes until it is dropped or `over` resolves.
pub async fn refer(
    client: async_nats::Client,
    now: impl Fn() -> u64,
    over: impl Future<Output = ()>,
) -> Outcome<Reference> {
    let context = jetstream::new(client.clone());
    let mut heard = client.subscribe(SUBJECT.1).await?;
    let mut sent: BTreeMap<u64, (u64, Option<u64>, Option<u64>)> = BTreeMap::new();
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tokio::pin!(over);
    let mut number = 0_u64;
    let mut waiting = futures::stream::FuturesUnordered::new();
    loop {
        tokio::select! {
            () = &mut over => break,
            _ = ticks.tick() => {
                number += 1;
                sent.insert(number, (now(), None, None));
                waiting.push(publish(&context, number));
            }
            Some(done) = waiting.next() => {
                let acked = now();
                sent.entry(done).and_modify(|times| times.1 = Some(acked));
            }
            Some(message) = heard.next() => {
                let at = now();
                let number = String::from_utf8_lossy(&message.payload).parse().unwrap_or(0);
                sent.entry(number).and_modify(|times| _ = times.2.get_or_insert(at));
            }
        }
    }
    let end = now();
    let took = |(at, acked, heard): (u64, Option<u64>, Option<u64>)| {
        (at, acked.unwrap_or(end), heard.unwrap_or(end))
    };
    Ok(Reference { took: sent.into_values().map(took).collect() })
}

/// As a careful publisher does: again under the same id until it is acknowledged.
async fn publish(context: &jetstream::Context, number: u64) -> u64 {
    let give_up = Instant::now() + Duration::from_mins(2);
    while Instant::now() < give_up {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Nats-Msg-Id", number.to_string());
        let payload = number.to_string().into();
        let published = timeout(TRY, async {
            let ack = context.publish_with_headers(SUBJECT.0, headers, payload).await?;
            ack.await
        });
        if matches!(published.await, Ok(Ok(_))) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    number
}

impl Costs {
    /// Reads what each fault of a record cost.
    pub fn read(kind: &str, record: &Record, reference: &Reference) -> Self {
        let mut windows: BTreeMap<u64, Window> = BTreeMap::new();
        for note in &record.notes {
            match note.what {
                What::FaultBegan { fault, .. } => {
                    let to = note.at + AFTER_US;
                    windows.insert(fault, Window { from: note.at, to, ..Window::default() });
                }
                What::FaultEnded { fault } => {
                    windows.entry(fault).and_modify(|window| window.to = note.at + AFTER_US);
                }
                _ => {}
            }
        }
        let mut costs = Self { kind: kind.to_owned(), windows: windows.into_values().collect() };
        costs.sends(record);
        costs.live(record);
        for &(at, acked, heard) in &reference.took {
            costs.note(at, |window| &mut window.nats_send, acked.saturating_sub(at));
            costs.note(at, |window| &mut window.nats_live, heard.saturating_sub(acked));
        }
        costs
    }

    fn note(&mut self, at: u64, place: impl Fn(&mut Window) -> &mut u64, took: u64) {
        for window in
            self.windows.iter_mut().filter(|window| (window.from..=window.to).contains(&at))
        {
            let place = place(window);
            *place = (*place).max(took);
        }
    }

    /// From the first time that a message was sent until it was first known to be there.
    fn sends(&mut self, record: &Record) {
        let (mut first, mut calls) = (BTreeMap::new(), BTreeMap::new());
        for note in &record.notes {
            match &note.what {
                What::Asked { call, op: Op::Send { nonce, .. }, .. } => {
                    first.entry(nonce).or_insert(note.at);
                    calls.insert(*call, nonce);
                }
                What::Answered { call, answer: Answer::Done(_) } => {
                    if let Some(nonce) = calls.remove(call)
                        && let Some(at) = first.remove(nonce)
                    {
                        self.note(at, |window| &mut window.send, note.at - at);
                    }
                }
                _ => {}
            }
        }
    }

    /// From the log, or from RESUMED if that was later, until a client had it.
    fn live(&mut self, record: &Record) {
        let mut unix = 0;
        let mut resumed = BTreeMap::new();
        for note in &record.notes {
            match &note.what {
                What::Began { unix_us, .. } => unix = *unix_us,
                What::Heard { connection, event: Event::Resumed } => {
                    resumed.insert(*connection, note.at);
                }
                What::Heard { connection, event: Event::Entry(entry) } => {
                    if let Some(&since) = resumed.get(connection) {
                        let at = entry.at.saturating_sub(unix);
                        let took = note.at.saturating_sub(at.max(since));
                        self.note(at, |window| &mut window.live, took);
                    }
                }
                _ => {}
            }
        }
    }
}

impl fmt::Display for Costs {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cell = |get: fn(&Window) -> u64| {
            let mut all: Vec<u64> = self.windows.iter().map(get).collect();
            all.sort_unstable();
            let show = |us: u64| format!("{}.{} s", us / 1_000_000, us / 100_000 % 10);
            match (all.get(all.len() / 2), all.last()) {
                (Some(&p50), Some(&worst)) => format!("{} / {}", show(p50), show(worst)),
                _ => "-".to_owned(),
            }
        };
        let cells = [
            cell(|window| window.send),
            cell(|window| window.live),
            cell(|window| window.nats_send),
            cell(|window| window.nats_live),
        ];
        write!(out, "| {} | {} | {} |", self.kind, self.windows.len(), cells.join(" | "))
    }
}
