//! `natter-workers secrets`: the keys with which edges and workers connect to NATS.
//!
//! Invariant: a key that is there is never replaced, so this can be run at every start, also twice
//! at once; and nobody but the owner can read it. A seed is in its file whole or not at all.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use bus_schema::permissions::BusUser;
use nkeys::KeyPair;

use super::CommandError;

/// The public keys, in the form of an environment for nats-server.
const PUBLIC_KEYS: &str = "nkeys.env";

pub(crate) fn make(directory: &Path) -> Result<(), CommandError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |error| CommandError::File(path, error)
    };
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(at(directory))?;
    fs::set_permissions(directory, Permissions::from_mode(0o700)).map_err(at(directory))?;
    let mut public = String::new();
    for user in BusUser::ALL {
        let path = directory.join(format!("{}.nk", user.name()));
        let pair = seed(&path).map_err(at(&path))?;
        public.push_str(&user.key_variable());
        public.push('=');
        public.push_str(&pair.public_key());
        public.push('\n');
    }
    let path = directory.join(PUBLIC_KEYS);
    let draft = draft(&path, &public).map_err(at(&path))?;
    fs::rename(&draft, &path).map_err(at(&path))
}

/// The pair whose seed is in the file, made if there is none.
fn seed(path: &Path) -> io::Result<KeyPair> {
    if !path.exists() {
        let new = KeyPair::new_user().seed().map_err(io::Error::other)?;
        let draft = draft(path, &format!("{new}\n"))?;
        // A link, unlike a renaming, fails where another process was faster.
        let linked = fs::hard_link(&draft, path);
        fs::remove_file(&draft)?;
        match linked {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    let seed = fs::read_to_string(path)?;
    KeyPair::from_seed(seed.trim()).map_err(io::Error::other)
}

/// A private file beside `path` with this text, on disk.
fn draft(path: &Path, text: &str) -> io::Result<std::path::PathBuf> {
    let draft = path.with_extension(format!("draft-{}", std::process::id()));
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(draft)
}
