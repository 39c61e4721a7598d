//! Small changes to what was valid: of bytes, and of values.
//!
//! Invariant: the same seed gives the same changes, so that a failure can be repeated.

use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};

/// One to three changes to the text, which may be no text afterwards.
pub(crate) fn bytes(text: &str, random: &mut StdRng) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..random.random_range(1..=3) {
        let place = random.random_range(0..=bytes.len());
        let other = random.random_range(0..=bytes.len());
        match random.random_range(0..7) {
            0 if place < bytes.len() => bytes[place] ^= 1 << random.random_range(0..8),
            1 if place < bytes.len() => bytes[place] = random.random(),
            2 if place < bytes.len() => drop(bytes.remove(place)),
            3 => bytes.insert(place, random.random()),
            4 => bytes.truncate(place),
            5 => {
                let (start, end) = (place.min(other), place.max(other));
                let part = bytes[start..end].to_vec();
                bytes.splice(place..place, part);
            }
            _ => {
                let token = TOKENS[random.random_range(0..TOKENS.len())];
                bytes.splice(place..place, token.bytes());
            }
        }
    }
    bytes
}

/// Pieces that parsers stumble over.
const TOKENS: [&str; 16] = [
    "{",
    "}",
    "[",
    "]",
    "\"",
    ":",
    ",",
    "null",
    "-1",
    "1e999",
    "\\u0000",
    "\\ud800",
    "18446744073709551616",
    "\u{202e}",
    "\u{feff}",
    "\\",
];

/// One value somewhere in the tree replaced or removed.
pub(crate) fn value(value: &Value, random: &mut StdRng) -> Value {
    let mut changed = value.clone();
    let mut places = Vec::new();
    collect(value, &mut String::new(), &mut places);
    let place = &places[random.random_range(0..places.len())];
    let removed = place.rsplit_once('/').filter(|_| random.random_bool(0.1));
    if let Some((parent, key)) = removed
        && let Some(Value::Object(fields)) = changed.pointer_mut(parent)
    {
        fields.remove(key);
    } else if let Some(inner) = changed.pointer_mut(place) {
        *inner = strange(random);
    }
    changed
}

/// The places of all values, the whole one included.
fn collect(value: &Value, place: &mut String, places: &mut Vec<String>) {
    places.push(place.clone());
    for (key, inner) in value.as_object().into_iter().flatten() {
        let length = place.len();
        place.push('/');
        place.push_str(key);
        collect(inner, place, places);
        place.truncate(length);
    }
}

fn strange(random: &mut StdRng) -> Value {
    match random.random_range(0..18) {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(-1),
        3 => json!(u64::MAX),
        4 => json!(i64::MIN),
        5 => json!(1.5),
        6 => json!(1e300),
        7 => json!(""),
        8 => json!([]),
        9 => json!({}),
        10 => json!("\u{0}\u{7}\u{202e}"),
        11 => json!("x".repeat(random.random_range(1..6000))),
        12 => json!(u64::MAX.to_string()),
        13 => json!("-1"),
        14 => json!("99999999999999999999999999"),
        15 => json!([[[[[[[[]]]]]]]]),
        16 => json!({ "op": 2, "d": { "token": "x" } }),
        _ => json!(random.random::<i64>()),
    }
}
