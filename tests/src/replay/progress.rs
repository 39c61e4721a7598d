//! Counters and latencies of a run, and the line that is printed every few seconds.
//!
//! Invariant: counters only grow, and whoever waits for "that many messages sent" is woken by the
//! one that makes it true. Latencies are in microseconds.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Run;
use crate::Outcome;

/// How often a line is printed.
const EVERY: Duration = Duration::from_secs(3);
/// Descriptions kept of what went against the protocol.
const KEPT: usize = 50;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// One more.
    pub fn up(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many so far.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a run counts.
#[derive(Debug)]
pub struct Progress {
    phase: Mutex<(&'static str, Instant)>,
    sent: watch::Sender<u64>,
    playing: Mutex<(Option<Instant>, Option<Duration>)>,
    acks: Mutex<Option<Histogram<u64>>>,
    violations: Mutex<Vec<String>>,
    /// Accounts registered or signed in.
    pub accounts: Count,
    /// Members added by channels' creators.
    pub added: Count,
    /// Entries that observers received.
    pub received: Count,
    /// Planned disconnects of observers.
    pub cuts: Count,
    /// Connections that observers lost otherwise.
    pub lost: Count,
    /// Connections that observers broke on purpose before RESUMED.
    pub broken: Count,
    /// Times an observer reached RESUMED with cursors.
    pub resumed: Count,
    /// GAPs that observers were sent.
    pub gaps: Count,
    /// Entries that observers fetched page by page.
    pub paged: Count,
    /// Sockets that authors opened.
    pub author_sockets: Count,
    /// SENDs repeated with their nonce.
    pub repeated: Count,
    /// NACKs that asked for patience.
    pub refused: Count,
    /// Edges killed.
    pub kills: Count,
    /// Bots killed.
    pub bot_kills: Count,
    /// Everything that went against the protocol.
    pub violated: Count,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            phase: Mutex::new(("starting", Instant::now())),
            sent: watch::Sender::new(0),
            playing: Mutex::default(),
            acks: Mutex::new(histogram().ok()),
            violations: Mutex::default(),
            accounts: Count::default(),
            added: Count::default(),
            received: Count::default(),
            cuts: Count::default(),
            lost: Count::default(),
            broken: Count::default(),
            resumed: Count::default(),
            gaps: Count::default(),
            paged: Count::default(),
            author_sockets: Count::default(),
            repeated: Count::default(),
            refused: Count::default(),
            kills: Count::default(),
            bot_kills: Count::default(),
            violated: Count::default(),
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Progress {
    /// Names what is being done now.
    pub fn phase(&self, name: &'static str) {
        *locked(&self.phase) = (name, Instant::now());
    }

    /// A message has been acknowledged.
    pub fn acked(&self, took: Duration) {
        locked(&self.playing).0.get_or_insert_with(Instant::now);
        if let Some(acks) = locked(&self.acks).as_mut() {
            acks.saturating_record(micros(took));
        }
        self.sent.send_modify(|sent| *sent += 1);
    }

    /// Messages acknowledged so far.
    pub fn sent(&self) -> u64 {
        *self.sent.borrow()
    }

    /// Waits until that many messages have been acknowledged.
    pub async fn sent_at_least(&self, count: u64) {
        // The sender is our own: it cannot have gone.
        let _ = self.sent.subscribe().wait_for(|&sent| sent >= count).await;
    }

    /// Everything has been sent.
    pub fn played(&self) {
        let mut playing = locked(&self.playing);
        playing.1 = playing.0.map(|start| start.elapsed());
    }

    /// Messages a second, from the first ack to the last.
    pub fn rate(&self) -> f64 {
        let (start, took) = *locked(&self.playing);
        let took = took.or_else(|| start.map(|start| start.elapsed()));
        #[expect(clippy::cast_precision_loss, reason = "a rate is read by people")]
        let sent = self.sent() as f64;
        took.map_or(0.0, |took| sent / took.as_secs_f64().max(0.001))
    }

    /// The latencies of acknowledgements.
    pub fn acks(&self) -> Quantiles {
        locked(&self.acks).as_ref().map(Quantiles::of).unwrap_or_default()
    }

    /// Somebody was sent what the protocol does not allow.
    pub fn violation(&self, what: String) {
        self.violated.up();
        let mut kept = locked(&self.violations);
        if kept.len() < KEPT {
            kept.push(what);
        }
    }

    /// What went against the protocol, as far as it was kept.
    pub fn violations(&self) -> Vec<String> {
        locked(&self.violations).clone()
    }

    fn line(&self, of: usize) -> String {
        let (phase, since) = *locked(&self.phase);
        let (sent, rate) = (self.sent(), self.rate());
        let (accounts, added) = (self.accounts.get(), self.added.get());
        let (received, paged) = (self.received.get(), self.paged.get());
        let (cuts, lost, gaps) = (self.cuts.get(), self.lost.get(), self.gaps.get());
        let (repeated, violated) = (self.repeated.get(), self.violated.get());
        format!(
            "{phase} ({:.0} s): {accounts} accounts, {added} members added, {sent}/{of} messages \
             ({rate:.0}/s, {repeated} repeated), {received} entries received, {cuts} disconnects, \
             {lost} connections lost, {gaps} gaps, {paged} entries paged, {} kills, \
             {} of bots, {violated} violations",
            since.elapsed().as_secs_f64(),
            self.kills.get(),
            self.bot_kills.get(),
        )
    }
}

/// Prints a line every few seconds until told to stop.
pub async fn print(run: Arc<Run>, messages: usize, stop: CancellationToken) {
    let mut tick = tokio::time::interval(EVERY);
    tick.tick().await;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => println!("{}", run.progress.line(messages)),
        }
    }
}

/// Two points of a distribution.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quantiles {
    /// How many were measured.
    pub count: u64,
    /// Half were faster.
    pub p50: Duration,
    /// One in a hundred was slower.
    pub p99: Duration,
}

impl Quantiles {
    /// Reads them off a histogram of microseconds.
    pub fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| Duration::from_micros(histogram.value_at_quantile(quantile));
        Self { count: histogram.len(), p50: at(0.5), p99: at(0.99) }
    }

    /// Of these durations.
    pub fn collect(durations: impl Iterator<Item = Duration>) -> Outcome<Self> {
        let mut histogram = histogram()?;
        durations.for_each(|duration| histogram.saturating_record(micros(duration)));
        Ok(Self::of(&histogram))
    }
}

impl fmt::Display for Quantiles {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |duration: Duration| duration.as_secs_f64() * 1000.0;
        let (p50, p99) = (ms(self.p50), ms(self.p99));
        write!(out, "p50 {p50:.1} ms, p99 {p99:.1} ms ({} measured)", self.count)
    }
}

/// Of microseconds, up to ten minutes.
fn histogram() -> Outcome<Histogram<u64>> {
    Ok(Histogram::new_with_bounds(1, 600_000_000, 3)?)
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_for_a_number_is_woken_by_it() {
        let progress = Progress::default();
        let acking = async {
            for _ in 0..3 {
                tokio::task::yield_now().await;
                progress.acked(Duration::from_millis(5));
            }
        };
        tokio::join!(progress.sent_at_least(3), acking);
        assert_eq!(progress.sent(), 3);
        assert_eq!(progress.acks().count, 3);
    }

    #[test]
    fn quantiles_are_of_what_was_measured() {
        let all = Quantiles::collect((1..=100).map(Duration::from_millis)).unwrap();
        assert_eq!(all.p50.as_millis(), 50);
        assert_eq!(all.p99.as_millis(), 99);
    }
}
