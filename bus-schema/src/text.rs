//! Text that people type, checked and brought into its one form.
//!
//! Invariant: a value of these types has passed its rule, also when it came from the bus or a
//! store. Lengths are Unicode scalar values. In names forbidden characters are refused; in
//! content they are removed (protocol.md, "Rules that people ask about").

use std::borrow::Cow;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Failure;
use crate::limits;

macro_rules! text {
    ($(#[$doc:meta])* $name:ident, $parse:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(with = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks and normalizes; the refusal says which rule was broken.
            pub fn parse(text: &str) -> Result<Self, Failure> {
                $parse(text).map(|text| Self(text.into_owned()))
            }

            /// The normalized text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl TryFrom<String> for $name {
            type Error = Failure;
            fn try_from(text: String) -> Result<Self, Failure> {
                Self::parse(&text)
            }
        }
        impl From<$name> for String {
            fn from(text: $name) -> String {
                text.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text!(
    /// A unique name, stored lower: `^[a-z0-9_.]{2,32}$`.
    Username,
    username
);
text!(
    /// What others see: 1 to 64, trimmed.
    DisplayName,
    display_name
);
text!(
    /// A channel's name: 1 to 100, trimmed, need not be unique.
    ChannelName,
    channel_name
);
text!(
    /// A message: 1 to 4,000 after cleaning.
    Content,
    content
);
text!(
    /// Names a message or a channel for its author: 1 to 32 printable ASCII characters.
    Nonce,
    nonce
);
text!(
    /// An http or https URL of at most 512 characters.
    AvatarUrl,
    avatar_url
);

impl Content {
    /// What is shown of a message that was deleted: nothing. The one value that breaks the rule;
    /// it cannot be parsed, so nobody can send it.
    pub const fn deleted() -> Self {
        Self(String::new())
    }
}

fn username(text: &str) -> Result<Cow<'_, str>, Failure> {
    let lower = text.to_ascii_lowercase();
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'.';
    if (limits::USERNAME_MIN..=limits::USERNAME_MAX).contains(&lower.len())
        && lower.bytes().all(allowed)
    {
        Ok(lower.into())
    } else {
        Err(Failure::bad_request("username: 2 to 32 of a-z, 0-9, _ and ."))
    }
}

/// Control characters and the marks that reorder text (Unicode Bidi_Control).
fn forbidden_in_name(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn name<'a>(text: &'a str, max: usize, rule: &'static str) -> Result<Cow<'a, str>, Failure> {
    let text = text.trim();
    let fits = !text.is_empty() && text.chars().take(max + 1).count() <= max;
    if fits && !text.chars().any(forbidden_in_name) {
        Ok(text.into())
    } else {
        Err(Failure::bad_request(rule))
    }
}

fn display_name(text: &str) -> Result<Cow<'_, str>, Failure> {
    name(text, limits::DISPLAY_NAME_CHARS, "display_name: 1 to 64 characters, none of control")
}

fn channel_name(text: &str) -> Result<Cow<'_, str>, Failure> {
    name(text, limits::CHANNEL_NAME_CHARS, "name: 1 to 100 characters, none of control")
}

fn content(text: &str) -> Result<Cow<'_, str>, Failure> {
    let removed = |c: char| c.is_control() && c != '\n' && c != '\t';
    let clean: Cow<'_, str> = if text.contains(removed) {
        Cow::Owned(text.replace(removed, ""))
    } else {
        Cow::Borrowed(text)
    };
    let trimmed = clean.trim();
    let length = trimmed.chars().take(limits::CONTENT_CHARS + 1).count();
    if length == 0 || length > limits::CONTENT_CHARS {
        return Err(Failure::bad_request("content: 1 to 4,000 characters"));
    }
    Ok(if trimmed.len() == text.len() {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(trimmed.to_owned())
    })
}

fn nonce(text: &str) -> Result<Cow<'_, str>, Failure> {
    let fits = (1..=limits::NONCE_CHARS).contains(&text.len());
    if fits && text.bytes().all(|b| (0x20..=0x7e).contains(&b)) {
        Ok(text.into())
    } else {
        Err(Failure::bad_request("nonce: 1 to 32 printable ASCII characters"))
    }
}

fn avatar_url(text: &str) -> Result<Cow<'_, str>, Failure> {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let has_host = host.is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', '?', '#']));
    let clean = !text.chars().any(|c| c.is_whitespace() || forbidden_in_name(c));
    if has_host && clean && text.chars().count() <= limits::AVATAR_URL_CHARS {
        Ok(text.into())
    } else {
        Err(Failure::bad_request("avatar_url: an http or https URL of at most 512 characters"))
    }
}

/// A password on its way to being hashed. It has no `Display`, and `Debug` hides it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Password(String);

impl Password {
    /// A password somebody chooses: 8 to 256 Unicode scalar values.
    pub fn parse(text: &str) -> Result<Self, Failure> {
        let length = text.chars().take(limits::PASSWORD_MAX + 1).count();
        if (limits::PASSWORD_MIN..=limits::PASSWORD_MAX).contains(&length) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Failure::bad_request("password: 8 to 256 characters"))
        }
    }

    /// The bytes to hash.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

impl TryFrom<String> for Password {
    type Error = Failure;
    fn try_from(text: String) -> Result<Self, Failure> {
        Self::parse(&text)
    }
}

impl From<Password> for String {
    fn from(password: Password) -> Self {
        password.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn usernames_are_lowered_and_checked() {
        assert_eq!(Username::parse("Ann.B_2").unwrap().as_str(), "ann.b_2");
        for bad in ["a", "", "a b", "ä1", "a-b", &"a".repeat(33), "ab\n", "İİ"] {
            assert!(Username::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn names_refuse_control_and_bidi() {
        assert_eq!(DisplayName::parse("  Ann \u{2003}").unwrap().as_str(), "Ann");
        for bad in ["", "  ", "a\u{202e}b", "a\0b", "a\nb", "\u{2066}x"] {
            assert!(DisplayName::parse(bad).is_err(), "{bad:?}");
        }
        assert!(DisplayName::parse(&"ä".repeat(64)).is_ok());
        assert!(DisplayName::parse(&"ä".repeat(65)).is_err());
    }

    #[test]
    fn content_drops_control_and_keeps_lines() {
        assert_eq!(Content::parse(" a\u{7}b\r\n\tc \n").unwrap().as_str(), "ab\n\tc");
        assert!(Content::parse("\u{0}\u{1b} \n").is_err());
        assert!(Content::parse(&"😀".repeat(4_000)).is_ok());
        assert!(Content::parse(&"😀".repeat(4_001)).is_err());
    }

    #[test]
    fn avatar_urls_are_http_with_a_host() {
        assert!(AvatarUrl::parse("https://a.example/b.png?c=d#e").is_ok());
        for bad in ["ftp://a", "https://", "https:///x", "javascript:alert(1)", "http://a b"] {
            assert!(AvatarUrl::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn passwords_do_not_show() {
        let shown = format!("{:?}", Password::parse("correct horse").unwrap());
        assert!(!shown.contains("horse"));
    }

    proptest! {
        #[test]
        fn normal_forms_are_stable(text in any::<String>()) {
            if let Ok(c) = Content::parse(&text) {
                prop_assert_eq!(Content::parse(c.as_str()), Ok(c.clone()));
            }
            if let Ok(n) = ChannelName::parse(&text) {
                prop_assert_eq!(ChannelName::parse(n.as_str()), Ok(n.clone()));
            }
            if let Ok(u) = Username::parse(&text) {
                prop_assert_eq!(Username::parse(u.as_str()), Ok(u.clone()));
            }
        }
    }
}
