//! Reading JSON that nobody promised: every look says what it wanted and what was there instead.
//!
//! Invariant: ids are read as the protocol writes them, decimal strings of 64 unsigned bits without
//! sign, blanks or leading zeros; a JSON number where an id belongs is a failure. No types of the
//! protocol are modelled here.

use serde_json::Value;

use crate::{Context as _, Failure, Outcome};

/// Typed looks into a [`Value`] by a path of keys, as in `user/id`.
pub trait Look {
    /// What is at the path.
    fn at(&self, path: &str) -> Outcome<&Value>;

    /// The string at the path.
    #[track_caller]
    fn text(&self, path: &str) -> Outcome<&str> {
        let value = self.at(path)?;
        value.as_str().during(format_args!("{path} is no string: {value}"))
    }

    /// The id at the path.
    #[track_caller]
    fn id(&self, path: &str) -> Outcome<u64> {
        let value = self.at(path)?;
        read_id(value).during(path)
    }

    /// The id at the path, or none where `null` stands.
    #[track_caller]
    fn id_or_null(&self, path: &str) -> Outcome<Option<u64>> {
        let value = self.at(path)?;
        if value.is_null() { Ok(None) } else { read_id(value).during(path).map(Some) }
    }

    /// The unsigned number at the path.
    #[track_caller]
    fn number(&self, path: &str) -> Outcome<u64> {
        let value = self.at(path)?;
        value.as_u64().during(format_args!("{path} is no unsigned number: {value}"))
    }

    /// The boolean at the path.
    #[track_caller]
    fn flag(&self, path: &str) -> Outcome<bool> {
        let value = self.at(path)?;
        value.as_bool().during(format_args!("{path} is no boolean: {value}"))
    }

    /// The list at the path.
    #[track_caller]
    fn list(&self, path: &str) -> Outcome<&Vec<Value>> {
        let value = self.at(path)?;
        value.as_array().during(format_args!("{path} is no list: {value}"))
    }

    /// The ids in the list at the path.
    #[track_caller]
    fn ids(&self, path: &str) -> Outcome<Vec<u64>> {
        self.list(path)?.iter().map(read_id).collect()
    }
}

impl Look for Value {
    #[track_caller]
    fn at(&self, path: &str) -> Outcome<&Value> {
        let mut value = self;
        for key in path.split('/').filter(|key| !key.is_empty()) {
            let next = match value {
                Self::Array(list) => key.parse().ok().and_then(|index: usize| list.get(index)),
                other => other.get(key),
            };
            value = next.during(format_args!("no {path} in {self}"))?;
        }
        Ok(value)
    }
}

/// Reads one id as the protocol writes it.
#[track_caller]
pub fn read_id(value: &Value) -> Outcome<u64> {
    let text = value.as_str().during(format_args!("an id that is no string: {value}"))?;
    parse_id(text).during(format_args!("not an id: {value}"))
}

/// Whether a value is this id, as the protocol writes it.
pub fn is_id(value: &Value, id: u64) -> bool {
    read_id(value).is_ok_and(|value| value == id)
}

/// Parses the decimal form of an id, and nothing else that Rust would accept.
pub fn parse_id(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let canonical = text == "0" || !text.starts_with('0');
    if plain && canonical { text.parse().ok() } else { None }
}

/// An id that a client may receive as a key of a map or in a path.
pub fn require_id(text: &str) -> Outcome<u64> {
    parse_id(text).ok_or_else(|| Failure::new(format!("not an id: {text:?}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ids_are_decimal_strings_and_nothing_else() {
        assert_eq!(parse_id("0"), Some(0));
        assert_eq!(parse_id("18446744073709551615"), Some(u64::MAX));
        for wrong in ["", "+1", "-1", " 1", "01", "1e3", "18446744073709551616", "١"] {
            assert_eq!(parse_id(wrong), None, "{wrong:?}");
        }
        assert!(json!({ "id": 5 }).id("id").is_err(), "a number is not an id");
    }

    #[test]
    fn a_look_names_what_was_missing() {
        let value = json!({ "user": { "id": "7" }, "list": [{ "id": "8" }] });
        assert_eq!(value.id("user/id").unwrap(), 7);
        assert_eq!(value.id("list/0/id").unwrap(), 8);
        let failure = value.text("user/name").unwrap_err().to_string();
        assert!(failure.contains("user/name"), "{failure}");
    }
}
