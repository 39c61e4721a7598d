//! Telling everybody who sees a person that their profile changed: best effort and bounded.
//!
//! Who is not told sees the change when they look the next time. Nothing waits for this.

use std::sync::Arc;
use std::time::Duration;

use bus_schema::error::Failure;
use bus_schema::events::{Ephemeral, User};
use bus_schema::ops::Empty;
use bus_schema::ops::channels::Audience;
use bus_schema::runtime::bus::Bus;
use bus_schema::runtime::call::Call;
use bus_schema::subjects::LogSubject;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::ProfilesSettings;

/// How long stopping waits for what has begun.
const FINISH_WAIT: Duration = Duration::from_secs(3);

/// Tells people.
pub(super) struct FanOut {
    bus: Bus,
    permits: Arc<Semaphore>,
    places: usize,
    tasks: TaskTracker,
}

impl FanOut {
    pub(super) fn new(bus: Bus, settings: &ProfilesSettings) -> Self {
        Self {
            bus,
            permits: Arc::new(Semaphore::new(settings.fan_outs)),
            places: settings.fan_out_places,
            tasks: TaskTracker::new(),
        }
    }

    /// Begins to tell, unless too many are being told already.
    pub(super) fn start(&self, user: User) {
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            metrics::counter!("natter_profiles_untold_total").increment(1);
            tracing::info!(user.id = %user.id, "too many changed profiles to tell of this one");
            return;
        };
        let (bus, places) = (self.bus.clone(), self.places);
        self.tasks.spawn(async move {
            if let Err(failure) = tell(&bus, user, places).await {
                tracing::info!(%failure, "a changed profile was not told to all");
            }
            drop(permit);
        });
    }

    /// Waits a little for what has begun.
    pub(super) async fn finish(&self) {
        self.tasks.close();
        let _ = tokio::time::timeout(FINISH_WAIT, self.tasks.wait()).await;
    }
}

async fn tell(bus: &Bus, user: User, places: usize) -> Result<(), Failure> {
    let own = LogSubject::User(user.id);
    let audience = bus.call::<Audience>(&Call::asserted(user.id), &Empty {}).await;
    let event = Ephemeral::UserUpdate(user);
    let (others, outcome) = match audience {
        Ok(audience) => (audience.places, Ok(())),
        Err(failure) => (Vec::new(), Err(failure)),
    };
    for place in std::iter::once(own).chain(others).take(places) {
        if let Err(error) = bus.publish_event(place.ephemeral(), &event).await {
            tracing::info!(%error, "a changed profile was not told to all");
            break;
        }
    }
    outcome
}
