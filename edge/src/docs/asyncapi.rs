//! AsyncAPI 3.0, from the frames and events of the websocket.
//!
//! As that standard has it, "send" and "receive" are the edge's.

use bus_schema::entry::EntryKind;
use bus_schema::error::Close;
use bus_schema::events::{
    Ack, Conversation, ConversationRemove, Gap, Hello, Nack, Read, Ready, Reconnect, Typing, User,
};
use bus_schema::frames::{Identify, Send, event, op};
use bus_schema::ids::ConversationId;
use bus_schema::ops::Empty;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::entries;
use super::schemas::Schemas;
use crate::http::SchemaOf;

/// One kind of frame.
struct Frame {
    name: &'static str,
    op: u8,
    /// For DISPATCH, whose events are told apart by name.
    event: bool,
    summary: &'static str,
    data: Option<SchemaOf>,
}

fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

const fn frame(name: &'static str, op: u8, summary: &'static str, data: Option<SchemaOf>) -> Frame {
    Frame { name, op, event: false, summary, data }
}

fn dispatch<T: JsonSchema>(name: &'static str, summary: &'static str) -> Frame {
    Frame { name, op: op::DISPATCH, event: true, summary, data: Some(schema_of::<T>) }
}

/// TYPING as clients send it: where is enough.
fn typing(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "required": ["conversation_id"],
        "properties": {"conversation_id": generator.subschema_for::<ConversationId>()},
    })
}

/// What clients send.
fn from_clients() -> Vec<Frame> {
    vec![
        frame("HEARTBEAT", op::HEARTBEAT, "Still here.", None),
        frame(
            "IDENTIFY",
            op::IDENTIFY,
            "Who I am, and up to where I have each conversation; within 10 s.",
            Some(schema_of::<Identify>),
        ),
        frame("SEND", op::SEND, "A message; answered by ACK or NACK.", Some(schema_of::<Send>)),
        frame("TYPING", op::TYPING, "Typing; answered only when wrong, by NACK.", Some(typing)),
        frame(
            "READ",
            op::READ,
            "Read up to here; answered only when wrong, by NACK.",
            Some(schema_of::<Read>),
        ),
    ]
}

/// What the edge sends, but for entries.
fn from_edges() -> Vec<Frame> {
    vec![
        frame("HELLO", op::HELLO, "First.", Some(schema_of::<Hello>)),
        frame("HEARTBEAT_ACK", op::HEARTBEAT_ACK, "The answer to HEARTBEAT.", None),
        frame(
            "RECONNECT",
            op::RECONNECT,
            "This edge leaves: connect to another after the wait and resume.",
            Some(schema_of::<Reconnect>),
        ),
        dispatch::<Ready>(event::READY, "The first event: everything one is in."),
        dispatch::<Empty>(event::RESUMED, "All replays and GAPs have been sent."),
        dispatch::<Conversation>(event::CONVERSATION_ADD, "A conversation is yours."),
        dispatch::<ConversationRemove>(
            event::CONVERSATION_REMOVE,
            "A conversation is no longer yours.",
        ),
        dispatch::<User>(event::USER_UPDATE, "A profile changed."),
        dispatch::<Typing>(event::TYPING, "Somebody is typing."),
        dispatch::<Read>(event::READ, "One's read marker moved."),
        dispatch::<Gap>(event::GAP, "More was missed than is replayed: page what is between."),
        dispatch::<Ack>(event::ACK, "A SEND is durable and part of the conversation."),
        dispatch::<Nack>(event::NACK, "A frame was refused."),
    ]
}

const fn about(kind: EntryKind) -> &'static str {
    match kind {
        EntryKind::MessageCreate => "A message.",
        EntryKind::MessageUpdate => "A message's content was replaced.",
        EntryKind::MessageDelete => "A message was deleted.",
        EntryKind::MemberAdd => "Somebody became a member.",
        EntryKind::MemberRemove => "Somebody ceased to be a member.",
        EntryKind::ChannelUpdate => "The channel was renamed.",
        EntryKind::ChannelDelete => "The channel was deleted.",
    }
}

/// The document.
pub(super) fn document() -> Value {
    let mut schemas = Schemas::new();
    let mut messages = Map::new();
    let (mut received, mut sent) = (Vec::new(), Vec::new());
    for frame in from_clients() {
        let data = frame.data.map(|data| data(&mut schemas.taken));
        received.push(add(&mut messages, "client", &frame, data.as_ref()));
    }
    for frame in from_edges() {
        let data = frame.data.map(|data| data(&mut schemas.given));
        sent.push(add(&mut messages, "server", &frame, data.as_ref()));
    }
    for kind in EntryKind::ALL {
        let data = entries::of_kind(kind, &mut schemas.given);
        let (name, summary) = (kind.as_str(), about(kind));
        let frame = Frame { name, op: op::DISPATCH, event: true, summary, data: None };
        sent.push(add(&mut messages, "server", &frame, Some(&data)));
    }
    let channel = json!({"$ref": "#/channels/gateway"});
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Natter gateway",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Frames are JSON text, one to a websocket message. Entries are \
                MESSAGE_*, MEMBER_* and CHANNEL_*: within a conversation they arrive in ascending \
                id, each once per connection, none left out.",
            "license": {"name": "Apache-2.0"},
        },
        "channels": {"gateway": {
            "address": "/v1/gateway",
            "messages": messages,
            "bindings": {"ws": {"method": "GET"}},
            "x-close-codes": close_codes(),
        }},
        "operations": {
            "receive": {"action": "receive", "channel": channel, "messages": received},
            "send": {"action": "send", "channel": channel, "messages": sent},
        },
        "components": {"schemas": schemas.definitions()},
    })
}

/// Describes a frame and gives a reference to it. Some names are used by both sides.
fn add(
    messages: &mut Map<String, Value>,
    from: &str,
    frame: &Frame,
    data: Option<&Schema>,
) -> Value {
    let mut required = vec!["op"];
    let mut properties = json!({"op": {"const": frame.op}});
    if frame.event {
        required.push("t");
        properties["t"] = json!({"const": frame.name});
    }
    if let Some(data) = data {
        required.push("d");
        properties["d"] = json!(data);
    }
    let key = format!("{from}_{}", frame.name.to_ascii_lowercase());
    let message = json!({
        "name": frame.name,
        "summary": frame.summary,
        "contentType": "application/json",
        "payload": {"type": "object", "required": required, "properties": properties},
    });
    let reference = json!({"$ref": format!("#/channels/gateway/messages/{key}")});
    messages.insert(key, message);
    reference
}

fn close_codes() -> Map<String, Value> {
    let all = [
        Close::Unavailable,
        Close::UnknownOp,
        Close::BadFrame,
        Close::NotIdentified,
        Close::Unauthorized,
        Close::AlreadyIdentified,
        Close::RateLimited,
        Close::TimedOut,
        Close::NotReading,
        Close::TooLarge,
    ];
    all.into_iter().map(|close| (close.code().to_string(), close.reason().into())).collect()
}
