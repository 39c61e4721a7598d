//! Writing copies: in batches, each with the position after it.
//!
//! Invariant: a position counts what its batch and those before it hold, and nothing else.

use std::time::Duration;

use super::position::{Copy, Position};
use super::work::Run;
use crate::roles::RoleError;

/// How often the position is written where nothing is copied.
const WRITE_POSITION: Duration = Duration::from_secs(5);
/// Events of one batch, which is one write,
const COPIES: usize = 500;
/// and their bytes.
const COPIES_BYTES: usize = 1 << 20;

impl Run<'_> {
    /// Writes copies in batches, each with the position after it.
    pub(super) async fn write(&mut self, copies: &[Copy], last: u64) -> Result<(), RoleError> {
        let (bus, stream) = (&self.worker.bus, self.worker.stream);
        // What is read again to be judged moves nothing, and what is in part stays so until it is reached.
        if last > self.now.sequence {
            (self.now.sequence, self.now.part) = (last, None);
        }
        let written = &self.written.position;
        let due = self.now != *written && self.written_at.elapsed() >= WRITE_POSITION;
        if copies.is_empty() && self.now.behind == written.behind && !due {
            return Ok(());
        }
        let mut rest = copies;
        loop {
            let (batch, left) = rest.split_at(fitting(rest));
            let position = match left.first() {
                // Who is left out is known only at the end; until then as it was.
                Some(next) => within(&self.written.position, batch, next),
                None => self.now.clone(),
            };
            self.written.advance(bus, stream, batch, position).await?;
            rest = left;
            if rest.is_empty() {
                break;
            }
        }
        self.written_at = tokio::time::Instant::now();
        self.count(copies.len());
        Ok(())
    }

    fn count(&self, copies: usize) {
        let stream = self.worker.stream.to_string();
        let copies = u64::try_from(copies).unwrap_or(u64::MAX);
        metrics::counter!("natter_delivery_events_total", "stream" => stream.clone())
            .increment(copies);
        #[expect(clippy::cast_precision_loss, reason = "gauges; sequences stay below 2^53")]
        let (behind, position) = (self.now.behind.len() as f64, self.now.sequence as f64);
        metrics::gauge!("natter_delivery_left_out", "stream" => stream.clone()).set(behind);
        metrics::gauge!("natter_delivery_position", "stream" => stream).set(position);
    }
}

/// The first copies that go into one batch. Never none of some.
fn fitting(copies: &[Copy]) -> usize {
    let mut bytes = 0;
    let fitting = copies.iter().take(COPIES).take_while(|copy| {
        bytes += copy.event.len();
        bytes <= COPIES_BYTES
    });
    fitting.count().max(1).min(copies.len())
}

/// The position after a batch that other copies follow.
fn within(before: &Position, batch: &[Copy], next: &Copy) -> Position {
    let mut position = before.clone();
    if let Some(done) = batch.iter().rev().find(|copy| copy.whole) {
        let parted = done.sequence == next.sequence;
        position.sequence = if parted { done.sequence - 1 } else { done.sequence };
        position.part = parted.then_some((done.sequence, done.bot));
    }
    position
}

#[cfg(test)]
mod tests {
    use bus_schema::ids::UserId;
    use proptest::prelude::*;

    use super::*;

    fn copy(sequence: u64, bot: u64, whole: bool) -> Copy {
        Copy { sequence, bot: UserId(bot), event: bytes::Bytes::from(vec![0; 200]), whole }
    }

    #[test]
    fn a_batch_is_never_empty_and_bounded() {
        let many = vec![copy(1, 1, true); COPIES + 1];
        assert_eq!(fitting(&many), COPIES);
        assert_eq!(fitting(&[]), 0);
        let event = bytes::Bytes::from(vec![0; COPIES_BYTES + 1]);
        let large = Copy { event, ..copy(1, 1, true) };
        assert_eq!(fitting(&[large.clone(), large]), 1);
    }

    proptest! {
        /// Wherever delivery dies between two batches, what is left is written once and nothing else.
        #[test]
        fn going_on_from_any_batch_leaves_out_nothing_and_doubles_nothing(
            bots in prop::collection::vec(1u64..6, 1..12),
            cut in 1usize..60,
        ) {
            let mut copies = Vec::new();
            for (sequence, bots) in (10u64..).zip(&bots) {
                for bot in 1..=*bots {
                    if bot == 3 {
                        copies.push(copy(sequence, bot, false));
                    }
                    copies.push(copy(sequence, bot, true));
                }
            }
            let cut = cut.min(copies.len());
            let (batch, left) = copies.split_at(cut);
            if let Some(next) = left.first() {
                let before = Position { sequence: 9, ..Position::default() };
                let position = within(&before, batch, next);
                for (index, copy) in copies.iter().enumerate().filter(|(_, copy)| copy.whole) {
                    let covered = position.covers(copy.sequence, copy.bot);
                    prop_assert_eq!(covered, index < cut, "{:?}", copy);
                }
            }
        }
    }
}
