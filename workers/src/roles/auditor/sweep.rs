//! Going again and again over all that the log still holds.
//!
//! Invariant: a pass begins at the log's first entry and goes up to where rows were looked for when it
//! began, so a row that is lost or changed while the log holds its entry is found within two passes.
//! A pass takes no more of the store than it is allowed in a second.

use std::time::Duration;

use bus_schema::runtime::log::Reader;
use tokio::time::{Instant, sleep_until, timeout};

use super::check::{Checker, gather};
use super::term::{Audit, Patience};
use crate::roles::RoleError;

/// How long a pass waits for an entry that should be there: the log may have been emptied meanwhile.
const ENTRY: Duration = Duration::from_secs(30);

/// Passes until something fails.
pub(super) async fn sweep(audit: &Audit<'_>) -> Result<(), RoleError> {
    let every = Duration::from_secs(audit.worker.settings.sweep_every_s.max(1));
    loop {
        let begun = Instant::now();
        let entries = pass(audit).await?;
        let took = begun.elapsed();
        {
            let mut ledger = audit.ledger.lock();
            ledger.faults.end();
            ledger.swept(entries, took, Instant::now());
        }
        sleep_until(begun + every.max(took)).await;
    }
}

/// Goes over all once. How many entries that were.
async fn pass(audit: &Audit<'_>) -> Result<u64, RoleError> {
    let worker = audit.worker;
    let first = worker.log().await?.first;
    let upto = {
        let mut ledger = audit.ledger.lock();
        ledger.faults.begin();
        ledger.checked()
    };
    let mut checker = Checker::new(&worker.store, worker.stream, &worker.settings);
    recheck(audit, &checker, first).await;
    let mut reader = Reader::open(&worker.bus, worker.stream, first.saturating_sub(1));
    let (begun, mut entries) = (Instant::now(), 0);
    while upto >= first && reader.last() < upto {
        let Ok(run) = timeout(ENTRY, gather(&mut reader)).await else { break };
        let mut run = run.map_err(RoleError::new)?;
        run.truncate(run.partition_point(|stored| stored.sequence <= upto));
        let (Some(from), Some(to)) = (run.first(), run.last()) else { break };
        let mut patience = Patience::default();
        let found = loop {
            match checker.check(&run).await {
                Ok(found) => break found,
                Err(error) => patience.failed(worker.stream, &error).await,
            }
        };
        audit.found(from.sequence..=to.sequence, found);
        entries += u64::try_from(run.len()).unwrap_or(0);
        let per_s = f64::from(worker.settings.sweep_per_s.max(1));
        #[expect(clippy::cast_precision_loss, reason = "a pace")]
        let due = Duration::from_secs_f64(entries as f64 / per_s);
        sleep_until(begun + due).await;
    }
    Ok(entries)
}

/// What is known to be wrong with entries that the log no longer has may have been put right.
async fn recheck(audit: &Audit<'_>, checker: &Checker, first: u64) {
    let old = audit.ledger.lock().faults.before(first);
    for wrong in old {
        match checker.is_still(&wrong).await {
            Ok(true) => {}
            Ok(false) => audit.ledger.lock().faults.heal(&wrong),
            // The next pass asks again.
            Err(error) => tracing::debug!(%wrong, %error, "cannot look again now"),
        }
    }
}
