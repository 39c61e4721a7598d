//! Frames are the stored bytes; what is not an entry is told apart, and why.

use super::*;

fn message(payload: &str) -> Result<Entry, Undecodable> {
    Entry::decode(
        LogSubject::Channel(ConversationId(7)),
        StreamIndex(3),
        5,
        Timestamp::from_millis(1_420_070_400_000),
        Some("MESSAGE_CREATE"),
        payload.as_bytes(),
    )
}

#[test]
fn a_frame_is_the_stored_bytes_with_id_and_time_in_front() {
    let body = Body::MessageCreate(MessageCreate {
        conversation_id: ConversationId(7),
        author_id: UserId(9),
        content: Content::parse("hi \"you\"").unwrap(),
        edited_at: None,
        nonce: Some(Nonce::parse("n1").unwrap()),
    });
    let entry = message(&body.encode()).unwrap();
    assert_eq!(entry.body, body);
    assert_eq!(
        entry.frame_json(),
        r#"{"op":0,"t":"MESSAGE_CREATE","d":{"id":"5123","at":"2015-01-01T00:00:00.000Z","conversation_id":"7","author_id":"9","content":"hi \"you\"","edited_at":null,"nonce":"n1"}}"#
    );
}

#[test]
fn another_conversation_is_misplaced() {
    let json = r#"{"conversation_id":"8","author_id":"9","content":"x"}"#;
    assert!(matches!(message(json), Err(Undecodable::Misplaced)));
}

#[test]
fn a_deleted_message_is_shown_as_it_was_but_for_its_content() {
    let sent = r#"{"conversation_id":"7","extra":[1, 2],"author_id":"9","content":"x","edited_at":null,"nonce":"n"}"#;
    let shown = shown_deleted(sent).unwrap();
    assert_eq!(shown, sent.replace(r#""x""#, r#""""#));
    let place = LogSubject::Channel(ConversationId(7));
    let at = Timestamp::from_millis(1_420_070_400_000);
    let read = |json: &str| Entry::decode_deleted(place, EntryId(5123), at, json);
    let (shown, sent) = (read(&shown).unwrap(), read(sent));
    assert!(matches!(sent, Err(Undecodable::Json(_))), "only what is deleted");
    assert!(matches!(&shown.body, Body::MessageCreate(m) if m.content.as_str().is_empty()));
    assert!(matches!(message(&shown.payload), Err(Undecodable::Json(_))), "nobody can send it");
}

#[test]
fn content_that_breaks_the_rules_is_undecodable() {
    let json = r#"{"conversation_id":"7","author_id":"9","content":""}"#;
    assert!(matches!(message(json), Err(Undecodable::Json(_))));
}

#[test]
fn payloads_cannot_say_what_is_the_logs_to_say() {
    for json in [
        r#"["7","9","hi",null,"n1"]"#,
        r#"{"id":"99","conversation_id":"7","author_id":"9","content":"x"}"#,
        r#"{"conversation_id":"7","author_id":"9","content":"x","at":"2015-01-01T00:00:00Z"}"#,
    ] {
        assert!(matches!(message(json), Err(Undecodable::Reserved)), "{json}");
    }
}
