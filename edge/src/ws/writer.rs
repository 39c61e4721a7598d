//! Writing to one socket: queued frames, and conversations pulled at the pace it drains.
//!
//! Invariant: RESUMED is written when every replay of IDENTIFY has been written or cut by a GAP. A
//! peer that reads not one byte in 30 s is closed with 4010; nobody else waits for it.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, Utf8Bytes, WebSocket};
use bus_schema::error::Close;
use bus_schema::frames::{self, event};
use bus_schema::limits;
use bus_schema::runtime::shutdown::Shutdown;
use futures::SinkExt as _;
use futures::stream::SplitSink;
use tokio::time::timeout;

use super::connection::{close_message, count_close};
use super::outbox::{Outbox, Work};
use super::pull;
use super::replays::{Bounds, Replay, Replays};
use crate::state::Edge;

/// What a writer starts with.
pub(super) struct Writing {
    pub(super) outbox: Arc<Outbox>,
    replays: Replays,
}

impl Writing {
    pub(super) fn new(outbox: Arc<Outbox>, replays: &[Replay]) -> Self {
        Self { outbox, replays: Replays::new(Bounds::PROTOCOL, replays) }
    }
}

/// How long a write may make no progress.
const STUCK: Duration = Duration::from_secs(limits::NOT_READING_S);
/// How long what is queued may take to be written before a close.
const LAST_WORDS: Duration = Duration::from_secs(5);

pub(super) struct Writer {
    pub(super) edge: Arc<Edge>,
    pub(super) outbox: Arc<Outbox>,
    sink: SplitSink<WebSocket, Message>,
    pub(super) replays: Replays,
}

/// Why writing ended.
pub(super) enum End {
    /// The peer has gone.
    Lost,
    /// It does not read.
    Stuck,
}

/// Writes until the socket is to be closed or the peer is gone.
pub(super) async fn run(
    edge: Arc<Edge>,
    sink: SplitSink<WebSocket, Message>,
    writing: Writing,
    written: Shutdown,
) {
    let Writing { outbox, replays } = writing;
    let mut writer = Writer { edge, outbox: outbox.clone(), sink, replays };
    let why = match writer.work().await {
        Ok(why) => Some(why),
        Err(End::Stuck) => Some(Close::NotReading),
        Err(End::Lost) => None,
    };
    if let Some(why) = why {
        count_close(why);
        let _ = timeout(LAST_WORDS, writer.sink.send(close_message(why))).await;
    }
    outbox.close(why.unwrap_or(Close::Unavailable));
    written.request();
}

impl Writer {
    async fn work(&mut self) -> Result<Close, End> {
        // Without anything to replay RESUMED follows READY, which is queued already.
        let mut resumed = false;
        loop {
            match self.outbox.try_work() {
                Some(Work::Frame(frame)) => self.write(frame).await?,
                Some(Work::Pull(lag)) => {
                    let done = pull::pull(self, lag).await?;
                    if done && let Some(id) = lag.place.conversation() {
                        self.replays.done(id);
                    }
                }
                Some(Work::Close(why)) => return Ok(why),
                None => {
                    if !resumed && self.replays.are_done() {
                        resumed = true;
                        self.write(frames::dispatch(event::RESUMED, &Nothing {}).into()).await?;
                    }
                    self.flush().await?;
                    self.outbox.ready().await;
                }
            }
        }
    }

    pub(super) async fn write(&mut self, frame: Utf8Bytes) -> Result<(), End> {
        Self::within(self.sink.feed(Message::Text(frame))).await
    }

    async fn flush(&mut self) -> Result<(), End> {
        Self::within(self.sink.flush()).await
    }

    async fn within(
        write: impl Future<Output = Result<(), axum::Error>> + Send,
    ) -> Result<(), End> {
        match timeout(STUCK, write).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Lost),
            Err(_) => Err(End::Stuck),
        }
    }
}

#[derive(serde::Serialize)]
struct Nothing {}
