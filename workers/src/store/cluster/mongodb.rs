//! Reaching MongoDB.
//!
//! Invariants: connecting happens in the background and never ends; until there is a connection,
//! operations are [`Unavailable`](crate::store::StoreErrorKind::Unavailable), each within a bound, and
//! while no primary can be reached at once. A change that a server may have been asked for and has
//! not answered is [`Unknown`](crate::store::StoreErrorKind::Unknown). What was answered is on a
//! majority of the replica set, and reads come from the primary and show only that. Nothing is
//! written before the unique indexes are there: every operation first makes sure, once in a process,
//! that the schema's version is recorded.
//!
//! Leaves out documents: those stand beside each aggregate.

mod failures;
#[cfg(test)]
mod outage_tests;
mod reach;
pub(crate) mod schema;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod values;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mongodb::options::{
    Acknowledgment, ClientOptions, ConnectionString, ReadConcern, ReadPreference,
    SelectionCriteria, WriteConcern,
};
use mongodb::{Client, Database};
use serde::{Deserialize, Serialize};
use tokio::sync::{OnceCell, Semaphore};
use tokio::time::{Instant, sleep, timeout_at};

pub(crate) use self::failures::{corrupt, duplicate_key, kept_changing};
use self::reach::Reach;
pub(crate) use self::values::{bytes, date, from_bson, hash, time, to_bson};
use crate::store::transfer::CopyState;
use crate::store::{StoreError, StoreErrorKind};

/// How often to look whether the setup role has made the schema.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// `[store.mongodb]`: where people and channels are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MongoSettings {
    /// Where it is; empty: not used.
    pub url: String,
    /// The database.
    pub database: String,
    /// Who signs in; empty: nobody does.
    pub user: String,
    /// The file with the user's password.
    pub password_file: PathBuf,
    /// The database that knows the user.
    pub auth_source: String,
    /// Connections to each server.
    pub max_connections: u32,
    /// Operations that may wait for a connection; further ones are `Unavailable`.
    pub max_waiting: usize,
    /// Milliseconds that making a connection may take.
    pub connect_timeout_ms: u64,
    /// Milliseconds that an operation waits for a primary. One that is not there by then is not
    /// waited for by others: they are `Unavailable` at once, until it is found.
    pub primary_wait_ms: u64,
    /// Milliseconds that an operation may take in all. Less than the 2 s after which a request that
    /// may be repeated is sent again: whoever asks hears what is known, not `timeout`.
    pub operation_timeout_ms: u64,
}

impl Default for MongoSettings {
    fn default() -> Self {
        Self {
            url: String::new(),
            database: "natter".to_owned(),
            user: String::new(),
            password_file: PathBuf::new(),
            auth_source: "admin".to_owned(),
            max_connections: 32,
            max_waiting: 1_024,
            connect_timeout_ms: 2_000,
            primary_wait_ms: 1_000,
            operation_timeout_ms: 1_800,
        }
    }
}

/// A handle on the database. Clones share its connections.
#[derive(Clone)]
pub(crate) struct Mongo(Arc<Inner>);

struct Inner {
    settings: MongoSettings,
    address: ConnectionString,
    /// For a copy a store need not be finished: it is what finishes it.
    copying: bool,
    /// For operations at work and those waiting for a connection: the driver's own queue has no end.
    places: Semaphore,
    reach: Reach,
    client: OnceCell<Client>,
    /// Set once the schema is known to be there.
    prepared: OnceCell<()>,
}

impl fmt::Debug for Mongo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mongo").field("database", &self.0.settings.database).finish_non_exhaustive()
    }
}

impl Mongo {
    /// Checks the settings; connects when something is first asked.
    pub(crate) fn open(settings: &MongoSettings) -> Result<Self, StoreError> {
        Self::open_for(settings, false)
    }

    /// The same database, to be copied as a whole.
    pub(super) fn open_to_copy(settings: &MongoSettings) -> Result<Self, StoreError> {
        Self::open_for(settings, true)
    }

    fn open_for(settings: &MongoSettings, copying: bool) -> Result<Self, StoreError> {
        let places = settings.max_waiting.saturating_add(to_usize(settings.max_connections));
        Ok(Self(Arc::new(Inner {
            address: address(settings)?,
            settings: settings.clone(),
            copying,
            places: Semaphore::new(places.min(Semaphore::MAX_PERMITS)),
            reach: Reach::default(),
            client: OnceCell::new(),
            prepared: OnceCell::new(),
        })))
    }

    /// Brings the schema up to date. Any number of processes may do so at once.
    pub(crate) async fn migrate(&self) -> Result<(), StoreError> {
        // Building an index over what there is already takes as long as it takes.
        let version = schema::migrate(&self.database().await?).await?;
        tracing::info!(schema.version = version, "MongoDB is prepared");
        Ok(())
    }

    /// Does some work that changes nothing, within the bounds of one operation.
    pub(crate) async fn read<T, W>(
        &self,
        work: impl FnOnce(Database) -> W + Send,
    ) -> Result<T, StoreError>
    where
        W: Future<Output = Result<T, StoreError>> + Send,
    {
        self.run(work, |failed| failed).await
    }

    /// Does some work of which at most one step has an effect, within the bounds of one operation.
    pub(crate) async fn change<T, W>(
        &self,
        work: impl FnOnce(Database) -> W + Send,
    ) -> Result<T, StoreError>
    where
        W: Future<Output = Result<T, StoreError>> + Send,
    {
        self.run(work, failures::of_a_change).await
    }

    async fn run<T, W>(
        &self,
        work: impl FnOnce(Database) -> W + Send,
        meant: fn(StoreError) -> StoreError,
    ) -> Result<T, StoreError>
    where
        W: Future<Output = Result<T, StoreError>> + Send,
    {
        let begun = self.0.reach.begin()?;
        let _place =
            self.0.places.try_acquire().map_err(|_| unavailable("too many wait for it"))?;
        let deadline = Instant::now() + Duration::from_millis(self.0.settings.operation_timeout_ms);
        let done = match in_time(deadline, self.prepared(deadline)).await {
            Ok(database) => in_time(deadline, work(database)).await.map_err(meant),
            Err(unprepared) => Err(unprepared),
        };
        if let Some(sign) = done.as_ref().err().and_then(failures::sign) {
            self.doubt(begun, sign);
        }
        done
    }

    /// The database, once it can be used.
    async fn prepared(&self, deadline: Instant) -> Result<Database, StoreError> {
        let database = self.database().await?;
        self.0.prepared.get_or_try_init(|| self.ready(&database, deadline)).await?;
        Ok(database)
    }

    /// That the database can be used.
    async fn ready(&self, database: &Database, deadline: Instant) -> Result<(), StoreError> {
        wait_for_schema(database, deadline).await?;
        if self.0.copying {
            return Ok(());
        }
        CopyState::usable(super::transfer::state(database).await?.as_ref())?;
        metrics::gauge!("natter_mongodb_up").set(1.0);
        Ok(())
    }

    async fn database(&self) -> Result<Database, StoreError> {
        let client = self.0.client.get_or_try_init(|| self.connect()).await?;
        Ok(client.database(&self.0.settings.database))
    }

    /// The client connects and reconnects by itself. Only an address of the form `mongodb+srv` is
    /// looked up here.
    async fn connect(&self) -> Result<Client, StoreError> {
        let settings = &self.0.settings;
        let within = Duration::from_millis(settings.operation_timeout_ms);
        let mut options = ClientOptions::parse(self.0.address.clone()).await?;
        options.app_name = Some("natter-workers".to_owned());
        options.max_pool_size = Some(settings.max_connections.max(1));
        options.connect_timeout = Some(Duration::from_millis(settings.connect_timeout_ms));
        options.server_selection_timeout = Some(Duration::from_millis(settings.primary_wait_ms));
        options.retry_reads = Some(true);
        options.retry_writes = Some(true);
        options.read_concern = Some(ReadConcern::majority());
        options.selection_criteria =
            Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
        let write_concern = WriteConcern::builder()
            .w(Acknowledgment::Majority)
            .journal(true)
            .w_timeout(within)
            .build();
        options.write_concern = Some(write_concern);
        if !settings.user.is_empty() {
            let credential = options.credential.get_or_insert_default();
            credential.username = Some(settings.user.clone());
            credential.source = Some(settings.auth_source.clone());
            credential.password = password(settings).await?;
        }
        Ok(Client::with_options(options)?)
    }
}

async fn in_time<T>(
    deadline: Instant,
    work: impl Future<Output = Result<T, StoreError>> + Send,
) -> Result<T, StoreError> {
    // Boxed: the driver's futures are large, and those of all aggregates hold this one.
    let done = timeout_at(deadline, Box::pin(work)).await;
    done.unwrap_or_else(|_| Err(failures::late()))
}

fn to_usize(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

fn unavailable(why: impl Into<String>) -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, format!("MongoDB: {}", why.into()))
}

/// The address, if it holds no secret: it is shown where settings are shown.
fn address(settings: &MongoSettings) -> Result<ConnectionString, StoreError> {
    let wrong = |why: &str| unavailable(format!("store.mongodb.url: {why}"));
    let authority = settings.url.split_once("://").map_or("", |(_, rest)| rest);
    let end = authority.find(['/', '?']).unwrap_or(authority.len());
    if authority[..end].contains('@') {
        let how =
            "name the user in store.mongodb.user, the password in store.mongodb.password_file";
        return Err(wrong(how));
    }
    // The driver's own words repeat parts of what it was given.
    ConnectionString::parse(&settings.url)
        .map_err(|_| wrong("no address of the form mongodb://host:port/?replicaSet=name"))
}

async fn password(settings: &MongoSettings) -> Result<Option<String>, StoreError> {
    let file = &settings.password_file;
    if file.as_os_str().is_empty() {
        return Ok(None);
    }
    let read = tokio::fs::read_to_string(file).await;
    let text = read.map_err(|e| unavailable(format!("cannot read {}: {e}", file.display())))?;
    Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
}

/// Waits, at most until the deadline, for what the setup role makes.
async fn wait_for_schema(database: &Database, deadline: Instant) -> Result<(), StoreError> {
    while !schema::is_there(database).await? {
        if Instant::now() + LOOK_AGAIN >= deadline {
            return Err(unavailable("the setup role has not prepared it yet"));
        }
        sleep(LOOK_AGAIN).await;
    }
    Ok(())
}
