//! Numbers, times and bytes as BSON keeps them.
//!
//! Invariant: ids keep their 64 bits in BSON's signed integers; ids made before the year 2084 also
//! keep their order, as in the embedded store.

use bus_schema::timestamp::Timestamp;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, DateTime};

use super::corrupt;
use crate::store::StoreError;

/// A 64-bit number as BSON keeps it.
pub(crate) const fn to_bson(number: u64) -> i64 {
    number.cast_signed()
}

/// The number that [`to_bson`] was given.
pub(crate) const fn from_bson(number: i64) -> u64 {
    number.cast_unsigned()
}

pub(crate) fn date(at: Timestamp) -> DateTime {
    DateTime::from_millis(to_bson(at.as_millis()))
}

/// A time before 1970 was not made by [`date`] and counts as 1970.
pub(crate) fn time(date: DateTime) -> Timestamp {
    Timestamp::from_millis(u64::try_from(date.timestamp_millis()).unwrap_or(0))
}

pub(crate) fn bytes(bytes: &[u8]) -> Binary {
    Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() }
}

pub(crate) fn hash(binary: &Binary) -> Result<[u8; 32], StoreError> {
    let bytes = binary.bytes.as_slice();
    bytes.try_into().map_err(|_| corrupt("not 32 bytes long"))
}
