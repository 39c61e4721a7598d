//! Times as the protocol writes them: RFC 3339, UTC, milliseconds.
//!
//! Invariant: text form has exactly three digits of fraction and a `Z`, so text order is time order
//! for the years 0 to 9999. An entry's time is the log's, never a client's or an edge's.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

/// Milliseconds since the Unix epoch, within the years 1970 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

/// 9999-12-31T23:59:59.999Z, the last moment RFC 3339 can write.
const LAST_MS: u64 = 253_402_300_799_999;

impl Timestamp {
    /// From milliseconds since the Unix epoch; later than the year 9999 counts as its end.
    pub const fn from_millis(ms: u64) -> Self {
        Self(if ms > LAST_MS { LAST_MS } else { ms })
    }

    /// Milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// This machine's clock. Only for what is not ordered by it.
    pub fn now() -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Self::from_millis(since.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(LAST_MS)))
    }
}

impl From<OffsetDateTime> for Timestamp {
    fn from(at: OffsetDateTime) -> Self {
        Self::from_millis(u64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let format = format_description!(
            "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"
        );
        let nanos = i128::from(self.0) * 1_000_000;
        let at = OffsetDateTime::from_unix_timestamp_nanos(nanos).map_err(|_| fmt::Error)?;
        f.write_str(&at.format(&format).map_err(|_| fmt::Error)?)
    }
}

impl FromStr for Timestamp {
    type Err = time::error::Parse;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        OffsetDateTime::parse(text, &Rfc3339).map(Into::into)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "date-time"})
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn writes_milliseconds_and_z() {
        assert_eq!(
            Timestamp::from_millis(1_420_070_400_007).to_string(),
            "2015-01-01T00:00:00.007Z"
        );
    }

    #[test]
    fn reads_other_offsets() {
        let at: Timestamp = "2015-01-01T01:00:00+01:00".parse().unwrap();
        assert_eq!(at, Timestamp::from_millis(1_420_070_400_000));
    }

    proptest! {
        #[test]
        fn text_round_trips(ms in 0..=LAST_MS) {
            let at = Timestamp::from_millis(ms);
            prop_assert_eq!(at.to_string().parse::<Timestamp>().unwrap(), at);
        }

        #[test]
        fn parsing_never_panics(text in ".{0,40}") {
            let _ = text.parse::<Timestamp>();
        }
    }
}
