//! Reading a conversation's rows in the order of their sequences, bucket by bucket.
//!
//! Invariants: at most [`WIDTH`] buckets are read at once, only such as exist, and rows beyond what
//! is wanted only as far as the bound says. Whoever is given fewer rows than wanted because of a
//! bound is told up to where was looked, so that the next scan begins there.

use std::collections::VecDeque;

use bus_schema::ids::ConversationId;
use futures::FutureExt as _;
use futures::future::try_join_all;
use futures::try_join;
use scylla::deserialize::row::DeserializeRow;
use scylla::statement::prepared::PreparedStatement;

use super::connected::Connected;
use super::rows::{BucketRow, Sequenced};
use super::{BUCKET, bucket_of};
use crate::store::StoreError;

/// Buckets read at once.
const WIDTH: usize = 8;
/// Rows of one read.
const CHUNK: usize = 128;
/// Buckets found at once.
const LISTED: usize = 16;
/// A sequence above all.
pub(super) const LAST_SEQ: u64 = u64::MAX >> 2;

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    Up,
    Down,
}

/// What to read.
pub(super) struct Scan<'a> {
    pub(super) conversation: ConversationId,
    /// Gives the rows of one bucket, in this order.
    pub(super) statement: &'a PreparedStatement,
    pub(super) way: Way,
    /// The first sequence to look at,
    pub(super) from: u64,
    /// and the last.
    pub(super) to: u64,
    /// Rows to find.
    pub(super) want: usize,
    /// Rows to read at most.
    pub(super) rows: usize,
    /// Buckets to look into at most.
    pub(super) buckets: usize,
}

/// What a row is to the one who scans.
pub(super) enum Take<T> {
    /// Found.
    Row(T),
    /// Not wanted.
    Pass,
    /// The scan ends before it.
    End,
}

/// What was found.
pub(super) struct Found<T> {
    pub(super) rows: Vec<T>,
    /// Where the scan ended though there may be more: everything up to here was looked at.
    pub(super) stop: Option<u64>,
}

/// Reads until enough is found, a bound is met, or nothing is left.
pub(super) async fn scan<R, T>(
    c: &Connected,
    scan: Scan<'_>,
    mut take: impl FnMut(R) -> Result<Take<T>, StoreError>,
) -> Result<Found<T>, StoreError>
where
    R: Sequenced + for<'f, 'm> DeserializeRow<'f, 'm>,
{
    let mut found = Found { rows: Vec::new(), stop: None };
    if scan.want == 0 || scan.is_empty(scan.from) {
        return Ok(found);
    }
    let here = bucket_of(scan.from);
    let mut ahead = Ahead::after(&scan, here);
    // Where the asker begins there mostly is a bucket, so that is tried without asking first.
    let mut targets = vec![here];
    let (mut at, mut left, mut visited, mut width) = (scan.from, scan.rows.max(1), 0, 1);
    loop {
        let wanted = scan.want - found.rows.len();
        let limit = (wanted + wanted / 8).min(CHUNK).min(left / targets.len().max(1)).max(1);
        let mut reads = Vec::with_capacity(targets.len());
        for bucket in &targets {
            reads.push(scan.bucket::<R>(c, *bucket, at, limit).boxed());
        }
        let (read, ()) = try_join!(try_join_all(reads), ahead.fill(c, &scan))?;
        left = left.saturating_sub(read.iter().map(Vec::len).sum());
        let mut unfinished = None;
        let mut reached = targets.iter();
        for (bucket, rows) in reached.by_ref().zip(read) {
            let full = rows.len() >= limit;
            for row in rows {
                let seq = row.seq();
                match take(row)? {
                    Take::Row(row) => found.rows.push(row),
                    Take::Pass => {}
                    Take::End => return Ok(found),
                }
                found.stop = Some(seq);
                if found.rows.len() >= scan.want {
                    return Ok(found);
                }
                at = scan.next(seq);
            }
            if full {
                unfinished = Some(*bucket);
                break;
            }
            at = scan.beyond(*bucket);
            found.stop = Some(scan.before(at));
            visited += 1;
        }
        let mut next: VecDeque<u64> = unfinished.into_iter().chain(reached.copied()).collect();
        width = if unfinished.is_some() { 1 } else { (width * 2).min(WIDTH) };
        next.append(&mut ahead.known);
        targets = next.drain(..width.min(left).min(next.len())).collect();
        ahead.known = next;
        if scan.is_empty(at) || (targets.is_empty() && ahead.known.is_empty() && ahead.complete) {
            found.stop = None;
            return Ok(found);
        }
        if left == 0 || visited >= scan.buckets {
            return Ok(found);
        }
    }
}

impl Scan<'_> {
    fn is_empty(&self, at: u64) -> bool {
        match self.way {
            Way::Up => at > self.to,
            Way::Down => at < self.to,
        }
    }

    /// The sequence after one, in this order. Below 0 there is none: then one past the end.
    const fn next(&self, seq: u64) -> u64 {
        match self.way {
            Way::Up => seq + 1,
            Way::Down => seq.saturating_sub(1),
        }
    }

    const fn before(&self, seq: u64) -> u64 {
        match self.way {
            Way::Up => seq.saturating_sub(1),
            Way::Down => seq + 1,
        }
    }

    /// The first sequence beyond a bucket.
    const fn beyond(&self, bucket: u64) -> u64 {
        match self.way {
            Way::Up => (bucket + 1) * BUCKET,
            Way::Down => (bucket * BUCKET).saturating_sub(1),
        }
    }

    async fn bucket<R>(
        &self,
        c: &Connected,
        bucket: u64,
        at: u64,
        limit: usize,
    ) -> Result<Vec<R>, StoreError>
    where
        R: for<'f, 'm> DeserializeRow<'f, 'm>,
    {
        let (first, last) = (bucket * BUCKET, (bucket + 1) * BUCKET - 1);
        let (low, high) = match self.way {
            Way::Up => (at.max(first), self.to.min(last)),
            Way::Down => (self.to.max(first), at.min(last)),
        };
        let values = (
            self.conversation.0.cast_signed(),
            bucket.cast_signed(),
            low.cast_signed(),
            high.cast_signed(),
            i32::try_from(limit).unwrap_or(i32::MAX),
        );
        c.rows(self.statement, values).await
    }
}

/// The buckets that come next.
struct Ahead {
    known: VecDeque<u64>,
    /// The first that is not known of yet.
    next: u64,
    complete: bool,
}

impl Ahead {
    fn after(scan: &Scan<'_>, here: u64) -> Self {
        let last = bucket_of(scan.to);
        let complete = here == last;
        let next = match scan.way {
            Way::Up => here + 1,
            Way::Down => here.saturating_sub(1),
        };
        Self { known: VecDeque::new(), next, complete }
    }

    /// Finds more where few are known.
    async fn fill(&mut self, c: &Connected, scan: &Scan<'_>) -> Result<(), StoreError> {
        if self.complete || self.known.len() >= WIDTH {
            return Ok(());
        }
        let last = bucket_of(scan.to);
        let (low, high) = match scan.way {
            Way::Up => (self.next, last),
            Way::Down => (last, self.next),
        };
        let rows = buckets(c, scan.conversation, scan.way, (low, high), LISTED).await?;
        self.complete = rows.len() < LISTED;
        for row in rows {
            let bucket = row.bucket();
            self.known.push_back(bucket);
            self.complete |= bucket == last;
            self.next = match scan.way {
                Way::Up => bucket + 1,
                Way::Down => bucket.saturating_sub(1),
            };
        }
        Ok(())
    }
}

/// Buckets of a conversation between two, both included.
pub(super) async fn buckets(
    c: &Connected,
    conversation: ConversationId,
    way: Way,
    (low, high): (u64, u64),
    limit: usize,
) -> Result<Vec<BucketRow>, StoreError> {
    let statement = match way {
        Way::Up => &c.statements.buckets_up,
        Way::Down => &c.statements.buckets_down,
    };
    let limit = i32::try_from(limit).unwrap_or(i32::MAX);
    let (low, high) = (low.cast_signed(), high.cast_signed());
    c.rows(statement, (conversation.0.cast_signed(), low, high, limit)).await
}
