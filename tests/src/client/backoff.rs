//! How long to wait before the next try: longer each time, and never all at once.
//!
//! Invariant: waits grow up to a bound and are spread at random, so that many clients of one dead
//! edge do not come back together. It knows no deadline; whoever tries again does.

use std::time::Duration;

use rand::RngExt as _;

/// The first wait.
const FIRST: Duration = Duration::from_millis(50);
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(3);

/// The waits of one thing that is tried again.
#[derive(Debug)]
pub struct Backoff {
    base: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { base: FIRST }
    }
}

impl Backoff {
    /// The next wait, between half and all of its bound.
    pub fn wait(&mut self) -> Duration {
        let wait = self.base.mul_f64(rand::rng().random_range(0.5..=1.0));
        self.base = (self.base * 2).min(LONGEST);
        wait
    }

    /// It worked: the next failure starts with short waits again.
    pub fn reset(&mut self) {
        self.base = FIRST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_a_bound() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..20).map(|_| backoff.wait()).collect();
        assert!(waits[0] <= FIRST);
        assert!(waits.iter().all(|&wait| wait <= LONGEST));
        assert!(waits[19] >= LONGEST / 2);
    }
}
