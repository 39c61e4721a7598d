//! What somebody may ask of a page, whoever they are: at most one bound, and a limit.

use serde::{Deserialize, Serialize};

use crate::error::Failure;
use crate::ids::EntryId;
use crate::limits::{PAGE_DEFAULT, PAGE_MAX};
use crate::timestamp::Timestamp;

/// Which messages a page holds. Bounds are exclusive but for `Around`, which includes its message,
/// and `At`, which is centred on the first message at or after that time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// The newest.
    Newest,
    /// The newest before.
    Before(EntryId),
    /// The oldest after.
    After(EntryId),
    /// On both sides.
    Around(EntryId),
    /// On both sides of a time.
    At(Timestamp),
}

impl Bound {
    /// From what somebody asked for: at most one of these.
    pub fn one_of(
        before: Option<EntryId>,
        after: Option<EntryId>,
        around: Option<EntryId>,
        at: Option<Timestamp>,
    ) -> Result<Self, Failure> {
        let bounds = [
            before.map(Self::Before),
            after.map(Self::After),
            around.map(Self::Around),
            at.map(Self::At),
        ];
        let mut given = bounds.into_iter().flatten();
        match (given.next(), given.next()) {
            (None, _) => Ok(Self::Newest),
            (Some(bound), None) => Ok(bound),
            _ => Err(Failure::bad_request("at most one of before, after, around and at")),
        }
    }
}

/// How many messages or entries a page shall have, 1 to 100.
pub fn page_limit(given: Option<u32>) -> Result<u32, Failure> {
    let limit = given.unwrap_or(PAGE_DEFAULT);
    let fits = (1..=PAGE_MAX).contains(&limit);
    fits.then_some(limit).ok_or_else(|| Failure::bad_request("limit: 1 to 100"))
}
