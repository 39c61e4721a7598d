//! The directory that `natter-workers secrets` makes: keys, the accounts that the server begins with,
//! and a credentials file for each user.
//!
//! ```text
//! <user>.creds                 what a role connects with; sys.creds is the bots role's alone
//! operator.jwt                 what the server trusts
//! accounts/<account>.jwt       what it begins with, and where it keeps what it is told since
//! keys/operator.nk             makes operator.jwt; used only by `secrets`, may be kept elsewhere
//! keys/<who>-signing.nk        signs accounts (operator) or users (sys, bus, bots)
//! keys/<who>-signing.old.nk    the one before, accepted until it is dropped
//! keys/bots-users.nk           what the keys of bots follow from; a new one would make them new keys
//! keys/<account>.pub           the name of an account; nobody has a key for it
//! ```
//!
//! Invariants: a file that is there changes only if what it should say does, so this can be run at
//! every start, also twice at once; a key changes only by rotation. Of what the server keeps,
//! revocations stay, and each version of an account is issued after the one before it.
//!
//! Leaves out telling a running server, which the bots role does.

use std::io;
use std::path::{Path, PathBuf};

use bus_schema::permissions::{BusUser, SYSTEM};
use bus_schema::runtime::credentials::Credentials;
use bus_schema::timestamp::Timestamp;
use nkeys::{KeyPair, KeyPairType};
use serde_json::Value;

use super::claims::{self, Account, Ids};
use super::files;
use super::jwt::{Claims, JwtError};
use super::keys::{self, Signing};

/// Why there are no identities.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IdentityError {
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
    #[error("{0}: {1}")]
    Token(PathBuf, JwtError),
    #[error("{0}: it is no account's name")]
    Id(PathBuf),
    #[error("{0}: the operator's key is needed to sign operator.jwt anew, and is not there")]
    NoRoot(PathBuf),
    #[error("the key of {0} before this one is still accepted: drop it first")]
    NotYet(String),
}

impl IdentityError {
    pub(super) fn file(path: &Path, error: io::Error) -> Self {
        Self::File(path.to_owned(), error)
    }
}

/// Whose signing key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Signer {
    /// That of accounts. Servers must be restarted to hear of it
    Operator,
    /// That of the system account's user
    Sys,
    /// That of edges, workers and operators
    Bus,
    /// That of every bot
    Bots,
}

impl Signer {
    const fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Sys => Account::System.file_name(),
            Self::Bus => Account::Bus.file_name(),
            Self::Bots => Account::Bots.file_name(),
        }
    }

    fn file_name(self) -> String {
        signing_file(self.name())
    }

    const fn kind(self) -> KeyPairType {
        match self {
            Self::Operator => KeyPairType::Operator,
            Self::Sys | Self::Bus | Self::Bots => KeyPairType::Account,
        }
    }
}

/// The file of what the keys of bots follow from.
const BOT_SECRET: &str = "bots-users";

fn signing_file(name: &str) -> String {
    format!("{name}-signing")
}

/// What the server accepts, and what signs.
pub(crate) struct Keys {
    pub(crate) ids: Ids,
    operator: Signing,
    system: Signing,
    bus: Signing,
    bots: Signing,
    bot_secret: Vec<u8>,
}

impl Keys {
    /// Reads those that `secrets` made.
    pub(crate) fn read(secrets: &Path) -> Result<Self, IdentityError> {
        let directory = secrets.join("keys");
        let of = |signer: Signer| keys::existing(&directory, &signer.file_name());
        Ok(Self {
            ids: ids(&directory)?,
            operator: of(Signer::Operator)?,
            system: of(Signer::Sys)?,
            bus: of(Signer::Bus)?,
            bots: of(Signer::Bots)?,
            bot_secret: keys::existing_secret(&directory, BOT_SECRET)?,
        })
    }

    /// The same, made where they are missing.
    fn make(directory: &Path) -> Result<Self, IdentityError> {
        let of = |signer: Signer| keys::signing(directory, &signer.file_name(), signer.kind());
        Ok(Self {
            ids: ids(directory)?,
            operator: of(Signer::Operator)?,
            system: of(Signer::Sys)?,
            bus: of(Signer::Bus)?,
            bots: of(Signer::Bots)?,
            bot_secret: keys::secret(directory, BOT_SECRET)?,
        })
    }

    /// What the keys of bots follow from.
    pub(crate) fn bot_secret(&self) -> &[u8] {
        &self.bot_secret
    }

    /// What signs an account's users.
    pub(crate) fn of(&self, account: Account) -> &Signing {
        match account {
            Account::System => &self.system,
            Account::Bus => &self.bus,
            Account::Bots => &self.bots,
        }
    }

    /// What an account should say, with what it says now: none if that is the same. Issued after it.
    pub(crate) fn next(
        &self,
        account: Account,
        now: Option<&Claims>,
        revocations: &claims::Revocations,
        at: Timestamp,
    ) -> Option<Claims> {
        let (ids, signing) = (&self.ids, self.of(account).public());
        let said = claims::account(account, ids, &signing, revocations);
        let mut next = Claims::new(account.name(), ids.of(account).to_owned(), at, said);
        if let Some(now) = now {
            if now.says_as(&next) && now.iss == self.operator.current.public_key() {
                return None;
            }
            next.iat = next.iat.max(now.iat + 1);
        }
        Some(next)
    }

    /// An account's token.
    pub(crate) fn sign_account(&self, claims: Claims) -> Result<String, JwtError> {
        claims.sign(&self.operator.current)
    }
}

/// Makes what is missing, and brings up to date what is there.
pub(crate) fn make(root: &Path, at: Timestamp) -> Result<(), IdentityError> {
    let (keys_at, accounts_at) = (root.join("keys"), root.join("accounts"));
    for path in [root, &keys_at, &accounts_at] {
        files::directory(path).map_err(|e| IdentityError::file(path, e))?;
    }
    let keys = Keys::make(&keys_at)?;
    make_operator(root, &keys, at)?;
    for account in Account::ALL {
        make_account(&accounts_at, &keys, account, at)?;
    }
    for user in BusUser::ALL {
        let said = claims::bus_user(user, &keys.ids);
        make_user(root, user.name(), said, &keys.bus, at)?;
    }
    make_user(root, SYSTEM, claims::system_user(&keys.ids), &keys.system, at)
}

/// Makes a new key to sign with; what the one before has signed holds until that is dropped.
pub(crate) fn rotate(root: &Path, signer: Signer, at: Timestamp) -> Result<(), IdentityError> {
    keys::rotate(&root.join("keys"), &signer.file_name(), signer.kind())?;
    make(root, at)
}

/// Has what the key before this one signed refused from now on. Whether there was one.
pub(crate) fn drop_old(root: &Path, signer: Signer, at: Timestamp) -> Result<bool, IdentityError> {
    let dropped = keys::drop_old(&root.join("keys"), &signer.file_name())?;
    make(root, at)?;
    Ok(dropped)
}

fn ids(directory: &Path) -> Result<Ids, IdentityError> {
    let id = |account: Account| {
        let path = directory.join(format!("{}.pub", account.file_name()));
        let at = |error| IdentityError::file(&path, error);
        let said = if let Some(said) = files::read(&path).map_err(at)? {
            said
        } else {
            let new = KeyPair::new_account().public_key();
            files::put_first(&path, &format!("{new}\n")).map_err(at)?
        };
        let id = said.trim();
        let known = KeyPair::from_public_key(id).ok().filter(|_| id.starts_with('A'));
        known.map(|_| id.to_owned()).ok_or(IdentityError::Id(path))
    };
    Ok(Ids { system: id(Account::System)?, bus: id(Account::Bus)?, bots: id(Account::Bots)? })
}

fn make_operator(root: &Path, keys: &Keys, at: Timestamp) -> Result<(), IdentityError> {
    let (path, key_path) = (root.join("operator.jwt"), root.join("keys/operator.nk"));
    let said = claims::operator(&keys.ids, &keys.operator.public());
    let key = match token(&path)? {
        Some(now) if now.nats == said => return Ok(()),
        Some(now) => {
            let key = keys::load(&key_path)?.filter(|key| key.public_key() == now.sub);
            key.ok_or(IdentityError::NoRoot(key_path))?
        }
        None => keys::ensure(&key_path, KeyPairType::Operator)?,
    };
    let next = Claims::new("natter", key.public_key(), at, said);
    let token = next.sign(&key).map_err(|e| IdentityError::Token(path.clone(), e))?;
    write(&path, &token)
}

fn make_account(
    directory: &Path,
    keys: &Keys,
    account: Account,
    at: Timestamp,
) -> Result<(), IdentityError> {
    let path = directory.join(format!("{}.jwt", keys.ids.of(account)));
    let now = token(&path)?;
    let revoked = now.as_ref().map(|now| claims::revocations(&now.nats)).unwrap_or_default();
    let Some(next) = keys.next(account, now.as_ref(), &revoked, at) else { return Ok(()) };
    let token = keys.sign_account(next).map_err(|e| IdentityError::Token(path.clone(), e))?;
    write(&path, &token)
}

fn make_user(
    root: &Path,
    name: &str,
    said: Value,
    signing: &Signing,
    at: Timestamp,
) -> Result<(), IdentityError> {
    let path = root.join(format!("{name}.creds"));
    let unreadable = |error| IdentityError::file(&path, io::Error::other(error));
    let text = files::read(&path).map_err(|e| IdentityError::file(&path, e))?;
    let now = text.map(|text| Credentials::parse(&text)).transpose().map_err(unreadable)?;
    let (now, key) = now.map_or_else(
        || (None, KeyPair::new_user()),
        |now| (Claims::verify(now.token()).ok(), now.into_key()),
    );
    let next = Claims::new(name, key.public_key(), at, said);
    if now.is_some_and(|now| now.says_as(&next) && now.iss == signing.current.public_key()) {
        return Ok(());
    }
    let token = next.sign(&signing.current).map_err(|e| IdentityError::Token(path.clone(), e))?;
    let file = Credentials::new(token, key).to_file().map_err(unreadable)?;
    files::replace(&path, &file).map_err(|e| IdentityError::file(&path, e))
}

/// What a file with a token says.
fn token(path: &Path) -> Result<Option<Claims>, IdentityError> {
    let text = files::read(path).map_err(|e| IdentityError::file(path, e))?;
    let read = text.map(|text| Claims::verify(text.trim())).transpose();
    read.map_err(|e| IdentityError::Token(path.to_owned(), e))
}

fn write(path: &Path, token: &str) -> Result<(), IdentityError> {
    files::replace(path, token).map_err(|e| IdentityError::file(path, e))
}
