//! One socket from HELLO to its end.
//!
//! Invariant: whatever happens, the peer is sent a close code of the protocol if it can still be
//! sent anything, and everything this socket was registered with is unregistered.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use bus_schema::error::Close;
use bus_schema::events::{Hello, Reconnect};
use bus_schema::frames::{self, BadFrame, ClientFrame, Identify, op};
use bus_schema::limits;
use bus_schema::runtime::shutdown::Shutdown;
use futures::StreamExt as _;
use tokio::time::{Instant, timeout, timeout_at};

use super::handshake::Refused;
use super::{handshake, reader, writer};
use crate::hub::handle::UserCommand;
use crate::state::Edge;

/// How long a close frame may take to be written.
const CLOSE_WRITE: Duration = Duration::from_secs(2);
/// Product and version, for HELLO.
const SERVER: &str = concat!("natter/", env!("CARGO_PKG_VERSION"));

/// Serves one socket.
pub(super) async fn run(edge: Arc<Edge>, mut socket: WebSocket) {
    let identify = match greet(&mut socket).await {
        Ok(identify) => identify,
        Err(Some(why)) => return close(&mut socket, why).await,
        Err(None) => return,
    };
    let ready = match handshake::identify(&edge, identify).await {
        Ok(ready) => ready,
        Err(refused) => return refuse(&mut socket, refused).await,
    };
    let (outbox, user) = (ready.outbox.clone(), ready.user.clone());
    let session = edge.sessions.watch(ready.session);
    let (sink, mut stream) = socket.split();
    let written = Shutdown::new();
    let writing = tokio::spawn(writer::run(edge.clone(), sink, ready.writing, written.clone()));
    let connection =
        reader::Connection { edge, outbox: outbox.clone(), account: ready.account, written };
    let why = reader::run(connection, &mut stream, session).await;
    let gone = Close::Unavailable;
    outbox.close(why.unwrap_or(gone));
    // What was sent and not read would have the connection reset, and the close frame with it.
    let rest = async { while let Some(Ok(_)) = stream.next().await {} };
    let written = async {
        let _ = writing.await;
        tokio::time::sleep(CLOSE_WRITE).await;
    };
    tokio::select! {
        () = rest => {}
        () = written => {}
    }
    user.send(UserCommand::Leave(outbox.id)).await;
}

/// Says HELLO and waits for IDENTIFY. The error is the close code, or nothing if the peer left.
async fn greet(socket: &mut WebSocket) -> Result<Identify, Option<Close>> {
    let hello = Hello { heartbeat_interval_ms: limits::HEARTBEAT_MS, server: SERVER.to_owned() };
    let deadline = Instant::now() + Duration::from_secs(limits::IDENTIFY_S);
    send(socket, frames::control(op::HELLO, Some(&hello)), deadline).await?;
    loop {
        let message = timeout_at(deadline, socket.recv()).await;
        let message = message.map_err(|_| Some(Close::TimedOut))?;
        let text = match text_of(message, limits::IDENTIFY_BYTES) {
            Incoming::Text(text) => text,
            Incoming::Nothing => continue,
            Incoming::Bad(why) => return Err(Some(why)),
            Incoming::End => return Err(None),
        };
        match ClientFrame::parse(&text) {
            Ok(ClientFrame::Identify(identify)) => return Ok(identify),
            Ok(ClientFrame::Heartbeat) => {
                let answer = frames::control::<()>(op::HEARTBEAT_ACK, None);
                send(socket, answer, deadline).await?;
            }
            Err(BadFrame::Close(why)) => return Err(Some(why)),
            Ok(_) | Err(BadFrame::Nack(_)) => return Err(Some(Close::NotIdentified)),
        }
    }
}

async fn send(
    socket: &mut WebSocket,
    frame: String,
    deadline: Instant,
) -> Result<(), Option<Close>> {
    let sent = timeout_at(deadline, socket.send(Message::text(frame))).await;
    match sent {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(None),
        Err(_) => Err(Some(Close::NotReading)),
    }
}

/// Ends a socket that is not served; tells it when to come back where that is known.
async fn refuse(socket: &mut WebSocket, refused: Refused) {
    if let Some(away) = refused.away {
        let hint = Reconnect { after_ms: away.after_ms() };
        let frame = frames::control(op::RECONNECT, Some(&hint));
        let _ = timeout(CLOSE_WRITE, socket.send(Message::text(frame))).await;
    }
    close(socket, refused.close).await;
}

async fn close(socket: &mut WebSocket, why: Close) {
    count_close(why);
    let _ = timeout(CLOSE_WRITE, socket.send(close_message(why))).await;
    // Reading on lets the peer's close arrive, instead of resetting what it has not read yet.
    let _ = timeout(CLOSE_WRITE, async { while let Some(Ok(_)) = socket.recv().await {} }).await;
}

pub(super) fn count_close(why: Close) {
    metrics::counter!("natter_closes_total", "code" => why.code().to_string()).increment(1);
}

pub(super) fn close_message(why: Close) -> Message {
    Message::Close(Some(CloseFrame { code: why.code(), reason: why.reason().into() }))
}

/// What a peer sent.
pub(super) enum Incoming {
    Text(axum::extract::ws::Utf8Bytes),
    /// Nothing that counts: a ping or pong.
    Nothing,
    Bad(Close),
    End,
}

/// Sorts a message; `max` is the bound of a text in bytes.
pub(super) fn text_of(message: Option<Result<Message, axum::Error>>, max: usize) -> Incoming {
    match message {
        None | Some(Ok(Message::Close(_))) => Incoming::End,
        Some(Ok(Message::Text(text))) if text.len() > max => Incoming::Bad(Close::TooLarge),
        Some(Ok(Message::Text(text))) => Incoming::Text(text),
        Some(Ok(Message::Binary(_))) => Incoming::Bad(Close::BadFrame),
        Some(Ok(Message::Ping(_) | Message::Pong(_))) => Incoming::Nothing,
        Some(Err(error)) => match error.into_inner().downcast::<tungstenite::Error>() {
            Ok(error) => match *error {
                tungstenite::Error::Capacity(_) => Incoming::Bad(Close::TooLarge),
                tungstenite::Error::Protocol(
                    tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
                ) => Incoming::End,
                tungstenite::Error::Utf8(_) | tungstenite::Error::Protocol(_) => {
                    Incoming::Bad(Close::BadFrame)
                }
                _ => Incoming::End,
            },
            Err(_) => Incoming::End,
        },
    }
}
