//! Appending what somebody says: the same name, the same repetition and the same refusals, whoever
//! speaks for them.
//!
//! Invariant: an entry's message id is its conversation, its author and the author's name for it.
//! Leaves out whether the entry then counts, which only its reader knows.

use rand::distr::{Alphanumeric, SampleString as _};

use super::group::Group;
use super::{PublishError, Published};
use crate::entry::Body;
use crate::error::Failure;
use crate::events::Ephemeral;
use crate::runtime::bus::Bus;
use crate::sabotage::{Safeguard, off};
use crate::subjects::LogSubject;
use crate::text::Nonce;

/// Appends an entry; answers once it is durable. Without a nonce one is made, which makes only this
/// call's own repetitions harmless.
pub async fn append(
    bus: &Bus,
    log: &Group,
    place: LogSubject,
    body: &Body,
    nonce: Option<&Nonce>,
) -> Result<Published, Failure> {
    let name = nonce.map_or_else(
        || Alphanumeric.sample_string(&mut rand::rng(), 22),
        |nonce| nonce.as_str().to_owned(),
    );
    let id = format!("{}:{}:{name}", body.conversation(), body.author());
    let published = log.publish(place, body.kind().as_str(), body.encode(), &id).await;
    let published = published.map_err(|error| match error {
        PublishError::Unknown => Failure::unknown_outcome(),
        PublishError::NotConnected | PublishError::Busy => Failure::unavailable(),
        PublishError::Refused(why) => {
            tracing::error!(why, %place, "the log refused an entry");
            Failure::unavailable()
        }
    })?;
    if published.duplicate && !off(Safeguard::Nudge) {
        // A duplicate is never republished: tell everybody where it is, in case it passed them by.
        let nudge = Ephemeral::Nudge { sequence: published.sequence };
        let nudged = bus.publish_event(place.ephemeral(), &nudge).await;
        nudged.unwrap_or_else(|error| tracing::debug!(%error, "a nudge was not sent"));
    }
    Ok(published)
}
