//! A websocket that is read, and kept alive, whether or not its owner looks.
//!
//! Invariant: frames are stamped as they are read, kept in order, and bounded: with a full queue
//! reading stops, which the server sees as a slow client. Dropping the link breaks the connection
//! without a word, as a crash would; [`Link::close`] says goodbye.

use std::time::{Duration, Instant};

use futures::SinkExt as _;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_tungstenite::tungstenite::Message;

use super::socket::{Heard, Stream, connect, next};
use crate::{Context as _, Outcome};

/// Frames read and not yet looked at.
const ARRIVALS: usize = 1024;
/// Frames to be sent.
const ORDERS: usize = 64;
/// Heartbeats before HELLO says how often they are due.
const FIRST_HEARTBEAT: Duration = Duration::from_secs(5);
/// How long a goodbye may take.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// A frame and when it was read.
#[derive(Debug)]
pub struct Arrival {
    /// When it was read from the socket.
    pub at: Instant,
    /// What it says.
    pub frame: Value,
}

/// How a connection ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The close code, if the server gave one.
    pub code: Option<u16>,
    /// What the client noticed.
    pub reason: String,
}

/// A connection with a task that serves it.
pub struct Link {
    arrivals: mpsc::Receiver<Result<Arrival, Ended>>,
    orders: mpsc::Sender<Message>,
    task: JoinHandle<()>,
}

impl Link {
    /// Connects to an edge.
    pub async fn open(base: &str) -> Outcome<Self> {
        let stream = connect(base, None).await?;
        let (deliver, arrivals) = mpsc::channel(ARRIVALS);
        let (orders, wishes) = mpsc::channel(ORDERS);
        let task = tokio::spawn(Box::pin(serve(stream, deliver, wishes)));
        Ok(Self { arrivals, orders, task })
    }

    /// Sends a frame; fails when the connection has ended.
    pub async fn send(&self, frame: &Value) -> Outcome {
        self.orders.send(Message::text(frame.to_string())).await.during("the connection ended")
    }

    /// The next frame, or how the connection ended. Safe to cancel.
    pub async fn next(&mut self) -> Result<Arrival, Ended> {
        match self.arrivals.recv().await {
            Some(arrival) => arrival,
            None => Err(Ended { code: None, reason: "the connection has ended".into() }),
        }
    }

    /// Closes in good order.
    pub async fn close(mut self) {
        let _ = self.orders.send(Message::Close(None)).await;
        // Reading on: the server's close frame may stand behind others.
        let drained = async { while self.next().await.is_ok() {} };
        let _ = timeout(CLOSE_WITHIN, drained).await;
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut stream: Stream,
    deliver: mpsc::Sender<Result<Arrival, Ended>>,
    mut wishes: mpsc::Receiver<Message>,
) {
    let mut heartbeat = beat(FIRST_HEARTBEAT);
    let mut broken = false;
    loop {
        let read = async {
            let place = deliver.reserve().await;
            (place, next(&mut stream).await)
        };
        let message = tokio::select! {
            wish = wishes.recv(), if !broken => match wish {
                Some(message) => message,
                None => return,
            },
            _ = heartbeat.tick(), if !broken => Message::text(r#"{"op":1}"#),
            (place, heard) = read => {
                let Ok(place) = place else { return };
                let at = Instant::now();
                match heard {
                    Ok(Heard::Frame(frame)) if frame["op"] == 10 => {
                        if let Some(wait) = frame["d"]["heartbeat_interval_ms"].as_u64() {
                            heartbeat = beat(Duration::from_millis(wait.max(4)) * 3 / 4);
                        }
                    }
                    Ok(Heard::Frame(frame)) => place.send(Ok(Arrival { at, frame })),
                    Ok(Heard::Closed(code)) => {
                        place.send(Err(Ended { code, reason: "closed by the server".into() }));
                        return;
                    }
                    Err(failure) => {
                        place.send(Err(Ended { code: None, reason: failure.to_string() }));
                        return;
                    }
                }
                continue;
            }
        };
        if stream.send(message).await.is_err() {
            // What is wrong shows on reading, with the close code if there is one.
            broken = true;
            wishes.close();
        }
    }
}

fn beat(every: Duration) -> tokio::time::Interval {
    let mut beat = interval(every);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beat.reset();
    beat
}
