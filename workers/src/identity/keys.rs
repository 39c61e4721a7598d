//! The seeds of keys that sign, in files: one that signs now, and perhaps the one before it.
//!
//! Invariant: a key is never replaced except by [`rotate`], and the one that it follows keeps being
//! accepted until [`drop_old`]; there are never more than two.

use std::io;
use std::path::{Path, PathBuf};

use nkeys::{KeyPair, KeyPairType};

use super::directory::IdentityError;
use super::files;

/// Keys that sign the same.
pub(crate) struct Signing {
    pub(crate) current: KeyPair,
    old: Option<KeyPair>,
}

impl Signing {
    /// The public keys, the one that signs now first.
    pub(crate) fn public(&self) -> Vec<String> {
        std::iter::once(&self.current).chain(&self.old).map(KeyPair::public_key).collect()
    }
}

fn path(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{name}.nk"))
}

fn old_path(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{name}.old.nk"))
}

/// The keys of that name, the first made if there is none.
pub(super) fn signing(
    directory: &Path,
    name: &str,
    kind: KeyPairType,
) -> Result<Signing, IdentityError> {
    let current = ensure(&path(directory, name), kind)?;
    Ok(Signing { current, old: load(&old_path(directory, name))? })
}

/// The keys of that name, which must be there.
pub(super) fn existing(directory: &Path, name: &str) -> Result<Signing, IdentityError> {
    let path = path(directory, name);
    let current = load(&path)?.ok_or_else(|| {
        IdentityError::File(path.clone(), io::Error::from(io::ErrorKind::NotFound))
    })?;
    Ok(Signing { current, old: load(&old_path(directory, name))? })
}

/// A secret of that name, made if there is none.
pub(super) fn secret(directory: &Path, name: &str) -> Result<Vec<u8>, IdentityError> {
    let path = path(directory, name);
    seed_bytes(&path, &ensure(&path, KeyPairType::User)?)
}

/// The secret of that name, which must be there.
pub(super) fn existing_secret(directory: &Path, name: &str) -> Result<Vec<u8>, IdentityError> {
    seed_bytes(&path(directory, name), &existing(directory, name)?.current)
}

fn seed_bytes(path: &Path, key: &KeyPair) -> Result<Vec<u8>, IdentityError> {
    let seed = key.seed().map_err(|e| IdentityError::file(path, io::Error::other(e)))?;
    Ok(seed.into_bytes())
}

/// The key whose seed is in the file, made if there is none.
pub(super) fn ensure(path: &Path, kind: KeyPairType) -> Result<KeyPair, IdentityError> {
    if let Some(key) = load(path)? {
        return Ok(key);
    }
    let seed = new_seed(kind, path)?;
    let kept = files::put_first(path, &seed).map_err(|e| IdentityError::file(path, e))?;
    parse(path, &kept)
}

/// The key whose seed is in the file.
pub(super) fn load(path: &Path) -> Result<Option<KeyPair>, IdentityError> {
    let text = files::read(path).map_err(|e| IdentityError::file(path, e))?;
    text.map(|text| parse(path, &text)).transpose()
}

/// Makes a new key to sign with, and keeps the one before it.
pub(super) fn rotate(directory: &Path, name: &str, kind: KeyPairType) -> Result<(), IdentityError> {
    let (path, old) = (path(directory, name), old_path(directory, name));
    if load(&old)?.is_some() {
        return Err(IdentityError::NotYet(name.to_owned()));
    }
    let seed = new_seed(kind, &path)?;
    if load(&path)?.is_some() {
        // A link first: whatever happens in between, the old key is not lost.
        std::fs::hard_link(&path, &old).map_err(|e| IdentityError::file(&old, e))?;
    }
    files::replace(&path, &seed).map_err(|e| IdentityError::file(&path, e))
}

/// Forgets the key before the one that signs now. Whether there was one.
pub(super) fn drop_old(directory: &Path, name: &str) -> Result<bool, IdentityError> {
    let old = old_path(directory, name);
    match std::fs::remove_file(&old) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(IdentityError::file(&old, error)),
    }
}

fn new_seed(kind: KeyPairType, path: &Path) -> Result<String, IdentityError> {
    let seed = KeyPair::new(kind).seed();
    Ok(seed.map_err(|e| IdentityError::file(path, io::Error::other(e)))? + "\n")
}

fn parse(path: &Path, text: &str) -> Result<KeyPair, IdentityError> {
    KeyPair::from_seed(text.trim()).map_err(|e| IdentityError::file(path, io::Error::other(e)))
}
