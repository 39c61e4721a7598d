//! The cluster backend: history in Cassandra, people and channels in MongoDB, profiles cached in
//! Redis.
//!
//! Invariant: opening connects to nothing. A server that is away makes its operations
//! [`Unavailable`](super::StoreErrorKind::Unavailable) until it is back, without a restart.

pub mod cassandra;
pub(crate) mod channels;
pub(crate) mod history;
pub(crate) mod invites;
pub(crate) mod keys;
pub mod mongodb;
pub(crate) mod profiles;
pub mod redis;
pub(crate) mod sessions;
pub(crate) mod transfer;
pub(crate) mod users;
pub(crate) mod webhooks;

use std::sync::Arc;

use self::mongodb::Mongo;
use super::settings::StoreSettings;
use super::{StoreError, Stores};

/// Every aggregate, on its server.
pub(crate) fn open(settings: &StoreSettings) -> Result<Stores, StoreError> {
    settings.all_named()?;
    let mongo = Mongo::open(&settings.mongodb)?;
    Ok(Stores {
        users: Arc::new(users::Users(mongo.clone())),
        sessions: Arc::new(sessions::Sessions(mongo.clone())),
        keys: Arc::new(keys::Keys(mongo.clone())),
        invites: Arc::new(invites::Invites(mongo.clone())),
        webhooks: Arc::new(webhooks::Webhooks(mongo.clone())),
        channels: Arc::new(channels::Channels(mongo)),
        history: Arc::new(history::open(&settings.cassandra)),
        profiles: Arc::new(profiles::InRedis::new(&settings.redis)?),
    })
}
