//! Finishes what a crash left: changes and notices that are committed and not published.
//!
//! Invariant: each round looks at everything that waits, a page at a time, and leaves alone what was
//! committed so recently that whoever committed it is still at it.

use std::sync::Arc;
use std::time::Duration;

use bus_schema::ids::{ConversationId, UserId};
use bus_schema::runtime::bus::jitter;
use bus_schema::runtime::shutdown::Shutdown;
use bus_schema::sabotage::{Safeguard, off};
use bus_schema::timestamp::Timestamp;
use futures::StreamExt as _;
use futures::stream;
use tokio::time::timeout;

use super::Channels;
use super::create::nonces_before;
use crate::store::StoreError;
use crate::store::channels::DmNotice;

/// Channels, or notices, found with one look.
const PAGE: usize = 100;

/// Sweeps at once and then at intervals, until stopped.
pub(super) async fn run(role: Arc<Channels>, shutdown: Shutdown) {
    let every = Duration::from_millis(role.settings.sweep_every_ms);
    while !shutdown.is_requested() {
        tokio::select! {
            swept = sweep(&role) => if let Err(error) = swept {
                tracing::warn!(store.error = %error, "sweeping failed");
            },
            () = shutdown.requested() => return,
        }
        // With jitter: several workers sweep the same store.
        let _ = timeout(jitter(every), shutdown.requested()).await;
    }
}

/// One round.
async fn sweep(role: &Channels) -> Result<(), StoreError> {
    if off(Safeguard::Sweep) {
        return Ok(());
    }
    let now = Timestamp::now();
    let age = role.settings.sweep_after_ms;
    let before = Timestamp::from_millis(now.as_millis().saturating_sub(age));
    let at_once = role.settings.publish_at_once.max(1);

    let mut found = 0;
    let mut after = ConversationId(0);
    loop {
        let page = role.store.waiting_channels(before, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = *last;
        found += page.len();
        let publishing = |channel| role.publisher.drive(channel);
        stream::iter(page).for_each_concurrent(at_once, publishing).await;
    }
    let mut after = DmNotice { id: ConversationId(0), user: UserId(0) };
    loop {
        let page = role.store.waiting_dms(before, after, PAGE).await?;
        let Some(last) = page.last() else { break };
        after = *last;
        found += page.len();
        let publishing = |notice| async move {
            // A notice that cannot be published now is found again by the next round.
            let _ = role.publisher.notify(notice, role.deadline()).await;
        };
        stream::iter(page).for_each_concurrent(at_once, publishing).await;
    }
    metrics::gauge!("natter_channels_left_behind")
        .set(f64::from(u32::try_from(found).unwrap_or(u32::MAX)));
    if found > 0 {
        tracing::info!(found, "published what was left");
    }
    role.store.forget_nonces(nonces_before(now)).await
}
