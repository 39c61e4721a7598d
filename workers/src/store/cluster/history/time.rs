//! Finding the first message at or after a time.
//!
//! Invariant: times rise with sequences, as the log's do, so each step asks for a few single rows and
//! leaves an eighth of the range; the buckets' first times narrow it to one bucket first. Where the
//! log's clock once went back, the answer may be off by as much.

use bus_schema::ids::ConversationId;
use bus_schema::timestamp::Timestamp;
use futures::future::{BoxFuture, try_join_all};
use futures::{FutureExt as _, TryFutureExt as _, try_join};

use super::connected::Connected;
use super::rows::{AuthorRow, Sequenced as _};
use super::scan::{LAST_SEQ, Way, buckets};
use super::{BUCKET, bucket_of, read};
use crate::store::StoreError;

/// Rows asked for at once.
const PROBES: u64 = 7;

/// The sequence of the first message, deleted or not, at or after a time.
pub(super) async fn first_at(
    c: &Connected,
    conversation: ConversationId,
    at: Timestamp,
) -> Result<Option<u64>, StoreError> {
    let all = (0, bucket_of(LAST_SEQ));
    let (oldest, newest) = try_join!(
        buckets(c, conversation, Way::Up, all, 1),
        buckets(c, conversation, Way::Down, all, 1)
    )?;
    let (Some(oldest), Some(newest)) = (oldest.first(), newest.first()) else { return Ok(None) };
    let (oldest, newest) = (oldest.bucket(), newest.bucket());
    // The first bucket that begins at or after the time: what is wanted is in the one before, if
    // anything there is late enough.
    let later = first((oldest, newest), at, |from| {
        let found = buckets(c, conversation, Way::Up, (from, newest), 1);
        found.map_ok(|rows| rows.first().map(|row| (row.bucket(), row.first_at))).boxed()
    });
    let later = later.await?;
    let before = match later.unwrap_or(newest + 1).checked_sub(1) {
        Some(high) => buckets(c, conversation, Way::Down, (0, high), 1).await?,
        None => Vec::new(),
    };
    if let Some(bucket) = before.first().map(super::rows::BucketRow::bucket) {
        let last = (bucket + 1) * BUCKET - 1;
        let (id, key) = (conversation.0.cast_signed(), bucket.cast_signed());
        let within = first((bucket * BUCKET, last), at, |from| {
            let values = (id, key, from.cast_signed(), last.cast_signed(), 1i32);
            let found = c.rows::<AuthorRow>(&c.statements.authors_up, values);
            found.map_ok(|rows| rows.first().map(|row| (row.seq(), row.at))).boxed()
        });
        if let Some(seq) = within.await? {
            return read::first_message(c, conversation, seq).await;
        }
    }
    match later {
        Some(bucket) => read::first_message(c, conversation, bucket * BUCKET).await,
        None => Ok(None),
    }
}

/// The lowest key of a range whose time is at or after `at`. `probe` gives the first key at or above
/// one, and its time; without a time it is of an entry that has not come yet, later than all others.
async fn first<'a>(
    (mut low, mut high): (u64, u64),
    at: Timestamp,
    probe: impl Fn(u64) -> BoxFuture<'a, Result<Option<(u64, Option<i64>)>, StoreError>>,
) -> Result<Option<u64>, StoreError> {
    let mut best = None;
    let early = |time: Option<i64>| time.is_some_and(|time| time.cast_unsigned() < at.as_millis());
    while low <= high {
        let step = ((high - low) / PROBES).max(1);
        let points: Vec<u64> =
            (0..PROBES).map(|n| low + n * step).take_while(|point| *point <= high).collect();
        let found = try_join_all(points.iter().map(|point| probe(*point))).await?;
        let lowest = low;
        for (point, row) in points.into_iter().zip(found) {
            match row.filter(|(key, _)| *key <= high) {
                Some((key, time)) if early(time) => low = key + 1,
                late => {
                    best = late.map_or(best, |(key, _)| Some(key));
                    // Nothing lies between the first point and its row.
                    if point == lowest {
                        return Ok(best);
                    }
                    high = point - 1;
                    break;
                }
            }
        }
    }
    Ok(best)
}
