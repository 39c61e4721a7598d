//! `svc.profiles.update`: changes the caller's own profile.
//!
//! The new profile is in the store, in this cache and on its way to all other caches before the
//! answer. Everybody who shares a conversation is told afterwards, best effort.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bus_schema::error::{Code, Failure};
use bus_schema::events::{User, VersionedUser};
use bus_schema::ops::profiles::UpdateProfileRequest;
use bus_schema::runtime::service::Context;
use bus_schema::subjects;

use super::Profiles;
use crate::store::users::{ProfileChange, Updated};

/// How long the answer waits for the server to have the message for the other caches.
const FLUSH_WAIT: Duration = Duration::from_secs(1);

pub(super) async fn update(
    profiles: Arc<Profiles>,
    context: Context,
    request: UpdateProfileRequest,
) -> Result<User, Failure> {
    let user = context.caller()?.user;
    let change = ProfileChange {
        username: request.username,
        display_name: request.display_name,
        avatar_url: request.avatar_url,
        call: context.call_id,
    };
    let read_at = Instant::now();
    match profiles.users.update_profile(user, change).await? {
        Updated::Done(profile) => {
            profiles.cache.put(std::slice::from_ref(&profile), read_at).await;
            profiles.tell_caches(&profile).await;
            profiles.fan_out.start(profile.user.clone());
            Ok(profile.user)
        }
        Updated::UsernameTaken => Err(Failure::new(Code::UsernameTaken, "this username is taken")),
        // The token was valid, its account is not there: nobody can be signed in like this.
        Updated::NotFound => Err(Failure::unauthorized()),
    }
}

impl Profiles {
    async fn tell_caches(&self, profile: &VersionedUser) {
        let sent = self.bus.publish_event(subjects::PROFILES.to_owned(), profile).await;
        let flushed = tokio::time::timeout(FLUSH_WAIT, self.bus.client().flush()).await;
        if sent.is_err() || !matches!(flushed, Ok(Ok(()))) {
            tracing::warn!(user.id = %profile.user.id, "other caches see a changed profile later");
        }
    }
}
