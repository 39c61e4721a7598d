//! Waiting for a condition: with a deadline, and the last status seen when it passes.
//!
//! Invariant: this is the only place of the crate that sleeps to wait for something it cannot be
//! told about. It never swallows what was seen last.

use std::fmt::Display;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use crate::{Failure, Outcome};

/// The first pause between two looks; it doubles up to [`LONGEST_PAUSE`].
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);
/// The longest pause between two looks.
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// What one look at the condition found.
pub enum Seen<T> {
    /// It holds, and this is what was waited for.
    Done(T),
    /// It does not hold yet, because of this.
    NotYet(String),
}

impl<T> Seen<T> {
    /// Not yet, and why.
    pub fn not_yet(status: impl Display) -> Self {
        Self::NotYet(status.to_string())
    }
}

impl Seen<()> {
    /// Done when the condition holds; else the status.
    pub fn when(condition: bool, status: impl Display) -> Self {
        if condition { Self::Done(()) } else { Self::not_yet(status) }
    }
}

/// Looks until the condition holds or `within` has passed. A look that fails outright ends the wait.
pub async fn eventually<T>(
    what: &str,
    within: Duration,
    mut look: impl AsyncFnMut() -> Outcome<Seen<T>>,
) -> Outcome<T> {
    let deadline = Instant::now() + within;
    let mut last = "nothing yet".to_owned();
    let mut pause = SHORTEST_PAUSE;
    loop {
        match timeout_at(deadline, look()).await {
            Ok(Ok(Seen::Done(value))) => return Ok(value),
            Ok(Ok(Seen::NotYet(status))) => last = status,
            Ok(Err(failure)) => return Err(failure.within(what)),
            Err(_) => last = format!("{last} (and the last look did not end)"),
        }
        if Instant::now() + pause > deadline {
            let message = format!("{what}: not within {within:?}; last seen: {last}");
            return Err(Failure::new(message));
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn returns_what_the_look_found() {
        let mut looks = 0;
        let found = eventually("three looks", Duration::from_secs(5), async || {
            looks += 1;
            Ok(if looks == 3 { Seen::Done(looks) } else { Seen::not_yet(looks) })
        });
        assert_eq!(found.await.unwrap(), 3);
    }

    #[tokio::test]
    async fn tells_the_last_status_when_the_deadline_passes() {
        let wait = eventually("the moon", Duration::from_millis(20), async || {
            Ok::<Seen<()>, Failure>(Seen::not_yet("half"))
        });
        let failure = wait.await.unwrap_err().to_string();
        assert!(failure.contains("the moon") && failure.contains("half"), "{failure}");
    }

    #[tokio::test]
    async fn a_look_that_hangs_does_not_outlive_the_deadline() {
        let wait = eventually("a hang", Duration::from_millis(20), async || {
            std::future::pending::<Outcome<Seen<()>>>().await
        });
        assert!(wait.await.unwrap_err().to_string().contains("did not end"));
    }
}
