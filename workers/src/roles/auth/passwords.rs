//! Hashing and checking passwords: slow on purpose, so on its own bounded threads.
//!
//! Invariant: at most `hash_threads` hashes run and `hash_queue` wait; whoever comes then is told
//! to try again. Checking takes as long for a name that does not exist as for one that does.

use std::sync::Arc;

use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use bus_schema::error::Failure;
use bus_schema::ops::auth::Secret;
use bus_schema::text::Password;
use tokio::sync::Semaphore;

use super::AuthSettings;
use crate::roles::RoleError;

/// Bytes of the longest password there can be: 256 scalar values.
const PASSWORD_BYTES: usize = 1_024;
/// How long whoever finds the queue full is told to wait.
const RETRY_MS: u64 = 2_000;

/// The hasher.
pub(crate) struct Passwords {
    argon2: Argon2<'static>,
    /// Checked in place of the hash of an account that does not exist.
    dummy: String,
    /// One for each password being hashed or waiting.
    places: Arc<Semaphore>,
    /// One for each being hashed.
    threads: Arc<Semaphore>,
}

impl Passwords {
    pub(crate) async fn new(settings: &AuthSettings) -> Result<Self, RoleError> {
        let params = Params::new(
            settings.argon2_memory_kib,
            settings.argon2_passes,
            settings.argon2_lanes,
            None,
        )
        .map_err(|e| RoleError::new(format!("auth.argon2_*: {e}")))?;
        let threads = match settings.hash_threads {
            0 => std::thread::available_parallelism().map_or(1, Into::into),
            n => n,
        };
        let mut passwords = Self {
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            dummy: String::new(),
            places: Arc::new(Semaphore::new(threads + settings.hash_queue)),
            threads: Arc::new(Semaphore::new(threads)),
        };
        let random: [u8; 32] = rand::random();
        passwords.dummy = passwords.hash_bytes(random.to_vec()).await.map_err(RoleError::new)?;
        Ok(passwords)
    }

    /// The hash to store.
    pub(crate) async fn hash(&self, password: Password) -> Result<String, Failure> {
        self.hash_bytes(password.as_bytes().to_vec()).await
    }

    async fn hash_bytes(&self, password: Vec<u8>) -> Result<String, Failure> {
        let argon2 = self.argon2.clone();
        let hash = self.on_thread(move || argon2.hash_password(&password).map(|h| h.to_string()));
        hash.await?.map_err(|error| {
            tracing::error!(%error, "a password could not be hashed");
            Failure::unavailable()
        })
    }

    /// Whether the password is the one behind `hash`. Without a hash: no, after the same time.
    pub(crate) async fn verify(
        &self,
        password: Secret,
        hash: Option<String>,
    ) -> Result<bool, Failure> {
        let argon2 = self.argon2.clone();
        let known = hash.is_some() && password.expose().len() <= PASSWORD_BYTES;
        let hash = hash.unwrap_or_else(|| self.dummy.clone());
        self.on_thread(move || {
            let end = password.expose().len().min(PASSWORD_BYTES);
            let matches = argon2.verify_password(&password.expose().as_bytes()[..end], &*hash);
            matches.is_ok() && known
        })
        .await
    }

    async fn on_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let full = || Failure::unavailable().retry_after_ms(RETRY_MS);
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| full())?;
        let thread = Arc::clone(&self.threads).acquire_owned().await.map_err(|_| full())?;
        // The permits go along: work whose asker has gone still occupies its thread.
        let done = tokio::task::spawn_blocking(move || {
            let result = work();
            drop((place, thread));
            result
        });
        done.await.map_err(|error| {
            tracing::error!(%error, "hashing ended early");
            Failure::unavailable()
        })
    }
}

#[cfg(test)]
mod tests {
    use bus_schema::error::Code;

    use super::*;

    async fn passwords(hash_queue: usize) -> Passwords {
        let settings = AuthSettings { hash_threads: 1, hash_queue, ..AuthSettings::default() };
        Passwords::new(&settings).await.unwrap()
    }

    fn secret(text: &str) -> Secret {
        Secret::new(text.to_owned())
    }

    #[tokio::test]
    async fn only_the_right_password_of_an_account_matches() {
        let passwords = passwords(4).await;
        let hash = passwords.hash(Password::parse("correct horse").unwrap()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(passwords.verify(secret("correct horse"), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify(secret("correct hors"), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify(secret(&"x".repeat(60_000)), Some(hash)).await.unwrap());
        assert!(!passwords.verify(secret("correct horse"), None).await.unwrap());
    }

    #[tokio::test]
    async fn a_full_queue_is_a_refusal_with_a_hint() {
        let passwords = passwords(1).await;
        let tries = (0..8).map(|_| passwords.verify(secret("x"), None));
        let results = futures::future::join_all(tries).await;
        let refused: Vec<_> = results.into_iter().filter_map(Result::err).collect();
        assert_eq!(refused.len(), 6, "one was hashed, one waited");
        let hints = |f: &Failure| f.code == Code::Unavailable && f.retry_after_ms.is_some();
        assert!(refused.iter().all(hints));
    }
}
