//! What the workers keep: one trait per aggregate, backends behind them, one conformance suite each.
//!
//! Invariant: a role sees only the traits; drivers are named only below `embedded` and
//! `cluster`. Every backend passes the suite in `conformance`, without exceptions.

pub mod channels;
pub mod cluster;
#[cfg(test)]
pub(crate) mod conformance;
pub mod embedded;
pub mod history;
pub mod invites;
pub mod keys;
pub mod profiles;
pub mod sessions;
pub mod settings;
pub(crate) mod transfer;
pub mod users;
pub mod webhooks;

use std::error::Error;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use bus_schema::error::{Code, Failure};

use self::settings::StoreSettings;

/// What kind of failure a store met; callers branch on this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StoreErrorKind {
    /// The store does not answer now; nothing was changed, and nothing will be.
    Unavailable,
    /// The store was asked for a change and has not said what came of it: it may have been made, or
    /// may still be.
    Unknown,
    /// It contradicts what is stored, such as a second row with a unique key.
    Conflict,
    /// There is no such thing.
    NotFound,
    /// What is stored cannot be understood.
    Corrupt,
}

impl StoreErrorKind {
    /// Whether the same may succeed later.
    pub const fn passes(self) -> bool {
        matches!(self, Self::Unavailable | Self::Unknown)
    }
}

/// Why a store was not asked: it is known to be away, which was said when it was found out.
#[derive(Debug, thiserror::Error)]
#[error("{0} is away")]
pub(crate) struct KnownAway(pub(crate) &'static str);

/// A failed operation of a store.
#[derive(Clone)]
pub struct StoreError {
    /// What callers branch on.
    pub kind: StoreErrorKind,
    source: Arc<dyn Error + Send + Sync>,
}

impl StoreError {
    /// An error of this kind with its private cause.
    pub fn new(kind: StoreErrorKind, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { kind, source: Arc::from(source.into()) }
    }

    /// What this means where the store may have been asked for a change.
    pub(crate) fn of_a_change(mut self) -> Self {
        if self.kind == StoreErrorKind::Unavailable {
            self.kind = StoreErrorKind::Unknown;
        }
        self
    }
}

impl fmt::Debug for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.source)
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let source: &(dyn Error + 'static) = &*self.source;
        Some(source)
    }
}

/// The place where a store's error is handled: it becomes public here, so it is logged here.
impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error.kind {
            StoreErrorKind::NotFound => Self::not_found(),
            StoreErrorKind::Conflict => {
                Self::new(Code::Conflict, "conflict with the present state")
            }
            // One line for each of those who are refused would drown the one that says why.
            _ if error.source().is_some_and(<dyn Error>::is::<KnownAway>) => Self::unavailable(),
            StoreErrorKind::Unknown => {
                tracing::error!(store.error = %error, "store did not say whether it was changed");
                Self::unknown_outcome()
            }
            StoreErrorKind::Unavailable | StoreErrorKind::Corrupt => {
                tracing::error!(store.error = %error, "store failed");
                Self::unavailable()
            }
        }
    }
}

/// Every aggregate, whatever backend holds it.
#[derive(Clone)]
pub struct Stores {
    pub(crate) users: Arc<dyn users::UserStore>,
    pub(crate) sessions: Arc<dyn sessions::SessionStore>,
    pub(crate) keys: Arc<dyn keys::KeyStore>,
    pub(crate) invites: Arc<dyn invites::InviteStore>,
    pub(crate) webhooks: Arc<dyn webhooks::WebhookStore>,
    pub(crate) channels: Arc<dyn channels::ChannelStore>,
    pub(crate) history: Arc<dyn history::HistoryStore>,
    pub(crate) profiles: Arc<dyn profiles::ProfileCaches>,
}

impl Stores {
    /// Opens the backend that the settings name. What is reached over the network is reached when
    /// it is first needed, so that a server that is away holds back only what needs it.
    pub async fn open(settings: &StoreSettings) -> Result<Self, StoreError> {
        if settings.is_cluster() {
            cluster::open(settings)
        } else {
            Self::embedded(&settings.embedded).await
        }
    }

    /// Makes what the stores need before they can be used, where opening does not. Safe to repeat,
    /// and to do by two at once; only the setup role does it.
    pub(crate) async fn migrate(&self) -> Result<(), StoreError> {
        self.users.migrate().await?;
        self.history.migrate().await
    }

    /// The embedded backend with its history in Cassandra, for benchmarks.
    #[doc(hidden)]
    pub async fn with_history_in(
        cassandra: &cluster::cassandra::CassandraSettings,
        directory: &Path,
    ) -> Result<Self, StoreError> {
        let history = Arc::new(cluster::history::open(cassandra));
        Ok(Self { history, ..Self::embedded(directory).await? })
    }

    /// The history alone, for benchmarks.
    #[doc(hidden)]
    pub fn history(&self) -> Arc<dyn history::HistoryStore> {
        Arc::clone(&self.history)
    }

    /// Opens the embedded backend in `directory`, which is made if it is not there.
    pub async fn embedded(directory: &Path) -> Result<Self, StoreError> {
        let directory = directory.to_owned();
        tokio::task::spawn_blocking(move || Self::embedded_blocking(&directory))
            .await
            .map_err(|e| StoreError::new(StoreErrorKind::Unavailable, e))?
    }

    fn embedded_blocking(directory: &Path) -> Result<Self, StoreError> {
        embedded::make_directory(directory)?;
        embedded::transfer::usable(directory)?;
        let people = embedded::people::open(directory)?;
        Ok(Self {
            users: Arc::new(embedded::users::Users(people.clone())),
            sessions: Arc::new(embedded::sessions::Sessions(people.clone())),
            keys: Arc::new(embedded::keys::Keys(people.clone())),
            invites: Arc::new(embedded::invites::Invites(people.clone())),
            webhooks: Arc::new(embedded::webhooks::Webhooks(people)),
            channels: Arc::new(embedded::channels::EmbeddedChannels::open(directory)?),
            history: Arc::new(embedded::history::SqliteHistory::open(
                &directory.join(embedded::history::FILE),
            )?),
            profiles: Arc::new(embedded::profiles::InMemory),
        })
    }

    /// The same, with profiles cached in a Redis: for programs that measure what that does.
    pub fn with_profiles_in(
        self,
        redis: &cluster::redis::RedisSettings,
    ) -> Result<Self, StoreError> {
        Ok(Self { profiles: Arc::new(cluster::profiles::InRedis::new(redis)?), ..self })
    }
}
