//! A bare websocket: exactly the bytes a test wants to send, and what comes back.
//!
//! Invariant: it adds nothing by itself, neither heartbeats nor IDENTIFY, so that a test of bad input
//! sends what it says. For well-behaved clients there is [`super::Session`].

use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::json::Look as _;
use crate::{Context as _, Outcome, ensure, fail};

/// A connection as the library makes it.
pub type Stream = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// The longest a connection may take to be made.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// The longest a test waits for one frame.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// One websocket.
pub struct Socket {
    stream: Stream,
}

/// What came.
#[derive(Debug)]
pub enum Heard {
    /// A text frame of JSON.
    Frame(Value),
    /// The end, with the close code if there was one.
    Closed(Option<u16>),
}

impl Socket {
    /// Connects to the gateway of an edge (`http://host:port`).
    pub async fn open(base: &str) -> Outcome<Self> {
        Ok(Self { stream: connect(base, None).await? })
    }

    /// Connects with an Origin; a refusal before the upgrade is the inner error, its HTTP status.
    pub async fn open_from(base: &str, origin: &str) -> Outcome<Result<Self, u16>> {
        let request = request(base, Some(origin))?;
        match timeout(CONNECT_WITHIN, connect_async(request)).await? {
            Ok((stream, _)) => Ok(Ok(Self { stream })),
            Err(Error::Http(response)) => Ok(Err(response.status().as_u16())),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends a frame.
    pub async fn send(&mut self, frame: &Value) -> Outcome {
        self.send_message(Message::text(frame.to_string())).await
    }

    /// Sends any text.
    pub async fn send_text(&mut self, text: &str) -> Outcome {
        self.send_message(Message::text(text.to_owned())).await
    }

    /// Sends a binary message.
    pub async fn send_binary(&mut self, bytes: Vec<u8>) -> Outcome {
        self.send_message(Message::binary(bytes)).await
    }

    /// Sends bytes as a text message, whether or not they are text.
    pub async fn send_bytes_as_text(&mut self, bytes: Vec<u8>) -> Outcome {
        let frame = Frame::message(bytes, OpCode::Data(Data::Text), true);
        self.send_message(Message::Frame(frame)).await
    }

    /// Sends a websocket ping, which is no heartbeat.
    pub async fn ping(&mut self) -> Outcome {
        self.send_message(Message::Ping(Vec::new().into())).await
    }

    async fn send_message(&mut self, message: Message) -> Outcome {
        timeout(ANSWER_WITHIN, self.stream.send(message)).await?.during("sending")
    }

    /// The next frame or the end.
    pub async fn next(&mut self) -> Outcome<Heard> {
        self.next_within(ANSWER_WITHIN).await
    }

    /// The next frame or the end, waiting that long.
    pub async fn next_within(&mut self, within: Duration) -> Outcome<Heard> {
        let next = timeout(within, next(&mut self.stream)).await;
        next.during(format_args!("no frame within {within:?}"))?
    }

    /// The first frame that is wanted, passing over others.
    pub async fn until(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Outcome<Value> {
        loop {
            match self.next().await.during(what)? {
                Heard::Frame(frame) if wanted(&frame) => return Ok(frame),
                Heard::Frame(_) => {}
                Heard::Closed(code) => fail!("{what}: closed with {code:?}"),
            }
        }
    }

    /// The data of the first event of a name, passing over others.
    pub async fn event(&mut self, name: &str) -> Outcome<Value> {
        let mut frame = self.until(name, |frame| frame["t"] == name).await?;
        ensure!(frame["op"] == 0, "an event with another op: {frame}");
        Ok(frame["d"].take())
    }

    /// Identifies without cursors and waits until RESUMED. Returns READY.
    pub async fn identify(&mut self, token: &str) -> Outcome<Value> {
        self.send(&json!({ "op": 2, "d": { "token": token } })).await?;
        let ready = self.event("READY").await?;
        self.event("RESUMED").await?;
        Ok(ready)
    }

    /// A round trip: what was sent before it has been taken in.
    pub async fn heartbeat(&mut self) -> Outcome {
        self.send(&json!({ "op": 1 })).await?;
        self.until("HEARTBEAT_ACK", |frame| frame["op"] == 11).await?;
        Ok(())
    }

    /// Reads on until the server closes, and returns the code.
    pub async fn closed(&mut self) -> Outcome<u16> {
        self.closed_within(ANSWER_WITHIN).await
    }

    /// Reads on until the server closes, at most that long for each frame.
    pub async fn closed_within(&mut self, within: Duration) -> Outcome<u16> {
        loop {
            if let Heard::Closed(code) = self.next_within(within).await? {
                return code.during("the connection ended without a close code");
            }
        }
    }

    /// The interval in which heartbeats are due, from HELLO.
    pub async fn hello(&mut self) -> Outcome<Duration> {
        let hello = self.until("HELLO", |frame| frame["op"] == 10).await?;
        hello.text("d/server")?;
        Ok(Duration::from_millis(hello.number("d/heartbeat_interval_ms")?))
    }
}

/// Connects to the gateway of an edge.
pub async fn connect(base: &str, origin: Option<&str>) -> Outcome<Stream> {
    let connecting = connect_async(request(base, origin)?);
    let (stream, _) = timeout(CONNECT_WITHIN, connecting).await?.during(base)?;
    Ok(stream)
}

/// The next frame of a connection, or how it ended.
pub async fn next(stream: &mut Stream) -> Outcome<Heard> {
    loop {
        return match stream.next().await {
            Some(Ok(Message::Text(text))) => {
                let frame = serde_json::from_str(&text);
                Ok(Heard::Frame(frame.during(format_args!("not JSON: {text}"))?))
            }
            Some(Ok(Message::Close(frame))) => {
                Ok(Heard::Closed(frame.map(|frame| frame.code.into())))
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
            Some(Ok(other)) => fail!("neither text nor control: {other:?}"),
            Some(Err(error)) if is_end(&error) => Ok(Heard::Closed(None)),
            Some(Err(error)) => Err(error.into()),
            None => Ok(Heard::Closed(None)),
        };
    }
}

/// Whether an error only says that the other side is gone.
fn is_end(error: &Error) -> bool {
    let abrupt = ProtocolError::ResetWithoutClosingHandshake;
    match error {
        Error::ConnectionClosed | Error::AlreadyClosed | Error::Io(_) => true,
        Error::Protocol(error) => *error == abrupt,
        _ => false,
    }
}

fn request(
    base: &str,
    origin: Option<&str>,
) -> Outcome<tokio_tungstenite::tungstenite::handshake::client::Request> {
    let rest = base.strip_prefix("http").during(format_args!("not http: {base}"))?;
    let mut request = format!("ws{rest}/v1/gateway").into_client_request()?;
    if let Some(origin) = origin {
        request.headers_mut().insert("origin", HeaderValue::from_str(origin)?);
    }
    Ok(request)
}
