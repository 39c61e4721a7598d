//! Websocket frames: `{"op": n, "t"?: event, "d"?: data}`.
//!
//! Invariant: whatever bytes a client sends, [`ClientFrame::parse`] answers with a frame, a NACK or
//! the documented close code, and never panics. Length bounds are checked by the caller, who knows
//! whether the client has identified.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::error::{Close, Failure};
use crate::events::Nack;
use crate::ids::{ConversationId, EntryId};
use crate::limits;
use crate::text::{Content, Nonce};

/// The numbers of the frames.
pub mod op {
    /// Server: an event.
    pub const DISPATCH: u8 = 0;
    /// Client: still here.
    pub const HEARTBEAT: u8 = 1;
    /// Client: who I am and what I have.
    pub const IDENTIFY: u8 = 2;
    /// Server: leave and resume elsewhere.
    pub const RECONNECT: u8 = 7;
    /// Server: the greeting.
    pub const HELLO: u8 = 10;
    /// Server: the answer to HEARTBEAT.
    pub const HEARTBEAT_ACK: u8 = 11;
    /// Client: a message.
    pub const SEND: u8 = 20;
    /// Client: typing.
    pub const TYPING: u8 = 21;
    /// Client: the read marker.
    pub const READ: u8 = 22;
}

/// Names of the events that are not entries.
pub mod event {
    /// First.
    pub const READY: &str = "READY";
    /// All replays are sent.
    pub const RESUMED: &str = "RESUMED";
    /// A conversation is yours.
    pub const CONVERSATION_ADD: &str = "CONVERSATION_ADD";
    /// A conversation is no longer yours.
    pub const CONVERSATION_REMOVE: &str = "CONVERSATION_REMOVE";
    /// A profile changed.
    pub const USER_UPDATE: &str = "USER_UPDATE";
    /// Somebody is typing.
    pub const TYPING: &str = "TYPING";
    /// A marker moved.
    pub const READ: &str = "READ";
    /// Page what is between.
    pub const GAP: &str = "GAP";
    /// A SEND is durable.
    pub const ACK: &str = "ACK";
    /// A frame was refused.
    pub const NACK: &str = "NACK";
}

/// IDENTIFY.
#[derive(Clone, PartialEq, Eq, JsonSchema)]
pub struct Identify {
    /// An access token.
    pub token: String,
    /// For each known conversation, up to where the client has it.
    #[schemars(default)]
    pub cursors: HashMap<ConversationId, EntryId>,
}

impl std::fmt::Debug for Identify {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identify").field("cursors", &self.cursors.len()).finish_non_exhaustive()
    }
}

/// SEND.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
pub struct Send {
    /// Where.
    pub conversation_id: ConversationId,
    /// What.
    pub content: Content,
    /// Its name.
    pub nonce: Nonce,
}

/// What a client asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientFrame {
    /// Still here.
    Heartbeat,
    /// Who I am.
    Identify(Identify),
    /// A message.
    Send(Send),
    /// Typing.
    Typing(ConversationId),
    /// Read up to here.
    Read(ConversationId, EntryId),
}

/// Why a frame was not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BadFrame {
    /// The socket ends.
    Close(Close),
    /// The frame is answered, the socket lives.
    Nack(Nack),
}

/// The JSON value under a key, not parsed yet. A key given twice keeps its last value, as usual.
type Object<'a> = HashMap<std::borrow::Cow<'a, str>, &'a RawValue>;

fn text(data: &Object<'_>, key: &str) -> Option<String> {
    serde_json::from_str(data.get(key)?.get()).ok()
}

impl ClientFrame {
    /// Reads one frame.
    pub fn parse(frame: &str) -> Result<Self, BadFrame> {
        let bad = BadFrame::Close(Close::BadFrame);
        let outer: Object<'_> = serde_json::from_str(frame).map_err(|_| bad.clone())?;
        let op = outer.get("op").ok_or(bad.clone())?.get();
        let op: i64 = serde_json::from_str(op).map_err(|_| bad.clone())?;
        let op = u8::try_from(op).map_err(|_| BadFrame::Close(Close::UnknownOp))?;
        let data = outer.get("d").map(|d| d.get());
        match op {
            op::HEARTBEAT => Ok(Self::Heartbeat),
            op::IDENTIFY => data.and_then(identify).map(Self::Identify).ok_or(bad),
            op::SEND | op::TYPING | op::READ => {
                let data = data.and_then(|d| serde_json::from_str(d).ok()).unwrap_or_default();
                command(op, &data).map_err(|refusal| {
                    BadFrame::Nack(nack(
                        op,
                        text(&data, "conversation_id"),
                        text(&data, "nonce"),
                        refusal,
                    ))
                })
            }
            _ => Err(BadFrame::Close(Close::UnknownOp)),
        }
    }
}

fn identify(data: &str) -> Option<Identify> {
    #[derive(serde::Deserialize)]
    struct Raw {
        token: String,
        #[serde(default)]
        cursors: Option<HashMap<ConversationId, EntryId>>,
    }
    let raw: Raw = serde_json::from_str(data).ok()?;
    let cursors = raw.cursors.unwrap_or_default();
    (cursors.len() <= limits::CURSORS).then_some(Identify { token: raw.token, cursors })
}

fn command(op: u8, data: &Object<'_>) -> Result<ClientFrame, Failure> {
    let id = |key: &'static str| {
        text(data, key)
            .and_then(|id| id.parse::<u64>().ok().filter(|n| n.to_string() == id))
            .ok_or_else(|| Failure::bad_request(format!("{key}: an id as a decimal string")))
    };
    let string = |key: &'static str| {
        text(data, key).ok_or_else(|| Failure::bad_request(format!("{key}: a string")))
    };
    let conversation_id = ConversationId(id("conversation_id")?);
    Ok(match op {
        op::TYPING => ClientFrame::Typing(conversation_id),
        op::READ => ClientFrame::Read(conversation_id, EntryId(id("id")?)),
        _ => ClientFrame::Send(Send {
            conversation_id,
            nonce: Nonce::parse(&string("nonce")?)?,
            content: Content::parse(&string("content")?)?,
        }),
    })
}

/// The NACK for a refusal. Echoed texts are cut to a length no valid value has.
pub fn nack(op: u8, conversation: Option<String>, nonce: Option<String>, why: Failure) -> Nack {
    let cut = |text: String| text.chars().take(64).collect();
    Nack {
        op,
        conversation_id: conversation.map(cut),
        nonce: nonce.map(cut),
        code: why.code,
        message: why.message.into_owned(),
        retry_after_ms: why.retry_after_ms,
    }
}

#[derive(Serialize)]
struct Frame<'a, T> {
    op: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    t: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    d: Option<&'a T>,
}

/// An event as a frame.
pub fn dispatch<T: Serialize>(event: &str, data: &T) -> String {
    encode(&Frame { op: op::DISPATCH, t: Some(event), d: Some(data) })
}

/// Any other frame of the server.
pub fn control<T: Serialize>(op: u8, data: Option<&T>) -> String {
    encode(&Frame { op, t: None, d: data })
}

/// Types of this crate have string keys and no failing serializer, so this cannot fail.
fn encode<T: Serialize>(frame: &Frame<'_, T>) -> String {
    serde_json::to_string(frame).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::error::Code;

    fn close(frame: &str) -> Option<Close> {
        match ClientFrame::parse(frame) {
            Err(BadFrame::Close(close)) => Some(close),
            _ => None,
        }
    }

    #[test]
    fn reads_every_op() {
        let parse = |f: &str| ClientFrame::parse(f).unwrap();
        assert_eq!(parse(r#"{"d":null,"op":1}"#), ClientFrame::Heartbeat);
        assert_eq!(
            parse(r#"{"op":21,"d":{"conversation_id":"5"}}"#),
            ClientFrame::Typing(ConversationId(5))
        );
        assert_eq!(
            parse(r#"{"op":22,"d":{"conversation_id":"5","id":"0"}}"#),
            ClientFrame::Read(ConversationId(5), EntryId(0))
        );
        let ClientFrame::Identify(identify) =
            parse(r#"{"op":2,"d":{"token":"t","cursors":{"5":"9"},"more":1}}"#)
        else {
            panic!("not an IDENTIFY")
        };
        assert_eq!(identify.cursors[&ConversationId(5)], EntryId(9));
        assert!(matches!(
            parse(r#"{"op":20,"d":{"conversation_id":"5","content":" x\u0000 ","nonce":"n"}}"#),
            ClientFrame::Send(s) if s.content.as_str() == "x"
        ));
    }

    #[test]
    fn closes_as_documented() {
        for bad in [
            "",
            "[]",
            "1",
            "null",
            "{}",
            r#"{"op":"1"}"#,
            r#"{"op":1.5}"#,
            r#"{"op":2}"#,
            r#"{"op":2,"d":{"token":1}}"#,
            r#"{"op":2,"d":{"token":"t","cursors":{"x":"1"}}}"#,
            r#"{"op":2,"d":{"token":"t","cursors":{"1":1}}}"#,
            r#"{"op":1}{"op":1}"#,
        ] {
            assert_eq!(close(bad), Some(Close::BadFrame), "{bad}");
        }
        for bad in
            [r#"{"op":0}"#, r#"{"op":11}"#, r#"{"op":99}"#, r#"{"op":-1}"#, r#"{"op":4294967298}"#]
        {
            assert_eq!(close(bad), Some(Close::UnknownOp), "{bad}");
        }
    }

    #[test]
    fn too_many_cursors_are_a_bad_identify() {
        let cursors: Vec<_> = (0..=limits::CURSORS).map(|n| format!(r#""{n}":"1""#)).collect();
        let frame =
            format!(r#"{{"op":2,"d":{{"token":"t","cursors":{{{}}}}}}}"#, cursors.join(","));
        assert_eq!(close(&frame), Some(Close::BadFrame));
    }

    #[test]
    fn a_bad_send_is_answered_with_what_could_be_read() {
        let frame = r#"{"op":20,"d":{"conversation_id":"5","nonce":"n","content":7}}"#;
        let Err(BadFrame::Nack(nack)) = ClientFrame::parse(frame) else { panic!("no NACK") };
        assert_eq!((nack.op, nack.code), (20, Code::BadRequest));
        assert_eq!(nack.conversation_id.as_deref(), Some("5"));
        assert_eq!(nack.nonce.as_deref(), Some("n"));
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in r#"[\{\}\[\]":,0-9a-z\\ \-\.]{0,80}"#) {
            let _ = ClientFrame::parse(&text);
        }

        #[test]
        fn any_data_of_a_send_is_answered(data in any::<String>()) {
            let d = serde_json::to_string(&data).unwrap();
            let outcome = ClientFrame::parse(&format!(r#"{{"op":20,"d":{{"content":{d}}}}}"#));
            prop_assert!(matches!(outcome, Err(BadFrame::Nack(_))));
        }
    }
}
