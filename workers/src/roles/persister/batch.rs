//! Gathering what is written together.
//!
//! Invariant: a batch is a run of the log without a hole; it ends at its bounds of entries, bytes or
//! time, or when reading fails, with what was read until then.

use std::time::Duration;

use bus_schema::runtime::log::{ReadError, Reader, Stored};
use tokio::time::{Instant, timeout_at};

use super::PersisterSettings;

/// Waits for something to write, then gathers what comes with it.
pub(super) async fn gather(
    reader: &mut Reader,
    settings: &PersisterSettings,
) -> Result<Vec<Stored>, ReadError> {
    let first = reader.next().await?;
    let deadline = Instant::now() + Duration::from_millis(settings.batch_wait_ms);
    let mut bytes = first.payload.len();
    let mut batch = vec![first];
    while batch.len() < settings.batch_entries && bytes < settings.batch_bytes {
        // A failure comes up again at the next call, when nothing is waiting to be written.
        let Ok(Ok(stored)) = timeout_at(deadline, reader.next()).await else { break };
        bytes += stored.payload.len();
        batch.push(stored);
    }
    Ok(batch)
}
