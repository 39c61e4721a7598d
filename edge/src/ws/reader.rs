//! Reading from one socket: frames to commands, within the rates, until it ends.
//!
//! Invariant: nothing a client sends is worked on without bound: SENDs are rated, all frames are
//! rated at ten times that, and a client that does not read its answers is not read from.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::WebSocket;
use bus_schema::error::{Close, Code, Failure};
use bus_schema::events::Reconnect;
use bus_schema::frames::{self, BadFrame, ClientFrame, event, op};
use bus_schema::ids::UserId;
use bus_schema::limits;
use bus_schema::runtime::shutdown::Shutdown;
use futures::StreamExt as _;
use futures::stream::SplitStream;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use rand::RngExt as _;
use tokio::time::{Instant, sleep_until};

use super::commands::Commands;
use super::connection::{Incoming, text_of};
use super::outbox::Outbox;
use crate::sessions::SessionWatch;
use crate::state::Edge;

/// What the reader needs of its connection.
pub(super) struct Connection {
    pub(super) edge: Arc<Edge>,
    pub(super) outbox: Arc<Outbox>,
    pub(super) account: UserId,
    /// Requested by the writer when it has ended.
    pub(super) written: Shutdown,
}

struct Rates {
    sends: DefaultDirectRateLimiter,
    frames: DefaultDirectRateLimiter,
}

impl Rates {
    fn new(edge: &Edge) -> Self {
        let quota = |per_s: u32, burst: u32| {
            let at_least_one = |n: u32| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
            Quota::per_second(at_least_one(per_s)).allow_burst(at_least_one(burst))
        };
        let (per_s, burst) = (edge.settings.send_per_s, edge.settings.send_burst);
        Self {
            sends: RateLimiter::direct(quota(per_s, burst)),
            frames: RateLimiter::direct(quota(per_s * 10, burst * 10)),
        }
    }
}

/// How long a silent client lives.
const SILENCE: Duration = Duration::from_millis(2 * limits::HEARTBEAT_MS);
/// Milliseconds over which the clients of an edge that stops are spread at most: the other edges are
/// well, and admit them at their own rate.
const STOP_SPREAD_MS: u64 = 1_000;

/// Reads until the socket must be closed, or is (nothing).
pub(super) async fn run(
    connection: Connection,
    stream: &mut SplitStream<WebSocket>,
    mut session: SessionWatch,
) -> Option<Close> {
    let Connection { edge, outbox, account, written } = connection;
    let rates = Rates::new(&edge);
    let commands = Commands::start(&edge, outbox.clone(), account);
    let mut heard = Instant::now();
    let leave = leave(edge);
    tokio::pin!(leave);
    loop {
        let message = tokio::select! {
            message = stream.next() => message,
            () = sleep_until(heard + SILENCE) => return Some(Close::TimedOut),
            () = session.ended() => return Some(Close::Unauthorized),
            after_ms = &mut leave => {
                let frame = frames::control(op::RECONNECT, Some(&Reconnect { after_ms }));
                outbox.push_sure(frame.into());
                tokio::select! {
                    () = commands.finish() => {}
                    () = written.requested() => return None,
                }
                return Some(Close::Unavailable);
            }
            () = written.requested() => return None,
        };
        let text = match text_of(message, limits::FRAME_BYTES) {
            Incoming::Text(text) => text,
            Incoming::Nothing => continue,
            Incoming::Bad(why) => return Some(why),
            Incoming::End => return None,
        };
        heard = Instant::now();
        if rates.frames.check().is_err() {
            return Some(Close::RateLimited);
        }
        match ClientFrame::parse(&text) {
            Ok(ClientFrame::Identify(_)) => return Some(Close::AlreadyIdentified),
            Err(BadFrame::Close(why)) => return Some(why),
            Err(BadFrame::Nack(nack)) => {
                outbox.push_sure(frames::dispatch(event::NACK, &nack).into());
            }
            Ok(ClientFrame::Heartbeat) => {
                outbox.push_sure(frames::control::<()>(op::HEARTBEAT_ACK, None).into());
            }
            Ok(ClientFrame::Send(send)) => {
                if let Err(not_until) = rates.sends.check() {
                    let wait = not_until.wait_time_from(governor::clock::Clock::now(
                        &governor::clock::DefaultClock::default(),
                    ));
                    let wait = u64::try_from(wait.as_millis()).unwrap_or(1_000) + 1;
                    let failure = Failure::new(Code::RateLimited, "too fast");
                    commands.refuse_send(&send, failure.retry_after_ms(wait));
                } else {
                    commands.send(send);
                }
            }
            Ok(other) => commands.aside(other),
        }
        tokio::select! {
            () = outbox.room() => {}
            () = written.requested() => return None,
        }
    }
}

/// Resolves when this socket should go elsewhere, with the milliseconds to wait before coming back:
/// when the edge stops, or when it has been without NATS for too long.
async fn leave(edge: Arc<Edge>) -> u64 {
    let spread = edge.settings.reconnect_spread_s * 1_000;
    let after_ms = rand::rng().random_range(0..=spread.max(1));
    let mut status = edge.bus.status();
    let cut_off = Duration::from_secs(edge.settings.cut_off_s);
    loop {
        let now = *status.borrow_and_update();
        let patience = if now.connected {
            Duration::from_hours(24)
        } else {
            cut_off + Duration::from_millis(after_ms)
        };
        tokio::select! {
            () = edge.shutdown.requested() => {
                return rand::rng().random_range(0..=spread.min(STOP_SPREAD_MS));
            }
            changed = status.changed() => if changed.is_err() { return 0 },
            () = sleep_until(now.since + patience), if !now.connected => return 0,
        }
    }
}
