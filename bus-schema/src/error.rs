//! Error codes: stable, append-only, the same over HTTP, websocket, bus and for bots.
//!
//! Invariant: a code's text never changes and is never given another meaning. A [`Failure`] carries
//! only what its reader may see; private causes are logged where they happen and end there.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why something was refused. Append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The request is malformed or breaks a bound.
    BadRequest,
    /// No token, or one that is expired, forged or revoked.
    Unauthorized,
    /// Known and visible, but not yours to do.
    Forbidden,
    /// A member tried what only the creator may.
    NotOwner,
    /// It does not exist for whoever asks.
    NotFound,
    /// The creator removes someone who is not in the channel.
    NotAMember,
    /// The username belongs to another account.
    UsernameTaken,
    /// It contradicts the present state.
    Conflict,
    /// More bytes than allowed.
    TooLarge,
    /// Too many requests; wait `retry_after_ms`.
    RateLimited,
    /// A part of the platform does not answer now; nothing was changed.
    Unavailable,
    /// No answer in time. Asking again is safe: it is done once, if it was not done already.
    Timeout,
    /// It may have happened, or may still; repeat it with its nonce, or look.
    UnknownOutcome,
}

impl Code {
    /// Every code, for documents and tests.
    pub const ALL: [Self; 13] = [
        Self::BadRequest,
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotOwner,
        Self::NotFound,
        Self::NotAMember,
        Self::UsernameTaken,
        Self::Conflict,
        Self::TooLarge,
        Self::RateLimited,
        Self::Unavailable,
        Self::Timeout,
        Self::UnknownOutcome,
    ];

    /// The HTTP status that carries this code.
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthorized => 401,
            Self::Forbidden | Self::NotOwner => 403,
            Self::NotFound | Self::NotAMember => 404,
            Self::UsernameTaken | Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::RateLimited => 429,
            Self::Unavailable => 503,
            Self::Timeout | Self::UnknownOutcome => 504,
        }
    }

    /// The wire text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotOwner => "not_owner",
            Self::NotFound => "not_found",
            Self::NotAMember => "not_a_member",
            Self::UsernameTaken => "username_taken",
            Self::Conflict => "conflict",
            Self::TooLarge => "too_large",
            Self::RateLimited => "rate_limited",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::UnknownOutcome => "unknown_outcome",
        }
    }
}

/// A refusal as its reader sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[error("{}: {message}", code.as_str())]
pub struct Failure {
    /// What programs branch on.
    pub code: Code,
    /// What people read; its text may change.
    pub message: Cow<'static, str>,
    /// How long to wait before trying again, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl Failure {
    /// A refusal with a public message.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), retry_after_ms: None }
    }

    /// Adds how long to wait before trying again.
    pub fn retry_after_ms(mut self, ms: u64) -> Self {
        self.retry_after_ms = Some(ms);
        self
    }

    /// [`Code::BadRequest`].
    pub fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::BadRequest, message)
    }

    /// [`Code::NotFound`], worded alike whatever is missing or hidden.
    pub fn not_found() -> Self {
        Self::new(Code::NotFound, "not found")
    }

    /// [`Code::Unauthorized`].
    pub fn unauthorized() -> Self {
        Self::new(Code::Unauthorized, "sign in again")
    }

    /// [`Code::Unavailable`], with a hint to wait a second.
    pub fn unavailable() -> Self {
        Self::new(Code::Unavailable, "temporarily unavailable, try again").retry_after_ms(1_000)
    }

    /// [`Code::UnknownOutcome`].
    pub fn unknown_outcome() -> Self {
        Self::new(
            Code::UnknownOutcome,
            "it may or may not have happened; repeat with the same nonce",
        )
    }

    /// [`Code::Timeout`].
    pub fn timeout() -> Self {
        Self::new(Code::Timeout, "no answer in time, try again").retry_after_ms(1_000)
    }

    /// What this refusal comes to where something was changed already: `unavailable` would say that
    /// nothing was.
    pub fn halfway(self) -> Self {
        if self.code == Code::Unavailable { Self::unknown_outcome() } else { self }
    }
}

/// The body of every failed HTTP request and service call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ErrorBody {
    /// The refusal.
    pub error: Failure,
}

/// Why the server closes a websocket. Append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Close {
    /// Back off, then resume, here or elsewhere.
    Unavailable,
    /// An op that does not exist or that only the server sends.
    UnknownOp,
    /// Not a frame: not text, not UTF-8, not an object, no integer op, a bad IDENTIFY.
    BadFrame,
    /// Something other than IDENTIFY or HEARTBEAT came first.
    NotIdentified,
    /// The token is refused or its session was revoked.
    Unauthorized,
    /// IDENTIFY a second time.
    AlreadyIdentified,
    /// Frames at ten times the rate.
    RateLimited,
    /// Silent for too long, or no IDENTIFY in time.
    TimedOut,
    /// The peer has not read a byte in 30 s.
    NotReading,
    /// A frame above its bound.
    TooLarge,
}

impl Close {
    /// The websocket close code.
    pub const fn code(self) -> u16 {
        match self {
            Self::Unavailable => 4000,
            Self::UnknownOp => 4001,
            Self::BadFrame => 4002,
            Self::NotIdentified => 4003,
            Self::Unauthorized => 4004,
            Self::AlreadyIdentified => 4005,
            Self::RateLimited => 4008,
            Self::TimedOut => 4009,
            Self::NotReading => 4010,
            Self::TooLarge => 4011,
        }
    }

    /// The reason sent beside the code.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable, back off and resume",
            Self::UnknownOp => "unknown op",
            Self::BadFrame => "bad frame",
            Self::NotIdentified => "not identified",
            Self::Unauthorized => "token refused",
            Self::AlreadyIdentified => "already identified",
            Self::RateLimited => "rate limited",
            Self::TimedOut => "timed out",
            Self::NotReading => "not reading",
            Self::TooLarge => "too large",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_serialize_as_their_text() {
        for code in Code::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
    }

    /// Frozen: a changed line here breaks programs that were written years ago.
    #[test]
    fn codes_and_statuses_are_frozen() {
        let table: Vec<_> =
            Code::ALL.iter().map(|c| format!("{} {}", c.status(), c.as_str())).collect();
        assert_eq!(
            table,
            [
                "400 bad_request",
                "401 unauthorized",
                "403 forbidden",
                "403 not_owner",
                "404 not_found",
                "404 not_a_member",
                "409 username_taken",
                "409 conflict",
                "413 too_large",
                "429 rate_limited",
                "503 unavailable",
                "504 timeout",
                "504 unknown_outcome",
            ]
        );
    }
}
