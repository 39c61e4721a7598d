//! What failures of the driver mean to callers.
//!
//! Invariant: what may pass by itself is `Unavailable`; what the server refuses for what it says,
//! and would refuse again, is `Corrupt`.

use std::error::Error;

use scylla::errors::{DbError, ExecutionError, RequestAttemptError};

use crate::store::{StoreError, StoreErrorKind};

/// The server cannot be asked now.
pub(crate) fn unavailable(why: impl Into<Box<dyn Error + Send + Sync>>) -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, why)
}

/// What was read, or was to be written, breaks a rule.
pub(crate) fn corrupt(why: impl Into<Box<dyn Error + Send + Sync>>) -> StoreError {
    StoreError::new(StoreErrorKind::Corrupt, why)
}

/// A request failed.
pub(crate) fn failed(error: ExecutionError) -> StoreError {
    if refused(&error) { corrupt(error) } else { unavailable(error) }
}

/// Whether the server, or the driver before it, would refuse the same request again.
const fn refused(error: &ExecutionError) -> bool {
    match error {
        ExecutionError::BadQuery(_) => true,
        ExecutionError::LastAttemptError(attempt) => matches!(
            attempt,
            RequestAttemptError::SerializationError(_)
                | RequestAttemptError::CqlRequestSerialization(_)
                | RequestAttemptError::DbError(
                    DbError::SyntaxError | DbError::Invalid | DbError::ConfigError,
                    _
                )
        ),
        _ => false,
    }
}
