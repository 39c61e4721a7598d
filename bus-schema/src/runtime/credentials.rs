//! Credentials files: what a user of the bus proves itself with, in the form that every NATS client
//! reads.
//!
//! Invariant: what [`Credentials`] prints, [`Credentials::parse`] reads. Neither the token nor the
//! seed is in its `Debug`. Leaves out what the token says, which is the server's to check.

use std::fmt;
use std::path::Path;

use async_nats::AuthError;
use nkeys::KeyPair;

use super::bus::BusError;

/// A user's token, and the key that it is about.
pub struct Credentials {
    token: String,
    key: KeyPair,
}

/// The text is no credentials file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no credentials: a token and a seed, each between two lines of dashes, are expected")]
pub struct NoCredentials;

impl Credentials {
    /// Those of the user whose key it is. A key without seed can be used for nothing.
    pub const fn new(token: String, key: KeyPair) -> Self {
        Self { token, key }
    }

    /// Reads the text of a file: the line after each of the first and the third line of dashes.
    pub fn parse(text: &str) -> Result<Self, NoCredentials> {
        let mut lines = text.lines().map(str::trim);
        let mut block = || {
            lines.by_ref().find(|line| line.starts_with("---"))?;
            let inner = lines.next()?;
            lines.by_ref().find(|line| line.starts_with("---")).map(|_| inner)
        };
        let (token, seed) = block().zip(block()).ok_or(NoCredentials)?;
        let key = KeyPair::from_seed(seed).map_err(|_| NoCredentials)?;
        Ok(Self { token: token.to_owned(), key })
    }

    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, BusError> {
        let at = |source| BusError::Credentials { path: path.display().to_string(), source };
        let text = std::fs::read_to_string(path).map_err(at)?;
        Self::parse(&text).map_err(|error| at(std::io::Error::other(error)))
    }

    /// The token.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The key.
    pub const fn key(&self) -> &KeyPair {
        &self.key
    }

    /// The key alone.
    pub fn into_key(self) -> KeyPair {
        self.key
    }

    /// The proof that a server asks for.
    pub fn answer(&self, nonce: &[u8]) -> Result<async_nats::Auth, AuthError> {
        let mut auth = async_nats::Auth::new();
        auth.signature = Some(self.key.sign(nonce).map_err(AuthError::new)?);
        auth.jwt = Some(self.token.clone());
        Ok(auth)
    }

    /// The file. Secret: it holds the seed. Fails for a key without one.
    pub fn to_file(&self) -> Result<String, NoCredentials> {
        let seed = self.key.seed().map_err(|_| NoCredentials)?;
        Ok(format!(
            "-----BEGIN NATS USER JWT-----\n{}\n------END NATS USER JWT------\n\n\
             Whoever has this file is this user. Keep it secret.\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n",
            self.token
        ))
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Credentials").field(&self.key.public_key()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read() {
        let key = KeyPair::new_user();
        let public = key.public_key();
        let file = Credentials::new("a.b.c".to_owned(), key).to_file().unwrap();
        for text in [file.clone(), file.replace('\n', "\r\n")] {
            let read = Credentials::parse(&text).unwrap();
            assert_eq!((read.token(), read.key().public_key()), ("a.b.c", public.clone()));
            assert!(!format!("{read:?}").contains("a.b.c"));
        }
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let file = Credentials::new("a.b.c".to_owned(), KeyPair::new_user()).to_file().unwrap();
        for text in ["", "-----\n", "---\na\n---\n---\nb\n---\n", &file[..file.len() / 2]] {
            assert_eq!(Credentials::parse(text).unwrap_err(), NoCredentials);
        }
    }
}
