//! What the protocol does to text before it keeps it.
//!
//! Invariant: these are the rules of the page, not of the product: a message's content loses control
//! characters other than `\n` and `\t`, then white space at both ends; a display name may not hold
//! control characters or bidi overrides at all.

/// Characters a message may have, counted as Unicode scalar values.
pub const CONTENT: usize = 4000;
/// Characters a display name may have.
pub const DISPLAY_NAME: usize = 64;

/// The content as the platform keeps it.
pub fn normalize(text: &str) -> String {
    let kept = |&char: &char| !char.is_control() || char == '\n' || char == '\t';
    let text: String = text.chars().filter(kept).collect();
    text.trim().to_owned()
}

/// Embeddings, overrides and isolates, which turn the text around them.
pub fn is_bidi_override(char: char) -> bool {
    matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The nearest display name the protocol accepts, or none where nothing is left.
pub fn display_name(text: &str) -> Option<String> {
    let kept = |&char: &char| !char.is_control() && !is_bidi_override(char);
    let text: String = text.chars().filter(kept).collect();
    let short: String = text.trim().chars().take(DISPLAY_NAME).collect();
    let name = short.trim().to_owned();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn control_characters_go_and_line_breaks_stay() {
        assert_eq!(normalize(" a\u{2}b\u{1f}c\r\n\td \u{7f}\u{85}"), "abc\n\td");
        assert_eq!(normalize("\u{2}\u{f} \n"), "");
    }

    #[test]
    fn a_name_is_made_valid() {
        assert_eq!(display_name("|QuaD-> ").as_deref(), Some("|QuaD->"));
        assert_eq!(display_name("a\u{202e}b\u{0}").as_deref(), Some("ab"));
        assert_eq!(display_name(" \u{7} "), None);
    }

    proptest! {
        #[test]
        fn normalizing_twice_changes_nothing(text in any::<String>()) {
            let once = normalize(&text);
            prop_assert_eq!(normalize(&once), once);
        }

        #[test]
        fn a_made_name_is_valid(text in any::<String>()) {
            if let Some(name) = display_name(&text) {
                prop_assert!((1..=DISPLAY_NAME).contains(&name.chars().count()));
                prop_assert_eq!(name.trim(), &name);
                prop_assert!(!name.chars().any(|c| c.is_control() || is_bidi_override(c)));
            }
        }
    }
}
