//! The reducer by itself, against states written by hand.

use super::*;

fn ready() -> Value {
    json!({
        "user": { "id": "1", "display_name": "me" },
        "users": [{ "id": "2", "display_name": "you" }],
        "conversations": [{
            "id": "7", "kind": "channel", "name": "den", "owner_id": "2",
            "last_id": "10", "read_id": "10", "unread": 0, "messages": [],
        }],
    })
}

fn model(events: &[(&str, Value)]) -> Model {
    let mut model = Model::from_ready(&ready()).unwrap();
    let members = json!({ "id": "7", "name": "den", "member_ids": ["1", "2"] });
    model.learn_channel(&members).unwrap();
    for (name, data) in events {
        model.apply(name, data).unwrap();
    }
    model
}

fn said(id: u64, author: u64, content: &str) -> (&'static str, Value) {
    let data = json!({
        "id": id.to_string(), "conversation_id": "7", "author_id": author.to_string(),
        "content": content, "at": "t", "edited_at": null, "nonce": "n",
    });
    ("MESSAGE_CREATE", data)
}

#[test]
fn messages_of_others_are_unread_until_read() {
    let read = ("READ", json!({ "conversation_id": "7", "id": "12" }));
    let model = model(&[said(11, 2, "a"), said(12, 1, "mine"), said(13, 2, "b")]);
    assert_eq!(model.conversations[&7].unread, 2);
    let mut later = model.clone();
    later.apply(read.0, &read.1).unwrap();
    assert_eq!((later.conversations[&7].unread, later.conversations[&7].read_id), (1, 12));
    assert!(model.difference(&later).is_some());
}

#[test]
fn edits_and_deletes_change_old_messages() {
    let edit = json!({
        "id": "13", "conversation_id": "7", "message_id": "11", "content": "A", "at": "u",
        "author_id": "2",
    });
    let delete = json!({
        "id": "14", "conversation_id": "7", "message_id": "12", "at": "v", "author_id": "2",
    });
    let events =
        [said(11, 2, "a"), said(12, 2, "b"), ("MESSAGE_UPDATE", edit), ("MESSAGE_DELETE", delete)];
    let conversation = &model(&events).conversations[&7];
    assert_eq!(conversation.messages.len(), 1);
    assert_eq!(conversation.messages[&11]["content"], "A");
    assert_eq!(conversation.messages[&11]["edited_at"], "u");
    assert_eq!((conversation.unread, conversation.last_id), (1, 14));
}

#[test]
fn membership_and_names_follow_the_entries() {
    let member = |id: u64, user: u64| {
        json!({
            "id": id.to_string(), "conversation_id": "7", "user_id": user.to_string(),
            "author_id": "2", "at": "t",
        })
    };
    let name = json!({ "id": "13", "conversation_id": "7", "name": "lair", "author_id": "2" });
    let events = [
        ("MEMBER_ADD", member(11, 3)),
        ("MEMBER_REMOVE", member(12, 3)),
        ("CHANNEL_UPDATE", name),
        ("MEMBER_ADD", member(14, 4)),
    ];
    let conversation = &model(&events).conversations[&7];
    assert_eq!(conversation.members, Some(BTreeSet::from([1, 2, 4])));
    assert_eq!(conversation.shown["name"], "lair");
    let gone = ("CONVERSATION_REMOVE", json!({ "conversation_id": "7" }));
    assert!(model(&[gone]).conversations.is_empty());
}

#[test]
fn a_new_members_marker_is_their_own_member_add() {
    let add = json!({
        "id": "8", "kind": "channel", "name": "new", "owner_id": "2",
        "last_id": "20", "read_id": null, "unread": 0,
    });
    let mine = json!({
        "id": "21", "conversation_id": "8", "user_id": "1", "author_id": "2", "at": "t",
    });
    let model = model(&[("CONVERSATION_ADD", add), ("MEMBER_ADD", mine)]);
    let conversation = &model.conversations[&8];
    assert_eq!((conversation.last_id, conversation.read_id), (21, 21));
    assert_eq!(model.without_members(), [8]);
}
