//! `people.db`: accounts, sessions, keys and invitations, whose loss nothing could repair.

use std::path::Path;

use super::db::{Db, Durability};
use crate::store::StoreError;

/// Its file in the directory.
pub(crate) const FILE: &str = "people.db";
/// Append only.
pub(super) const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE users (
        id INTEGER PRIMARY KEY,
        username TEXT NOT NULL UNIQUE,
        display_name TEXT NOT NULL,
        avatar_url TEXT,
        bot INTEGER NOT NULL,
        version INTEGER NOT NULL,
        password_hash TEXT,
        disabled INTEGER NOT NULL,
        created_at INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE sessions (
        id INTEGER PRIMARY KEY,
        user INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        last_used_at INTEGER NOT NULL,
        token BLOB NOT NULL,
        ended_at INTEGER
    ) STRICT;
    CREATE INDEX sessions_of_user ON sessions (user) WHERE ended_at IS NULL;
    CREATE INDEX sessions_ended ON sessions (ended_at) WHERE ended_at IS NOT NULL;
    CREATE INDEX sessions_used ON sessions (last_used_at);
    CREATE TABLE rotations (
        session INTEGER NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
        spent BLOB NOT NULL,
        nonce TEXT NOT NULL,
        at INTEGER NOT NULL,
        PRIMARY KEY (session, spent)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE keys (
        purpose TEXT NOT NULL,
        kid TEXT NOT NULL,
        secret BLOB NOT NULL,
        created_at INTEGER NOT NULL,
        PRIMARY KEY (purpose, kid)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE invites (
        hash BLOB PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        uses_left INTEGER NOT NULL,
        created_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
",
    "
    ALTER TABLE users ADD COLUMN owner INTEGER;
    CREATE INDEX bots_of ON users (owner, id) WHERE owner IS NOT NULL;
    CREATE TABLE webhooks (
        id INTEGER PRIMARY KEY,
        hash BLOB NOT NULL,
        channel INTEGER NOT NULL,
        bot INTEGER NOT NULL,
        created_at INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX webhooks_of_channel ON webhooks (channel);
    CREATE INDEX webhooks_of_bot ON webhooks (bot);
",
    "
    -- Calls that changed a profile, the newest with the highest number.
    CREATE TABLE profile_calls (
        user INTEGER NOT NULL,
        number INTEGER NOT NULL,
        call TEXT NOT NULL,
        PRIMARY KEY (user, number)
    ) STRICT, WITHOUT ROWID;
",
];

/// Opens or creates it in `directory`.
pub(crate) fn open(directory: &Path) -> Result<Db, StoreError> {
    Db::open(&directory.join(FILE), Durability::Full, MIGRATIONS)
}
