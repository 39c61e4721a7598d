//! What an operator sees of a copy: a line every few seconds, and one for each table.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, interval_at};

use super::CommandError;

/// Between two lines about the same table.
const EVERY: Duration = Duration::from_secs(2);
/// What to wait before each repetition of something that a store refused for the moment.
pub(super) const WAITS: [Duration; 6] = [
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(20),
];

/// Where lines go.
pub(super) struct Progress<'a> {
    out: &'a mut (dyn Write + Send),
}

/// Rows done so far; shared by whoever does them.
pub(super) struct Rows(AtomicU64);

impl Rows {
    pub(super) const fn none() -> Self {
        Self(AtomicU64::new(0))
    }

    pub(super) fn add(&self, rows: usize) {
        self.0.fetch_add(u64::try_from(rows).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl<'a> Progress<'a> {
    pub(super) fn new(out: &'a mut (dyn Write + Send)) -> Self {
        Self { out }
    }

    /// One line.
    pub(super) fn say(&mut self, line: &str) -> Result<(), CommandError> {
        writeln!(self.out, "{line}")?;
        Ok(self.out.flush()?)
    }

    /// Says how the work goes on until it is done, then how it went.
    pub(super) async fn during<T, E>(
        &mut self,
        what: &str,
        rows: &Rows,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, CommandError>
    where
        CommandError: From<E>,
    {
        let begun = Instant::now();
        let mut beats = interval_at(begun + EVERY, EVERY);
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => {
                    let value = done?;
                    self.line(what, rows, begun, "done")?;
                    return Ok(value);
                }
                _ = beats.tick() => self.line(what, rows, begun, "...")?,
            }
        }
    }

    fn line(
        &mut self,
        what: &str,
        rows: &Rows,
        begun: Instant,
        end: &str,
    ) -> Result<(), CommandError> {
        let (rows, took) = (rows.count(), begun.elapsed());
        // A tenth of a second at least: of less, a rate says nothing.
        let tenths = (took.as_millis() / 100).max(1);
        let rate = u128::from(rows) * 10 / tenths;
        let took = took.as_secs_f64();
        self.say(&format!("  {what:<11} {rows:>12} rows {took:>8.1} s {rate:>9} rows/s  {end}"))
    }
}
