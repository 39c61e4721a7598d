//! How far edges are: what each says of itself every few seconds.
//!
//! Invariant: what an edge says covers every conversation it follows, so its size depends on the
//! number of streams alone. It is said to whoever listens; an edge needs no answer.

use serde::{Deserialize, Serialize};

use crate::ids::{ConversationId, StreamIndex};

/// What an edge says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Positions {
    /// Where clients reach it, which is its name.
    pub edge: String,
    /// When it started, in milliseconds since the Unix epoch: of two with one name, the later is it.
    pub since: u64,
    /// Rises each time it says something.
    pub number: u64,
    /// It is leaving: what comes from now on is not its to show.
    #[serde(default)]
    pub leaving: bool,
    /// The streams of which it can tell.
    #[serde(default)]
    pub streams: Vec<Position>,
}

/// How far an edge is in one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Which.
    pub stream: StreamIndex,
    /// Its followed conversations have every entry up to this stream sequence.
    pub complete: u64,
    /// How many of them are known to lack later ones.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub behind: u32,
    /// The one that has for longest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conversation_id: Option<ConversationId>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks")]
const fn is_zero(n: &u32) -> bool {
    *n == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frozen_form() {
        let position =
            Position { stream: StreamIndex(1), complete: 7, behind: 0, conversation_id: None };
        let said = Positions {
            edge: "http://a".to_owned(),
            since: 1,
            number: 2,
            leaving: false,
            streams: vec![position],
        };
        let text = r#"{"edge":"http://a","since":1,"number":2,"leaving":false,"streams":[{"stream":1,"complete":7}]}"#;
        assert_eq!(serde_json::to_string(&said).unwrap(), text);
        assert_eq!(serde_json::from_str::<Positions>(text).unwrap(), said);
    }
}
