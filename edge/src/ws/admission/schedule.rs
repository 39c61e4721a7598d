//! The arithmetic of admission: which moment is whose. Pure; times count from the edge's start.
//!
//! Invariants (held by the property tests): in any span of time no more than the burst and the span's
//! share of the rate begin; starts are in the order of asking and none is later than the patience; of
//! those sent away, appointments within [`FARTHEST`] are apart as the pace is.

use std::time::Duration;

/// The longest wait that is asked of anybody.
pub(super) const FARTHEST: Duration = Duration::from_secs(30);
/// However slow workers are: so often one is let in, to find out whether they still are.
const SLOWEST: Duration = Duration::from_millis(100);
/// The weight of one more duration in the mean of all.
const WEIGHT: u32 = 16;

/// The bounds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    pub(super) per_s: u32,
    pub(super) burst: u32,
    pub(super) at_once: usize,
    pub(super) waiting: usize,
    pub(super) patience: Duration,
}

/// The moments given away so far.
#[derive(Debug)]
pub(super) struct Schedule {
    pace: Pace,
    /// When the next start is due if nobody had saved up any.
    due: Duration,
    /// The last appointment given to one who was sent away.
    appointed: Duration,
    waiting: usize,
    /// How long one is worked on, in the mean.
    takes: Duration,
}

impl Schedule {
    pub(super) const fn new(pace: Pace) -> Self {
        let zero = Duration::ZERO;
        Self { pace, due: zero, appointed: zero, waiting: 0, takes: zero }
    }

    /// The time between two starts: as set, or as workers keep up with.
    fn interval(&self) -> Duration {
        let set = Duration::from_secs(1) / self.pace.per_s;
        let at_once = u32::try_from(self.pace.at_once).unwrap_or(u32::MAX);
        set.max((self.takes / at_once).min(SLOWEST))
    }

    /// When who asks now would start.
    fn start(&self, now: Duration) -> Duration {
        let saved = self.interval() * (self.pace.burst - 1);
        now.max(self.due.saturating_sub(saved))
    }

    fn is_full(&self, now: Duration) -> bool {
        self.waiting >= self.pace.waiting || self.start(now) > now + self.pace.patience
    }

    /// When to start; or, if that is too far off or too many wait, how long to stay away. Each start is
    /// followed by one call of [`Self::left`].
    pub(super) fn ask(&mut self, now: Duration) -> Result<Duration, Duration> {
        if self.is_full(now) {
            return Err(self.appointment(now));
        }
        let start = self.start(now);
        self.due = self.due.max(now) + self.interval();
        self.waiting += 1;
        Ok(start)
    }

    /// How long to stay away, if there is no place now.
    pub(super) fn knock(&mut self, now: Duration) -> Option<Duration> {
        self.is_full(now).then(|| self.appointment(now))
    }

    /// One who waited has begun, or has gone.
    pub(super) fn left(&mut self) {
        self.waiting = self.waiting.saturating_sub(1);
    }

    /// How long one who is sent away is to stay away. Places become free one after the other, so those
    /// who come for them should too; who would have to wait longest comes at some time of its half.
    pub(super) fn appointment(&mut self, now: Duration) -> Duration {
        let next = self.appointed.max(now) + self.interval();
        self.appointed =
            if next.saturating_sub(now) > FARTHEST { now + FARTHEST / 2 } else { next };
        self.appointed.saturating_sub(now)
    }

    /// One was worked on for so long.
    pub(super) fn took(&mut self, time: Duration) {
        self.takes = (self.takes * (WEIGHT - 1) + time) / WEIGHT;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn pace() -> Pace {
        Pace { per_s: 100, burst: 10, at_once: 4, waiting: 1_000, patience: ms(500) }
    }

    #[test]
    fn a_crowd_starts_at_the_rate_and_the_rest_come_back_one_by_one() {
        let mut schedule = Schedule::new(pace());
        let answers: Vec<_> = (0..200).map(|_| schedule.ask(ms(0))).collect();
        let starts: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().ok()).collect();
        // The burst at once, then for as long as anybody waits one in 10 ms.
        assert_eq!(starts.len(), 10 + 50);
        assert_eq!((*starts[9], *starts[10], *starts[59]), (ms(0), ms(10), ms(500)));
        let away: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
        assert!(away.windows(2).all(|pair| pair[1].abs_diff(*pair[0]) == ms(10)));
        assert_eq!(*away[0], ms(10));
    }

    #[test]
    fn as_many_wait_as_may() {
        let mut schedule = Schedule::new(Pace { waiting: 3, ..pace() });
        let asked: Vec<_> = (0..5).map(|_| schedule.ask(ms(0)).is_ok()).collect();
        assert_eq!(asked, [true, true, true, false, false]);
        assert!(schedule.knock(ms(0)).is_some());
        schedule.left();
        assert!(schedule.knock(ms(0)).is_none() && schedule.ask(ms(0)).is_ok());
    }

    #[test]
    fn slow_workers_slow_admission_and_never_stop_it() {
        let mut schedule = Schedule::new(pace());
        (0..100).for_each(|_| schedule.took(ms(200)));
        let slower = schedule.interval();
        assert!(slower > ms(45) && slower <= ms(50), "{slower:?}");
        (0..1_000).for_each(|_| schedule.took(Duration::from_mins(1)));
        assert_eq!(schedule.interval(), SLOWEST);
        (0..1_000).for_each(|_| schedule.took(ms(1)));
        assert_eq!(schedule.interval(), ms(10));
    }

    proptest! {
        #[test]
        fn the_rate_holds_in_every_span(
            steps in prop::collection::vec(0u64..40, 1..300),
            (per_s, burst, patience) in (1u32..500, 1u32..50, 0u64..2_000),
        ) {
            let pace =
                Pace { per_s, burst, at_once: 4, waiting: usize::MAX, patience: ms(patience) };
            let mut schedule = Schedule::new(pace);
            let (mut now, mut starts, mut back) = (ms(0), Vec::new(), Vec::new());
            for step in steps {
                now += ms(step);
                match schedule.ask(now) {
                    Ok(start) => {
                        prop_assert!(start >= now && start <= now + ms(patience));
                        starts.push(start);
                    }
                    Err(hint) => {
                        prop_assert!(hint > ms(0) && hint <= FARTHEST);
                        back.push(now + hint);
                    }
                }
            }
            prop_assert!(starts.is_sorted());
            let interval = schedule.interval();
            let burst = burst as usize;
            for pair in starts.windows(burst + 1) {
                // More than a burst of them are at least one interval apart.
                prop_assert!(pair[burst].abs_diff(pair[0]) + Duration::from_micros(1) >= interval);
            }
            let near = back.windows(2).filter(|pair| pair[1] > pair[0]);
            for pair in near {
                prop_assert!(pair[1].abs_diff(pair[0]) >= interval);
            }
        }
    }
}
