//! What the driver's failures mean to a store.
//!
//! Invariant: what is shown of a failure names codes and servers, never what documents or commands
//! held: servers repeat both in their messages.

use std::error::Error as _;

use mongodb::error::{
    Error, ErrorKind, RETRYABLE_WRITE_ERROR, UNKNOWN_TRANSACTION_COMMIT_RESULT, WriteFailure,
};

use super::reach::Sign;
use crate::store::{StoreError, StoreErrorKind};

/// A second document with a unique key.
const DUPLICATE_KEY: i32 = 11_000;

/// What a stored value that its own rules refuse means.
pub(crate) fn corrupt(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::new(StoreErrorKind::Corrupt, why)
}

/// Others were faster each time an operation was tried.
pub(crate) fn kept_changing() -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, "MongoDB: others kept changing the document")
}

/// The unique index that a write met, if that is why it failed. Only the message tells: of refused
/// insertions the driver keeps nothing else.
pub(crate) fn duplicate_key(error: &Error) -> Option<&str> {
    let (code, message) = refusal(error)?;
    // As in "E11000 duplicate key error collection: natter.users index: username dup key: { ... }".
    let (_, index) = message.split_once(" index: ").filter(|_| code == DUPLICATE_KEY)?;
    index.split_once(' ').map(|(name, _)| name)
}

/// Why nothing was answered.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
struct Silence {
    sign: Sign,
    /// Whether a server may have been asked, and do as asked.
    asked: bool,
    why: String,
}

/// Nothing was answered in time.
pub(super) fn late() -> StoreError {
    let why = "MongoDB: no answer in time".to_owned();
    let silence = Silence { sign: Sign::Unanswered, asked: true, why };
    StoreError::new(StoreErrorKind::Unavailable, silence)
}

/// What the failure of some work means if that work was to change something.
pub(super) fn of_a_change(failed: StoreError) -> StoreError {
    let asked = silence(&failed).is_some_and(|silence| silence.asked);
    if asked { failed.of_a_change() } else { failed }
}

/// What a failure says of the primary; `None` if it says nothing.
pub(super) fn sign(error: &StoreError) -> Option<Sign> {
    silence(error).map(|silence| silence.sign)
}

fn silence(error: &StoreError) -> Option<&Silence> {
    error.source()?.downcast_ref()
}

/// Whether a server may have been asked, and may have done or still do what it was asked for. The
/// label stands for attempts of which nobody knows; all else that a server refuses it has not done.
fn asked(error: &Error) -> bool {
    match &*error.kind {
        _ if error.contains_label(UNKNOWN_TRANSACTION_COMMIT_RESULT) => true,
        ErrorKind::Command(_) | ErrorKind::Write(WriteFailure::WriteError(_)) => {
            error.contains_label(RETRYABLE_WRITE_ERROR)
        }
        ErrorKind::ServerSelection { .. }
        | ErrorKind::Authentication { .. }
        | ErrorKind::DnsResolve { .. }
        | ErrorKind::InvalidArgument { .. }
        | ErrorKind::InvalidTlsConfig { .. } => false,
        _ => true,
    }
}

/// The code and the message of what the server refused.
fn refusal(error: &Error) -> Option<(i32, &str)> {
    match &*error.kind {
        ErrorKind::Command(refused) => Some((refused.code, &refused.message)),
        ErrorKind::Write(WriteFailure::WriteError(refused)) => {
            Some((refused.code, &refused.message))
        }
        _ => None,
    }
}

impl From<Error> for StoreError {
    /// All but two kinds come down to this: a server, a connection or a primary was not there, or
    /// not in time.
    fn from(error: Error) -> Self {
        let kind = match &*error.kind {
            ErrorKind::BsonDeserialization(_)
            | ErrorKind::BsonSerialization(_)
            | ErrorKind::Bson(_)
            | ErrorKind::InvalidResponse { .. } => StoreErrorKind::Corrupt,
            _ if refusal(&error).is_some_and(|(code, _)| code == DUPLICATE_KEY) => {
                StoreErrorKind::Conflict
            }
            _ => StoreErrorKind::Unavailable,
        };
        let why = format!("MongoDB: {}", describe(&error));
        if kind != StoreErrorKind::Unavailable {
            return Self::new(kind, why);
        }
        let no_primary = matches!(
            &*error.kind,
            ErrorKind::ServerSelection { .. }
                | ErrorKind::Io(_)
                | ErrorKind::ConnectionPoolCleared { .. }
        );
        let sign = if no_primary { Sign::NoPrimary } else { Sign::Unanswered };
        Self::new(kind, Silence { sign, asked: asked(&error), why })
    }
}

fn describe(error: &Error) -> String {
    match &*error.kind {
        ErrorKind::Command(refused) => {
            format!("command refused: {} ({})", refused.code, refused.code_name)
        }
        ErrorKind::Write(WriteFailure::WriteError(refused)) => {
            format!("write refused: {}", refused.code)
        }
        ErrorKind::Write(WriteFailure::WriteConcernError(refused)) => {
            format!("write not confirmed: {} ({})", refused.code, refused.code_name)
        }
        ErrorKind::BsonDeserialization(e)
        | ErrorKind::BsonSerialization(e)
        | ErrorKind::Bson(e) => {
            let key = e.key.as_deref().unwrap_or_default();
            format!("a document is not what it should be: {} {key}", e.kind)
        }
        ErrorKind::InvalidResponse { .. } => "a document is not what it should be".to_owned(),
        ErrorKind::InsertMany(_) | ErrorKind::BulkWrite(_) => "several writes failed".to_owned(),
        other => other.to_string(),
    }
}
