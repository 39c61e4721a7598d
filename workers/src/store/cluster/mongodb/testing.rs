//! A database of a test's own on the real server, dropped afterwards.

use std::panic::{AssertUnwindSafe, resume_unwind};

use futures::FutureExt as _;

use super::{Mongo, MongoSettings};
use crate::testing::cluster::{Server, unique_name};

/// Settings for a database that no other test uses. It is not there until something is kept in it.
pub(crate) fn settings() -> MongoSettings {
    MongoSettings {
        url: Server::Mongodb.url(),
        database: unique_name(),
        // Several tests build their indexes at once on a small machine.
        operation_timeout_ms: 20_000,
        ..MongoSettings::default()
    }
}

/// Runs a test on a prepared database, and drops it however the test ends.
pub(crate) async fn with_database(test: impl AsyncFnOnce(Mongo)) {
    let mongo = Mongo::open(&settings()).unwrap();
    mongo.migrate().await.unwrap();
    let ended = AssertUnwindSafe(Box::pin(test(mongo.clone()))).catch_unwind().await;
    mongo.drop_database().await;
    if let Err(panic) = ended {
        resume_unwind(panic);
    }
}

impl Mongo {
    /// A handle with connections of its own on the same database, as another process has.
    pub(crate) fn another(&self) -> Self {
        Self::open(&self.0.settings).unwrap()
    }

    /// Drops all that a test has kept.
    pub(crate) async fn drop_database(&self) {
        self.database().await.unwrap().drop().await.unwrap();
    }
}
