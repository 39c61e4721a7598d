//! What the log holds: it is refused, or shown to clients as the JSON of its kind and stored again
//! without a change of meaning.
//!
//! The first byte chooses the kind, the second the place; the rest is the payload.

#![no_main]

use bus_schema::entry::{self, Entry, EntryKind, Notice};
use bus_schema::ids::{ConversationId, StreamIndex, UserId};
use bus_schema::subjects::{DmSubject, LogSubject};
use bus_schema::timestamp::Timestamp;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const AT: u64 = 1_700_000_000_000;

fn decode(place: LogSubject, kind: EntryKind, payload: &[u8]) -> Option<Entry> {
    let at = Timestamp::from_millis(AT);
    Entry::decode(place, StreamIndex(3), 5, at, Some(kind.as_str()), payload).ok()
}

fuzz_target!(|bytes: &[u8]| {
    let [kind, place, payload @ ..] = bytes else { return };
    let kind = EntryKind::ALL[usize::from(*kind) % EntryKind::ALL.len()];
    let place = match place % 3 {
        0 => LogSubject::Channel(ConversationId(7)),
        1 => DmSubject::new(UserId(4), UserId(9), ConversationId(7)).map(LogSubject::Dm).unwrap(),
        _ => LogSubject::User(UserId(7)),
    };
    let _ = serde_json::from_slice::<Notice>(payload);
    let Some(read) = decode(place, kind, payload) else { return };
    assert_eq!(read.body.kind(), kind);
    assert_eq!(Some(read.body.conversation()), place.conversation());

    let frame: Value = serde_json::from_str(&read.frame_json()).unwrap();
    assert_eq!(frame["t"], kind.as_str());
    assert_eq!(frame["d"]["id"], read.id.to_string(), "the log alone says which entry it is");
    assert_eq!(frame["d"]["at"], read.at.to_string(), "and when it was");
    let stored: Value = serde_json::from_str(&read.payload).unwrap();
    for (name, value) in stored.as_object().unwrap() {
        assert_eq!(&frame["d"][name], value, "{name}");
    }

    let again = decode(place, kind, read.body.encode().as_bytes()).unwrap();
    assert_eq!(again.body, read.body);

    if kind == EntryKind::MessageCreate {
        let emptied = entry::shown_deleted(&read.payload).unwrap();
        let deleted = Entry::decode_deleted(place, read.id, read.at, &emptied).unwrap();
        let frame: Value = serde_json::from_str(&deleted.frame_json()).unwrap();
        assert_eq!(frame["d"]["content"], "");
    }
});
