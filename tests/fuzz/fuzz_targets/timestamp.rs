//! Times: what can be read can be written in the one form, which reads as the same moment and sorts
//! as time does.

#![no_main]

use bus_schema::timestamp::Timestamp;
use libfuzzer_sys::fuzz_target;

fn written(at: Timestamp) -> String {
    let text = at.to_string();
    assert_eq!(text.len(), "2015-01-01T00:00:00.007Z".len(), "{text}");
    assert_eq!(text.parse::<Timestamp>().as_ref(), Ok(&at));
    text
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Ok(at) = text.parse::<Timestamp>()
    {
        written(at);
    }
    let _ = serde_json::from_slice::<Timestamp>(bytes);
    let number = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    if let (Some(a), Some(b)) = (number(0), number(8)) {
        let (a, b) = (Timestamp::from_millis(a), Timestamp::from_millis(b));
        assert_eq!(a.cmp(&b), written(a).cmp(&written(b)));
    }
});
