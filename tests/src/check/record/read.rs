//! From plain JSON to what is kept of it.
//!
//! Invariant: what is not in the documented form is a failure, never a guess. Texts are kept short,
//! and so that two different ones stay different ([`text`]).

use std::collections::BTreeMap;

use serde::Deserialize as _;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Document, Entry, Event, Kind, Message, Shown, User};
use crate::json::{Look as _, read_id, require_id};
use crate::{Context as _, Outcome};

/// Characters of a text that are kept; of a longer one a digest is kept, too.
const KEPT: usize = 48;

/// A text as it is kept.
pub fn text(content: &str) -> String {
    if content.chars().count() <= KEPT {
        return content.to_owned();
    }
    // FNV-1a: a record is read again by a later build, so the digest may not change with it.
    let digest = content.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let start: String = content.chars().take(KEPT - 20).collect();
    format!("{start}…#{digest:016x}")
}

/// The `cursors` of an IDENTIFY.
pub(super) fn cursors(cursors: &Value) -> Outcome<BTreeMap<u64, u64>> {
    let pairs = cursors.as_object().into_iter().flatten();
    pairs.map(|(id, cursor)| Ok((require_id(id)?, read_id(cursor)?))).collect()
}

/// A time as the protocol writes it, in microseconds since 1970.
fn time(at: &str) -> Outcome<u64> {
    let nanos = OffsetDateTime::parse(at, &Rfc3339).during(at)?.unix_timestamp_nanos();
    Ok(u64::try_from(nanos / 1_000)?)
}

fn optional(data: &Value, key: &str) -> Outcome<Option<u64>> {
    match data.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(id) => read_id(id).during(key).map(Some),
    }
}

fn optional_text(data: &Value, key: &str) -> Option<String> {
    data.get(key).and_then(Value::as_str).map(text)
}

impl Entry {
    /// An entry as an event: `name` and its data.
    pub fn read(name: &str, data: &Value) -> Outcome<Self> {
        let at = time(data.text("at")?)?;
        Self::read_stored(name, data, data.id("id")?, at)
    }

    /// An item of `/entries`.
    pub fn read_item(item: &Value) -> Outcome<Self> {
        Self::read(item.text("t")?, item.at("d")?)
    }

    /// An entry as the log holds it: the payload does not say its id (`sequence * 1024 + stream`) and
    /// its time (`at`, in microseconds since 1970).
    pub fn read_stored(name: &str, data: &Value, id: u64, at: u64) -> Outcome<Self> {
        let kind = Kind::deserialize(&Value::from(name)).during(format_args!("kind {name:?}"))?;
        let needs = |key: &str| data.id(key).map(Some);
        let about = matches!(kind, Kind::MessageUpdate | Kind::MessageDelete);
        let member = matches!(kind, Kind::MemberAdd | Kind::MemberRemove);
        Ok(Self {
            id,
            conversation: data.id("conversation_id")?,
            kind,
            author: data.id("author_id")?,
            at,
            user: if member { needs("user_id")? } else { None },
            message: if about { needs("message_id")? } else { None },
            content: match kind {
                Kind::MessageCreate | Kind::MessageUpdate => Some(text(data.text("content")?)),
                Kind::ChannelUpdate => Some(text(data.text("name")?)),
                _ => None,
            },
            nonce: optional_text(data, "nonce"),
            revision: data.get("revision").and_then(Value::as_u64),
        })
    }
}

impl Message {
    /// A message as pages show it.
    pub fn read(data: &Value) -> Outcome<Self> {
        Ok(Self {
            id: data.id("id")?,
            author: data.id("author_id")?,
            content: text(data.text("content")?),
            edited: !data.at("edited_at")?.is_null(),
        })
    }
}

impl User {
    /// A user as answers and events show them.
    pub fn read(data: &Value) -> Outcome<Self> {
        Ok(Self {
            id: data.id("id")?,
            username: data.text("username")?.to_owned(),
            display_name: data.text("display_name")?.to_owned(),
        })
    }
}

impl Shown {
    /// A conversation of a list, of READY or of CONVERSATION_ADD.
    pub fn read(data: &Value) -> Outcome<Self> {
        Ok(Self {
            conversation: data.id("id")?,
            name: optional_text(data, "name"),
            owner: optional(data, "owner_id")?,
            user: optional(data, "user_id")?,
            last: data.id_or_null("last_id")?,
            read: data.id_or_null("read_id")?,
            unread: data.number("unread")?,
        })
    }

    /// A list of conversations.
    pub fn read_all(list: &[Value]) -> Outcome<Vec<Self>> {
        list.iter().map(Self::read).collect()
    }
}

impl Document {
    /// The answer to `GET /channels/{id}`.
    pub fn read(data: &Value) -> Outcome<Self> {
        let mut members = data.ids("member_ids")?;
        members.sort_unstable();
        Ok(Self {
            name: text(data.text("name")?),
            owner: data.id("owner_id")?,
            revision: data.number("revision")?,
            members,
        })
    }
}

impl Event {
    /// An event by its name and data.
    pub fn read(name: &str, data: &Value) -> Outcome<Self> {
        let conversation = || data.id("conversation_id");
        Ok(match name {
            "READY" => {
                let mut users = vec![User::read(data.at("user")?)?];
                for user in data.list("users")? {
                    users.push(User::read(user)?);
                }
                let conversations = Shown::read_all(data.list("conversations")?)?;
                Self::Ready { conversations, users }
            }
            "RESUMED" => Self::Resumed,
            "GAP" => Self::Gap {
                conversation: conversation()?,
                from: data.id("from")?,
                to: data.id("to")?,
            },
            "CONVERSATION_ADD" => Self::ConversationAdd(Shown::read(data)?),
            "CONVERSATION_REMOVE" => Self::ConversationRemove { conversation: conversation()? },
            "USER_UPDATE" => Self::UserUpdate(User::read(data)?),
            "READ" => Self::Read { conversation: conversation()?, id: data.id("id")? },
            "TYPING" => Self::Typing { conversation: conversation()?, user: data.id("user_id")? },
            "ACK" => Self::Ack {
                conversation: conversation()?,
                nonce: data.text("nonce")?.to_owned(),
                id: data.id("id")?,
            },
            "NACK" => Self::Nack {
                nonce: optional_text(data, "nonce"),
                code: data.text("code")?.to_owned(),
            },
            "RECONNECT" => Self::Reconnect,
            _ if crate::client::rules::ENTRIES.contains(&name) => {
                Self::Entry(Entry::read(name, data)?)
            }
            _ => Self::Other { name: name.to_owned() },
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Answer, Op, Record, Recorder, What};
    use super::*;

    #[test]
    fn short_texts_are_kept_and_long_ones_stay_different() {
        assert_eq!(text("hi"), "hi");
        let (a, b) = (text(&"x".repeat(4_000)), text(&"x".repeat(3_999)));
        assert!(a != b && a.chars().count() <= KEPT, "{a} {b}");
    }

    #[test]
    fn an_event_is_read_as_the_protocol_writes_it() {
        let data = json!({
            "id": "5120", "at": "2026-01-02T03:04:05.678Z", "conversation_id": "7",
            "author_id": "1", "content": "hi", "nonce": "n", "edited_at": null,
        });
        let Event::Entry(entry) = Event::read("MESSAGE_CREATE", &data).unwrap() else {
            panic!("an entry is an entry");
        };
        assert_eq!((entry.id, entry.author, entry.content.as_deref()), (5120, 1, Some("hi")));
        assert_eq!(entry.at, 1_767_323_045_678_000);
        assert!(Event::read("MESSAGE_CREATE", &json!({ "id": 5 })).is_err());
        assert!(matches!(Event::read("NEWS", &json!({})).unwrap(), Event::Other { .. }));
    }

    #[test]
    fn a_record_is_the_same_after_it_was_written() {
        let recorder = Recorder::begin(3, "one edge");
        let device = recorder.device();
        let connection = recorder.opened(device, 1, 0, &json!({ "7": "9" })).unwrap();
        recorder.heard(connection, "RESUMED", &json!({}));
        recorder.heard(connection, "GAP", &json!({}));
        let op = Op::Send { conversation: 7, nonce: "n".into(), content: "hi".into() };
        let call = recorder.asked_on(1, 0, connection, op);
        recorder.answered_http(call, Some((503, &json!({ "error": { "code": "unavailable" } }))));
        let fault = recorder.fault("kill", "edge-0");
        recorder.fault_ended(fault);
        let record = recorder.record().unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        record.save(file.path()).unwrap();
        assert_eq!(Record::load(file.path()).unwrap(), record);
        let malformed =
            |what: &What| matches!(what, What::Heard { event: Event::Malformed { .. }, .. });
        assert_eq!(record.notes.iter().filter(|note| malformed(&note.what)).count(), 1);
    }

    #[test]
    fn answers_are_told_apart() {
        let error = |code: &str| json!({ "error": { "code": code, "message": "m" } });
        assert_eq!(Answer::read(201, &json!({ "id": "7" })), Answer::Done(Some(7)));
        assert_eq!(Answer::read(204, &Value::Null), Answer::Done(None));
        assert_eq!(Answer::read(404, &error("not_found")), Answer::Refused("not_found".into()));
        let unknown = Answer::Unknown("unknown_outcome".into());
        assert_eq!(Answer::read(504, &error("unknown_outcome")), unknown);
    }
}
