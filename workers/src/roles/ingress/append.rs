//! Appending an entry and learning from history whether it counts.

use std::time::Duration;

use bus_schema::entry::{Body, Entry};
use bus_schema::error::{Code, Failure};
use bus_schema::ops::history::{Freshness, Range, RangeRequest};
use bus_schema::runtime::bus::jitter;
use bus_schema::runtime::call::Call;
use bus_schema::runtime::log::append;
use bus_schema::subjects::LogSubject;
use bus_schema::text::Nonce;
use tokio::time::{Instant, sleep};

use super::Ingress;

/// How long after its acknowledgement history may take to judge an entry.
const JUDGED_WITHIN: Duration = Duration::from_secs(5);
/// Between two tries to ask.
const ASK_AGAIN: Duration = Duration::from_millis(50);

impl Ingress {
    /// Appends an entry and gives it back once it is durable and valid.
    pub(super) async fn append(
        &self,
        place: LogSubject,
        body: &Body,
        nonce: Option<&Nonce>,
    ) -> Result<Entry, Failure> {
        let published = append::append(&self.bus, &self.log, place, body, nonce).await?;
        let entry = self.judged(place, published.sequence).await?;
        if published.duplicate && !entry.body.repeats(body) {
            return Err(Failure::new(Code::Conflict, "this nonce names another message"));
        }
        Ok(entry)
    }

    /// The entry at a sequence, if it counts. Only valid ones are in history's answers.
    async fn judged(&self, place: LogSubject, sequence: u64) -> Result<Entry, Failure> {
        let stream = self.layout.stream_of(place);
        let fresh = Freshness { min: sequence, latest: false };
        let after = Some(sequence.saturating_sub(1));
        let request = RangeRequest { place, after, fresh, limit: 1, membership: false };
        let deadline = Instant::now() + JUDGED_WITHIN;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let call = Call::platform().stream(stream).timeout(left);
            match self.bus.call::<Range>(&call, &request).await {
                Ok(reply) => {
                    let found = reply.entries.iter().find(|entry| entry.seq == sequence);
                    let found = found.ok_or_else(Failure::not_found)?;
                    return found.unpack(place, stream).map_err(|error| {
                        tracing::error!(%error, %place, "an entry from history cannot be read");
                        Failure::unknown_outcome()
                    });
                }
                Err(failure) if Instant::now() >= deadline => {
                    tracing::warn!(%failure, %place, "an entry was not judged in time");
                    return Err(Failure::unknown_outcome());
                }
                Err(_) => sleep(jitter(ASK_AGAIN)).await,
            }
        }
    }
}
