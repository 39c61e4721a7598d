//! Whether a primary can be reached, and what is asked of it.
//!
//! Invariant: a primary that is away costs each operation under way one wait and later ones none:
//! they are refused at once, while one task alone looks, with growing pauses, and lets all in again
//! when it finds one. Being slow is not being away: an operation without an answer in time only
//! makes that task look. What began before a primary was last found says nothing of it, however
//! late it fails.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bus_schema::runtime::bus::jitter;
use mongodb::bson::doc;
use parking_lot::Mutex;
use tokio::time::{sleep, timeout};

use super::{Inner, Mongo, unavailable};
use crate::store::{KnownAway, StoreError, StoreErrorKind};

/// How long a look may take. Where no primary is known it waits for one meanwhile, and ends as soon
/// as one is elected.
pub(super) const LOOK: Duration = Duration::from_secs(1);
/// The first pause between two looks; each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause between two looks.
pub(super) const PAUSE_MAX: Duration = Duration::from_secs(1);

/// What the failed operation knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// It was not answered in time, or refused; another may be answered.
    Unanswered,
    /// There was nobody to ask for as long as an operation waits for a primary, or a connection
    /// broke and the driver's second attempt came to nothing either.
    NoPrimary,
}

/// When an operation began: the number of times that a primary had been found again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Begun(u64);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sight {
    There,
    /// The task looks; meanwhile operations go on.
    Doubted,
    /// The task looks; meanwhile operations are refused.
    Away,
}

/// What is known of the primary, and since when.
#[derive(Debug)]
pub(super) struct Reach(Mutex<(Sight, Begun)>);

impl Default for Reach {
    fn default() -> Self {
        Self(Mutex::new((Sight::There, Begun(0))))
    }
}

impl Reach {
    /// An operation wants to begin.
    pub(super) fn begin(&self) -> Result<Begun, StoreError> {
        let (sight, now) = *self.0.lock();
        match sight {
            Sight::There | Sight::Doubted => Ok(now),
            Sight::Away => Err(StoreError::new(StoreErrorKind::Unavailable, KnownAway("MongoDB"))),
        }
    }

    /// An operation failed. Whether looking has to begin.
    fn doubt(&self, begun: Begun, sign: Sign) -> bool {
        let mut state = self.0.lock();
        if state.1 != begun {
            return false;
        }
        let looks = state.0 != Sight::There;
        if sign == Sign::NoPrimary {
            gone(&mut state.0);
        } else if !looks {
            state.0 = Sight::Doubted;
        }
        !looks
    }

    /// What a look saw.
    fn seen(&self, there: bool) {
        let mut state = self.0.lock();
        if !there {
            return gone(&mut state.0);
        }
        metrics::gauge!("natter_mongodb_up").set(1.0);
        *state = (Sight::There, Begun(state.1.0 + 1));
    }
}

fn gone(sight: &mut Sight) {
    metrics::gauge!("natter_mongodb_up").set(0.0);
    *sight = Sight::Away;
}

impl Mongo {
    /// An operation failed with a sign of the primary being away: sees to it that somebody looks.
    pub(super) fn doubt(&self, begun: Begun, sign: Sign) {
        if self.0.reach.doubt(begun, sign) {
            tokio::spawn(find(Arc::downgrade(&self.0)));
        }
    }

    async fn look(&self) -> Result<(), StoreError> {
        let ping = async {
            // Commands go to the primary.
            self.database().await?.run_command(doc! { "ping": 1 }).await?;
            Ok(())
        };
        timeout(LOOK, Box::pin(ping)).await.unwrap_or_else(|_| Err(unavailable("no answer")))
    }
}

/// Looks until a primary answers, or nobody needs one any more.
async fn find(mongo: Weak<Inner>) {
    let mut pause = FIRST_PAUSE;
    let mut known_away = false;
    loop {
        let Some(mongo) = mongo.upgrade().map(Mongo) else { return };
        let look = mongo.look().await;
        mongo.0.reach.seen(look.is_ok());
        match look {
            Ok(()) if known_away => return tracing::info!("MongoDB answers"),
            Ok(()) => return,
            Err(error) if !known_away => {
                known_away = true;
                tracing::warn!(store.error = %error, "MongoDB is away; what needs it is refused");
            }
            Err(_) => {}
        }
        drop(mongo);
        sleep(jitter(pause)).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_looks_and_only_what_began_since_counts() {
        let reach = Reach::default();
        let first = reach.begin().unwrap();
        assert!(reach.doubt(first, Sign::Unanswered), "looking begins");
        assert_eq!(reach.begin().unwrap(), first, "a slow answer refuses nobody");
        assert!(!reach.doubt(first, Sign::NoPrimary), "and begins once");
        reach.begin().unwrap_err();
        reach.seen(false);
        reach.begin().unwrap_err();
        reach.seen(true);
        let second = reach.begin().unwrap();
        assert!(!reach.doubt(first, Sign::NoPrimary), "it began before");
        assert_eq!(reach.begin().unwrap(), second);
        assert!(reach.doubt(second, Sign::NoPrimary));
        reach.begin().unwrap_err();
    }
}
