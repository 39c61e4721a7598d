//! The account as metrics.
//!
//! Invariant: who does not audit a stream shows nothing of it, so that sums over all workers are right.

use bus_schema::ids::StreamIndex;
use bus_schema::ops::audit::{Account, Place};

/// Shows an account.
pub(super) fn account(account: &Account) {
    let stream = account.stream;
    gauge("natter_audit_active", stream, 1);
    gauge("natter_audit_troubled", stream, u64::from(account.is_troubled()));
    gauge("natter_audit_wrong_rows", stream, account.wrong_rows);
    let swept = account.sweep.map(|sweep| (sweep.ended_s, sweep.took_ms / 1_000));
    let (ended, took) = swept.unwrap_or_default();
    gauge("natter_audit_sweep_age_seconds", stream, ended);
    gauge("natter_audit_sweep_took_seconds", stream, took);
    for standing in &account.places {
        place(stream, standing.place, standing.unaccounted, standing.oldest_s);
    }
}

/// Another audits the stream, or nobody.
pub(super) fn nothing(stream: StreamIndex) {
    for name in [
        "natter_audit_active",
        "natter_audit_troubled",
        "natter_audit_wrong_rows",
        "natter_audit_sweep_age_seconds",
        "natter_audit_sweep_took_seconds",
    ] {
        gauge(name, stream, 0);
    }
    for at in [Place::Store, Place::Edge, Place::Bots] {
        place(stream, at, 0, 0);
    }
}

#[expect(clippy::cast_precision_loss, reason = "gauges; counts stay below 2^53")]
fn place(stream: StreamIndex, place: Place, unaccounted: u64, oldest_s: u64) {
    let labels = [("stream", stream.to_string()), ("place", place.name().to_owned())];
    metrics::gauge!("natter_audit_unaccounted", &labels).set(unaccounted as f64);
    metrics::gauge!("natter_audit_oldest_seconds", &labels).set(oldest_s as f64);
}

#[expect(clippy::cast_precision_loss, reason = "a gauge; counts stay below 2^53")]
fn gauge(name: &'static str, stream: StreamIndex, value: u64) {
    metrics::gauge!(name, "stream" => stream.to_string()).set(value as f64);
}
