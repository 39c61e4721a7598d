//! Letting bots in, and shutting them out while the servers run.
//!
//! Invariants: a bot's credentials are refused from the moment [`Authority::revoke`] returns, by every
//! server that can be reached, and by the others as soon as they can; a revocation is never taken
//! back. Nothing is stored of credentials: a bot's key follows from its id, a secret, and how many of
//! its keys are revoked, which the claims of the bots' account say. So new credentials after a
//! revocation have a new key, and deleting a bot needs no list of what it was given.
//!
//! The claims are read, changed and written without a lock, by any worker of the role. Each worker
//! therefore looks again, for a minute, whether what it revoked is still there ([`Authority::keep`]),
//! and tells the servers too what `natter-workers secrets` changed of the accounts.
//!
//! Leaves out who may ask for that.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_nats::Client;
use bus_schema::ids::UserId;
use bus_schema::runtime::bus::{BusError, connect_system, jitter};
use bus_schema::runtime::credentials::Credentials;
use bus_schema::runtime::settings::BusSettings;
use bus_schema::runtime::shutdown::Shutdown;
use bus_schema::timestamp::Timestamp;
use hmac::{Hmac, KeyInit as _, Mac as _};
use nkeys::{KeyPair, KeyPairType};
use serde::Deserialize;
use sha2::Sha256;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};

use super::claims::{self, Account, Revocations};
use super::directory::{IdentityError, Keys};
use super::jwt::{Claims, JwtError};

/// How long servers may take to answer one request.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// Tries to write a revocation so that it is found afterwards.
const TRIES: usize = 8;
/// How long a worker looks after what it revoked: longer than another's change takes.
const LOOKED_AFTER: Duration = Duration::from_mins(1);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// A revocation also covers what is being signed meanwhile, by a clock that is this much ahead.
const AHEAD_S: u64 = 60;
/// Revoked keys of one bot whose credentials have not all expired.
const GENERATIONS: u32 = 100;
/// Revocations in all: the claims must fit into one message of 1 MiB.
const REVOCATIONS: usize = 8_000;

/// Why a bot could not be let in or shut out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AuthorityError {
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error("a token: {0}")]
    Token(#[from] JwtError),
    #[error("no server answers to the system account: {0}")]
    NoAnswer(String),
    #[error("no server says whether the claims are in force: {0}")]
    Unclear(String),
    #[error("a server refused the claims: {0}")]
    Refused(String),
    #[error("the claims were changed by others {TRIES} times in a row")]
    Busy,
    #[error("{0} keys of this bot were revoked lately")]
    TooOften(u32),
    #[error(
        "{REVOCATIONS} revocations have not expired: rotate the bots' key and drop the old one"
    )]
    Full,
}

/// Who signs bots in and out.
pub(crate) struct Authority {
    secrets: PathBuf,
    valid_s: u64,
    system: Client,
    /// What this worker revoked lately. Locked while it changes claims.
    lately: Mutex<Vec<(String, u64, Instant)>>,
    /// When the version of each account was issued that this worker saw last.
    seen: parking_lot::Mutex<BTreeMap<Account, u64>>,
}

impl Authority {
    /// With the keys in `settings.secrets`, for credentials of so many days.
    pub(crate) async fn connect(
        settings: &BusSettings,
        credentials_days: u32,
    ) -> Result<Arc<Self>, BusError> {
        Ok(Arc::new(Self {
            secrets: settings.secrets.clone(),
            valid_s: u64::from(credentials_days.max(1)) * 86_400,
            system: connect_system(settings).await?,
            lately: Mutex::default(),
            seen: parking_lot::Mutex::default(),
        }))
    }

    /// A new credentials file for a bot. Its older ones hold as long as they say.
    pub(crate) async fn mint(&self, bot: UserId) -> Result<String, AuthorityError> {
        let (keys, now) = (self.keys().await?, self.lookup(Account::Bots).await?);
        let revoked = claims::revocations(&now.nats);
        let (key, at) = (current(&keys, bot, &revoked)?, Timestamp::now());
        let name = bot.to_string();
        let mut said = Claims::new(&name, key.public_key(), at, claims::bot_user(&keys.ids));
        said.exp = Some(said.iat + self.valid_s);
        let token = said.sign(&keys.of(Account::Bots).current)?;
        Credentials::new(token, key).to_file().map_err(|_| JwtError::NoSeed.into())
    }

    /// Ends whatever a bot connects with. New credentials may be made afterwards.
    pub(crate) async fn revoke(&self, bot: UserId) -> Result<(), AuthorityError> {
        let mut lately = self.lately.lock().await;
        let keys = self.keys().await?;
        let mut revoked = claims::revocations(&self.lookup(Account::Bots).await?.nats);
        let until = Timestamp::now().as_millis() / 1_000 + AHEAD_S;
        let user = current(&keys, bot, &revoked)?.public_key();
        for _ in 0..TRIES {
            self.forget_expired(&mut revoked);
            if revoked.len() >= REVOCATIONS {
                return Err(AuthorityError::Full);
            }
            revoked.insert(user.clone(), until);
            self.push(&keys, Account::Bots, &revoked).await.map_err(unclear)?;
            let now = self.lookup(Account::Bots).await.map_err(unclear)?;
            revoked = claims::revocations(&now.nats);
            if revoked.contains_key(&user) {
                lately.push((user, until, Instant::now()));
                return Ok(());
            }
            sleep(jitter(Duration::from_millis(100))).await;
        }
        Err(AuthorityError::Busy)
    }

    /// Keeps the servers' accounts as they should be, until stopped.
    pub(crate) async fn keep(self: Arc<Self>, shutdown: Shutdown) {
        loop {
            tokio::select! {
                () = shutdown.requested() => return,
                () = sleep(jitter(LOOK_EVERY)) => {}
            }
            if let Err(error) = self.look().await {
                tracing::warn!(%error, "the servers' accounts could not be looked at");
            }
        }
    }

    async fn look(&self) -> Result<(), AuthorityError> {
        let mut lately = self.lately.lock().await;
        lately.retain(|(_, _, at)| at.elapsed() < LOOKED_AFTER);
        let keys = self.keys().await?;
        for account in Account::ALL {
            let now = self.lookup(account).await?;
            let mut revoked = claims::revocations(&now.nats);
            if account == Account::Bots {
                for (user, until, _) in &*lately {
                    revoked.entry(user.clone()).or_insert(*until);
                }
            }
            if keys.next(account, Some(&now), &revoked, Timestamp::now()).is_some() {
                tracing::info!(
                    account = account.name(),
                    "telling the servers of a changed account"
                );
                self.push(&keys, account, &revoked).await?;
            } else if self.seen.lock().insert(account, now.iat) != Some(now.iat) {
                // What a server finds in its directory it may not have read yet: `secrets` writes
                // there too. Telling it what it knows changes nothing.
                self.tell(self.lookup_token(account).await?).await?;
            }
        }
        Ok(())
    }

    /// Those whose tokens have all expired by themselves need no mention.
    fn forget_expired(&self, revoked: &mut Revocations) {
        let now = Timestamp::now().as_millis() / 1_000;
        revoked.retain(|_, until| *until + self.valid_s > now);
    }

    async fn keys(&self) -> Result<Keys, AuthorityError> {
        let secrets = self.secrets.clone();
        // Read each time: an operator may have rotated one.
        let read = tokio::task::spawn_blocking(move || Keys::read(&secrets)).await;
        Ok(read.map_err(|error| AuthorityError::NoAnswer(error.to_string()))??)
    }

    /// What the servers say of an account.
    async fn lookup(&self, account: Account) -> Result<Claims, AuthorityError> {
        Ok(Claims::verify(&self.lookup_token(account).await?)?)
    }

    async fn lookup_token(&self, account: Account) -> Result<String, AuthorityError> {
        let keys = self.keys().await?;
        let subject = bus_schema::permissions::claims_lookup(keys.ids.of(account));
        self.ask(subject, String::new()).await
    }

    /// Tells the servers what an account says from now on.
    async fn push(
        &self,
        keys: &Keys,
        account: Account,
        revoked: &Revocations,
    ) -> Result<(), AuthorityError> {
        let now = self.lookup(account).await?;
        let Some(next) = keys.next(account, Some(&now), revoked, Timestamp::now()) else {
            return Ok(());
        };
        self.tell(keys.sign_account(next)?).await
    }

    async fn tell(&self, token: String) -> Result<(), AuthorityError> {
        let subject = bus_schema::permissions::CLAIMS_UPDATE.to_owned();
        let said = self.ask(subject, token).await?;
        let answer: Answer = serde_json::from_str(&said)
            .map_err(|error| AuthorityError::Refused(error.to_string()))?;
        answer.error.map_or(Ok(()), |error| Err(AuthorityError::Refused(error.description)))
    }

    async fn ask(&self, subject: String, payload: String) -> Result<String, AuthorityError> {
        let answer = timeout(ANSWER_WITHIN, self.system.request(subject, payload.into())).await;
        let answer = answer.map_err(|_| AuthorityError::NoAnswer("timed out".to_owned()))?;
        let answer = answer.map_err(|error| AuthorityError::NoAnswer(error.to_string()))?;
        Ok(String::from_utf8_lossy(&answer.payload).into_owned())
    }
}

/// A server's answer to new claims.
#[derive(Deserialize)]
struct Answer {
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    description: String,
}

/// The first key of a bot that is not revoked.
fn current(keys: &Keys, bot: UserId, revoked: &Revocations) -> Result<KeyPair, AuthorityError> {
    for generation in 0..GENERATIONS {
        let key = bot_key(keys.bot_secret(), bot, generation)?;
        if !revoked.contains_key(&key.public_key()) {
            return Ok(key);
        }
    }
    Err(AuthorityError::TooOften(GENERATIONS))
}

/// A bot's key of one generation. Whoever has the secret could sign in as any bot anyway.
fn bot_key(secret: &[u8], bot: UserId, generation: u32) -> Result<KeyPair, JwtError> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).map_err(|_| JwtError::NoSeed)?;
    mac.update(b"natter: the key of a bot");
    mac.update(&bot.0.to_be_bytes());
    mac.update(&generation.to_be_bytes());
    let raw: [u8; 32] = mac.finalize().into_bytes().into();
    KeyPair::new_from_raw(KeyPairType::User, raw).map_err(|_| JwtError::NoSeed)
}

/// Of claims that were sent: a server may have taken them.
fn unclear(error: AuthorityError) -> AuthorityError {
    match error {
        AuthorityError::NoAnswer(why) => AuthorityError::Unclear(why),
        other => other,
    }
}

#[cfg(test)]
mod tests;
