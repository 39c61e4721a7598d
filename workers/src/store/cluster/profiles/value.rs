//! What Redis holds of one id: `<version>:<read at>:<user as JSON>`, the numbers of 16 hexadecimal
//! digits, so that a script compares values as text. Version 0, without a user: there is no such
//! account; so a profile stands above absence.
//!
//! Invariant: a change of this form takes another [`FORMAT`], which is part of every key: workers of
//! two releases never read, or judge the order of, each other's values.

use bus_schema::events::User;

/// The form's number.
pub(super) const FORMAT: u32 = 1;

/// Digits of a number.
const DIGITS: usize = 16;

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) version: u64,
    /// When the accounts were asked, in milliseconds of Redis's clock.
    pub(super) at_ms: u64,
    pub(super) user: Option<User>,
}

/// As Redis holds it; `None` for a user that cannot be written as JSON, which there is not.
pub(super) fn encode(version: u64, at_ms: u64, user: Option<&User>) -> Option<Vec<u8>> {
    let mut bytes = format!("{version:016x}:{at_ms:016x}:").into_bytes();
    if let Some(user) = user {
        serde_json::to_writer(&mut bytes, user).ok()?;
    }
    Some(bytes)
}

/// What Redis holds; `None` for what was not written by [`encode`].
pub(super) fn decode(bytes: &[u8]) -> Option<Value> {
    let (version, rest) = number(bytes)?;
    let (at_ms, rest) = number(rest)?;
    let user = match (version, rest) {
        (0, b"") => None,
        (0, _) => return None,
        (_, json) => Some(serde_json::from_slice(json).ok()?),
    };
    Some(Value { version, at_ms, user })
}

fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (digits, rest) = bytes.split_at_checked(DIGITS)?;
    let rest = rest.strip_prefix(b":")?;
    let lower = |b: &u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    if !digits.iter().all(lower) {
        return None;
    }
    Some((u64::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use bus_schema::events::VersionedUser;
    use proptest::prelude::*;

    use super::*;
    use crate::store::conformance::profiles::profile;

    fn written(version: u64, at_ms: u64) -> Vec<u8> {
        let VersionedUser { user, .. } = profile(7, version, "Zoë");
        encode(version, at_ms, (version > 0).then_some(&user)).unwrap()
    }

    #[test]
    fn the_form_is_as_other_workers_of_this_release_read_it() {
        let expected = "00000000000000ff:0000018bcfe56800:{\"id\":\"7\",\"username\":\"user7\",\
                        \"display_name\":\"Zoë\",\"avatar_url\":null,\"bot\":false}";
        assert_eq!(String::from_utf8(written(255, 1_700_000_000_000)).unwrap(), expected);
        assert_eq!(written(0, 16), b"0000000000000000:0000000000000010:");
    }

    proptest! {
        #[test]
        fn reads_what_it_wrote_and_no_part_of_it(version: u64, at_ms: u64, cut in any::<prop::sample::Index>()) {
            let bytes = written(version, at_ms);
            let value = decode(&bytes).unwrap();
            prop_assert_eq!((value.version, value.at_ms), (version, at_ms));
            prop_assert_eq!(value.user.is_some(), version > 0);
            prop_assert_eq!(decode(&bytes[..cut.index(bytes.len())]), None);
        }

        #[test]
        fn the_order_of_the_text_is_that_of_the_numbers(a: (u64, u64), b: (u64, u64)) {
            let front = |(version, at_ms)| written(version, at_ms)[..34].to_vec();
            prop_assert_eq!(front(a).cmp(&front(b)), a.cmp(&b));
        }

        #[test]
        fn any_bytes_are_a_value_or_not(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Some(value) = decode(&bytes) {
                prop_assert_eq!(value.user.is_some(), value.version > 0);
            }
        }
    }
}
