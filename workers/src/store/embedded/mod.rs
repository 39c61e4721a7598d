//! The embedded backend: three SQLite files in one directory, so that NATS is the only server.
//!
//! Invariant: ids keep their 64 bits in SQLite's signed integers by [`to_sql`] and [`from_sql`]; ids
//! made before the year 2084 also keep their order.

pub(crate) mod channels;
pub mod db;
pub(crate) mod history;
pub(crate) mod invites;
pub(crate) mod keys;
pub(crate) mod people;
pub(crate) mod profiles;
pub(crate) mod sessions;
pub(crate) mod transfer;
pub(crate) mod users;
pub(crate) mod webhooks;

use std::path::Path;

use crate::store::{StoreError, StoreErrorKind};

/// Makes a directory that only its owner can read, if it is not there.
pub(crate) fn make_directory(directory: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(|e| {
        let why = format!("cannot make {}: {e}", directory.display());
        StoreError::new(StoreErrorKind::Unavailable, why)
    })
}

/// A 64-bit number as SQLite keeps it.
pub(crate) const fn to_sql(number: u64) -> i64 {
    number.cast_signed()
}

/// The number that [`to_sql`] was given.
pub(crate) const fn from_sql(number: i64) -> u64 {
    number.cast_unsigned()
}

/// What a stored value that its own rules refuse means.
pub(crate) fn corrupt(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
    StoreError::new(StoreErrorKind::Corrupt, why)
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::{Error, ErrorCode};
        let kind = match &error {
            Error::QueryReturnedNoRows => StoreErrorKind::NotFound,
            Error::FromSqlConversionFailure(..)
            | Error::IntegralValueOutOfRange(..)
            | Error::Utf8Error(..)
            | Error::InvalidColumnType(..) => StoreErrorKind::Corrupt,
            _ => match error.sqlite_error_code() {
                Some(ErrorCode::ConstraintViolation) => StoreErrorKind::Conflict,
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                    StoreErrorKind::Corrupt
                }
                _ => StoreErrorKind::Unavailable,
            },
        };
        Self::new(kind, error)
    }
}
