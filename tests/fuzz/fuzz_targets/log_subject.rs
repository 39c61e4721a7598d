//! Subjects: a text is the one form of a place or is refused, and a place is found again in each of
//! its subjects.

#![no_main]

use bus_schema::ids::{ConversationId, UserId};
use bus_schema::subjects::{DmSubject, EventKind, LogSubject};
use libfuzzer_sys::fuzz_target;

fn found_again(place: LogSubject) {
    let text = place.to_string();
    assert!(!text.contains(['*', '>', ' ']), "{text}");
    assert_eq!(text.parse(), Ok(place));
    assert_eq!(LogSubject::parse_event(&place.live()), Ok((EventKind::Log, place)));
    assert_eq!(LogSubject::parse_event(&place.ephemeral()), Ok((EventKind::Ephemeral, place)));
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        if let Ok(place) = text.parse::<LogSubject>() {
            assert_eq!(place.to_string(), text);
            found_again(place);
        }
        match LogSubject::parse_event(text) {
            Ok((EventKind::Log, place)) => assert_eq!(place.live(), text),
            Ok((EventKind::Ephemeral, place)) => assert_eq!(place.ephemeral(), text),
            Err(_) => {}
        }
    }
    let number = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    if let (Some(a), Some(b), Some(id)) = (number(0), number(8), number(16)) {
        found_again(LogSubject::Channel(ConversationId(id)));
        found_again(LogSubject::User(UserId(a)));
        if let Some(dm) = DmSubject::new(UserId(a), UserId(b), ConversationId(id)) {
            found_again(LogSubject::Dm(dm));
        }
    }
});
