//! The documents are those in `deploy`, and say what is sent and what holds by default.

use std::collections::BTreeSet;
use std::path::Path;

use bus_schema::entry::{
    Body, ChannelDelete, ChannelUpdate, Entry, MemberChange, MessageCreate, MessageDelete,
    MessageUpdate,
};
use bus_schema::ids::{ConversationId, EntryId, UserId};
use bus_schema::text::{ChannelName, Content, Nonce};
use bus_schema::timestamp::Timestamp;

use super::*;
use crate::config::EdgeSettings;

fn check(name: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/docs").join(name);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, made).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    let parse = |text: &str| serde_json::from_str::<Value>(text).ok();
    let advice = "run `UPDATE_DOCS=1 cargo test -p natter-edge docs` and look at the difference";
    assert!(parse(&kept) == parse(made), "deploy/docs/{name} is stale: {advice}");
}

#[test]
fn openapi_is_not_stale() {
    check("openapi.json", openapi());
}

#[test]
fn asyncapi_is_not_stale() {
    check("asyncapi.json", asyncapi());
}

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            if let Some(Value::String(target)) = object.get("$ref") {
                found.insert(target.clone());
            }
            object.values().for_each(|value| references(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere() {
    for document in [openapi(), asyncapi()] {
        let document: Value = serde_json::from_str(document).unwrap();
        let mut found = BTreeSet::new();
        references(&document, &mut found);
        assert!(!found.is_empty());
        for target in found {
            let pointer = target.strip_prefix('#').unwrap();
            assert!(document.pointer(pointer).is_some(), "{target}");
        }
    }
}

fn bodies() -> [Body; 7] {
    let (conversation_id, author_id, user_id) = (ConversationId(7), UserId(9), UserId(8));
    let (message_id, revision) = (EntryId(1), 3);
    let content = Content::parse("x").unwrap();
    let nonce = Some(Nonce::parse("n").unwrap());
    let name = ChannelName::parse("c").unwrap();
    let member = MemberChange { conversation_id, user_id, author_id, revision };
    let text = content.clone();
    [
        Body::MessageCreate(MessageCreate {
            conversation_id,
            author_id,
            content,
            edited_at: None,
            nonce,
        }),
        Body::MessageUpdate(MessageUpdate {
            conversation_id,
            message_id,
            content: text,
            author_id,
        }),
        Body::MessageDelete(MessageDelete { conversation_id, message_id, author_id }),
        Body::MemberAdd(member.clone()),
        Body::MemberRemove(member),
        Body::ChannelUpdate(ChannelUpdate { conversation_id, name, author_id, revision }),
        Body::ChannelDelete(ChannelDelete { conversation_id, author_id, revision }),
    ]
}

/// Entries are put together from text, so their schemas are compared with what is really sent.
#[test]
fn entries_are_documented_as_they_are_sent() {
    let document: Value = serde_json::from_str(asyncapi()).unwrap();
    for body in bodies() {
        let kind = body.kind().as_str().to_ascii_lowercase();
        let payload = body.encode();
        let at = Timestamp::from_millis(0);
        let entry = Entry { id: EntryId(5), at, body, payload };
        let frame: Value = serde_json::from_str(&entry.frame_json()).unwrap();
        let message = &document["channels"]["gateway"]["messages"][format!("server_{kind}")];
        let properties = &message["payload"]["properties"];
        assert_eq!(properties["op"]["const"], frame["op"]);
        assert_eq!(properties["t"]["const"], frame["t"]);
        let target = properties["d"]["$ref"].as_str().unwrap().strip_prefix('#').unwrap();
        let schema = document.pointer(target).unwrap();
        let documented: BTreeSet<_> = schema["properties"].as_object().unwrap().keys().collect();
        let sent: BTreeSet<_> = frame["d"].as_object().unwrap().keys().collect();
        assert_eq!(documented, sent, "{kind}");
    }
}

#[test]
fn the_settings_file_shows_every_default() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/config.default.toml");
    let file: toml::Table = std::fs::read_to_string(path).unwrap().parse().unwrap();
    let shown = serde_json::to_value(&file["edge"]).unwrap();
    assert_eq!(shown, serde_json::to_value(EdgeSettings::default()).unwrap());
}
