//! Reaching Redis.
//!
//! Invariant: connecting happens in the background and never ends; until there is a connection,
//! nobody waits for one. A password is in a file of its own, read anew for each connection, and in
//! no address, log line or error.

pub(crate) mod link;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Once;

use ::redis::{Client, ConnectionInfo, IntoConnectionInfo as _, TlsCertificates};
use serde::{Deserialize, Serialize};

use crate::store::{StoreError, StoreErrorKind};

/// `[store.redis]`: where profiles are cached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedisSettings {
    /// Where it is; empty: not used.
    pub url: String,
    /// Who signs in there; empty: Redis's default user.
    pub user: String,
    /// A file with the password; empty: none is needed.
    pub password_file: PathBuf,
    /// PEM file with the authority of the server's certificate; empty: the well-known ones.
    pub tls_ca: PathBuf,
    /// What all keys begin with.
    pub key_prefix: String,
    /// Milliseconds a request waits for Redis before it does without.
    pub answer_within_ms: u64,
    /// Milliseconds one attempt to connect may take.
    pub connect_within_ms: u64,
    /// The longest pause between attempts, in milliseconds.
    pub pause_max_ms: u64,
}

impl Default for RedisSettings {
    fn default() -> Self {
        Self {
            url: String::new(),
            user: String::new(),
            password_file: PathBuf::new(),
            tls_ca: PathBuf::new(),
            key_prefix: "natter:".to_owned(),
            answer_within_ms: 100,
            connect_within_ms: 2_000,
            pause_max_ms: 2_000,
        }
    }
}

/// One Redis, checked for what can be checked without it.
#[derive(Debug, Clone)]
pub(crate) struct Redis {
    server: ConnectionInfo,
    pub(crate) settings: RedisSettings,
}

impl Redis {
    /// Refuses an address that cannot be one, and files that cannot be read.
    pub(crate) fn new(settings: &RedisSettings) -> Result<Self, StoreError> {
        // Whatever is wrong with it is not shown: it may be a password.
        let server = settings.url.as_str().into_connection_info().map_err(|_| {
            unusable("store.redis.url: as in redis://host:port, or rediss://host:port with TLS")
        })?;
        let login = server.redis_settings();
        if login.username().is_some() || login.password().is_some() {
            let why = "store.redis.url: no user or password here; name the user in \
                       store.redis.user, and a file with the password in store.redis.password_file";
            return Err(unusable(why));
        }
        let redis = Self { server, settings: settings.clone() };
        redis.client()?;
        Ok(redis)
    }

    /// How to connect, with the password as it is now. Reads two small files.
    fn client(&self) -> Result<Client, StoreError> {
        let settings = &self.settings;
        let mut login = self.server.redis_settings().clone();
        if !settings.user.is_empty() {
            login = login.set_username(&settings.user);
        }
        if settings.password_file != Path::new("") {
            let password = read("store.redis.password_file", &settings.password_file)?;
            let password = String::from_utf8(password)
                .map_err(|_| unusable("store.redis.password_file: not UTF-8"))?;
            let password = password.trim_end_matches(['\r', '\n']);
            if password.is_empty() {
                return Err(unusable("store.redis.password_file: nothing in it"));
            }
            login = login.set_password(password);
        } else if !settings.user.is_empty() {
            return Err(unusable("store.redis.user: needs store.redis.password_file"));
        }
        let server = self.server.clone().set_redis_settings(login);
        let client = if settings.tls_ca == Path::new("") {
            Client::open(server)
        } else {
            let root_cert = Some(read("store.redis.tls_ca", &settings.tls_ca)?);
            Client::build_with_tls(server, TlsCertificates { client_tls: None, root_cert })
        };
        choose_cryptography();
        client.map_err(|error| StoreError::new(StoreErrorKind::Unavailable, error))
    }
}

fn unusable(why: &str) -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, why)
}

fn read(key: &str, path: &Path) -> Result<Vec<u8>, StoreError> {
    std::fs::read(path).map_err(|error| unusable(&format!("{key}: {}: {error}", path.display())))
}

/// The drivers here bring two implementations of TLS's cryptography, and the Redis one takes only
/// what the process has chosen: it panics where nobody has.
fn choose_cryptography() {
    static CHOSEN: Once = Once::new();
    CHOSEN.call_once(|| {
        // Somebody else's choice is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}
