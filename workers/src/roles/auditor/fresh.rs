//! Looking for the rows of new entries, each once the store's floor has passed it.
//!
//! Invariant: what was looked for rises without a hole, unless it is too far behind the floor: then
//! what lies between is left to the next pass over all, and counted.

use bus_schema::ops::audit::EntryAt;
use bus_schema::runtime::log::{Reader, Stored};
use tokio::sync::watch;

use super::check::{Checker, gather};
use super::ledger::Pending;
use super::term::{Audit, Patience};
use crate::roles::RoleError;

/// Entries named as examples of those that wait.
const EXAMPLES: usize = 3;

/// Follows the log from `after` on. Ends only by a failure of the log.
pub(super) async fn follow(
    audit: &Audit<'_>,
    after: u64,
    mut floor: watch::Receiver<Option<u64>>,
) -> Result<(), RoleError> {
    let worker = audit.worker;
    // The store must have said once how far it is; what is below that is for the pass over all.
    let known = floor.wait_for(Option::is_some).await.map_err(RoleError::new)?.unwrap_or(0);
    let mut at = known.max(after);
    audit.ledger.lock().check(at, None);
    loop {
        let mut reader = Reader::open(&worker.bus, worker.stream, at);
        let mut checker = Checker::new(&worker.store, worker.stream, &worker.settings);
        loop {
            let mut waiting = gather(&mut reader).await.map_err(RoleError::new)?;
            while let Some(first) = waiting.first().map(|stored| stored.sequence) {
                audit.ledger.lock().check(at, pending(&waiting));
                let passed = |floor: &Option<u64>| floor.is_some_and(|floor| floor >= first);
                let upto = floor.wait_for(passed).await.map_err(RoleError::new)?.unwrap_or(0);
                let rest = waiting.split_off(waiting.partition_point(|s| s.sequence <= upto));
                look(audit, &mut checker, &waiting).await;
                at = waiting.last().map_or(at, |stored| stored.sequence);
                waiting = rest;
            }
            audit.ledger.lock().check(at, None);
            let passed = floor.borrow().unwrap_or(0);
            if passed.saturating_sub(at) > worker.settings.behind_entries {
                metrics::counter!("natter_audit_skipped_total", "stream" => worker.stream.to_string())
                    .increment(passed - at);
                at = passed;
                audit.ledger.lock().check(at, None);
                break;
            }
        }
    }
}

async fn look(audit: &Audit<'_>, checker: &mut Checker, run: &[Stored]) {
    let (Some(first), Some(last)) = (run.first(), run.last()) else { return };
    let mut patience = Patience::default();
    let found = loop {
        match checker.check(run).await {
            Ok(found) => break found,
            Err(error) => patience.failed(audit.worker.stream, &error).await,
        }
    };
    audit.found(first.sequence..=last.sequence, found);
}

/// The oldest of what waits. Notices are no entries of a conversation, but count.
fn pending(waiting: &[Stored]) -> Option<Pending> {
    let examples = waiting.iter().filter_map(|stored| {
        let conversation_id = stored.place?.conversation()?;
        let id = bus_schema::ids::EntryId::new(stored.sequence, stored.stream);
        Some(EntryAt { conversation_id, id })
    });
    let examples = examples.take(EXAMPLES).collect();
    waiting.first().map(|first| Pending { at: first.at, examples })
}
