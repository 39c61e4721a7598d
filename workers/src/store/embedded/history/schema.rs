//! The tables. Append-only: step `n` brings the schema from version `n` to `n + 1`.
//!
//! Invariant: a page, a range and a count read an index in its order and touch no row that they do
//! not answer with, but for rows above what the asker has read. A stream's index is not in the keys
//! of a conversation's rows, because a conversation belongs to one stream for ever.

/// What [`super::super::db::Db::open`] applies.
pub(in crate::store::embedded) const MIGRATIONS: &[&str] = &["
CREATE TABLE floors (
  stream INTEGER PRIMARY KEY,
  seq    INTEGER NOT NULL
) STRICT;

-- The log as it was, valid entries of all kinds; a deleted message's content is empty here too.
CREATE TABLE entries (
  conversation INTEGER NOT NULL,
  seq          INTEGER NOT NULL,
  at           INTEGER NOT NULL,
  kind         INTEGER NOT NULL,
  payload      TEXT    NOT NULL,
  PRIMARY KEY (conversation, seq)
) STRICT, WITHOUT ROWID;

-- Final state. An edit or a deletion that comes before its message leaves a row without author,
-- which is nobody's message until the message comes.
CREATE TABLE messages (
  conversation INTEGER NOT NULL,
  seq          INTEGER NOT NULL,
  at           INTEGER,
  author       INTEGER,
  nonce        TEXT,
  content      TEXT NOT NULL,
  edited_at    INTEGER,
  edit_seq     INTEGER,
  deleted_seq  INTEGER,
  PRIMARY KEY (conversation, seq)
) STRICT, WITHOUT ROWID;

-- For pages and unread counts: however many were deleted in a row, they are not read.
CREATE INDEX messages_shown ON messages (conversation, seq, author)
  WHERE deleted_seq IS NULL AND author IS NOT NULL;
CREATE INDEX messages_by_time ON messages (conversation, at, seq) WHERE author IS NOT NULL;

CREATE TABLE membership (
  conversation INTEGER NOT NULL,
  seq          INTEGER NOT NULL,
  kind         INTEGER NOT NULL,
  user         INTEGER NOT NULL,
  revision     INTEGER NOT NULL,
  PRIMARY KEY (conversation, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE read_markers (
  user         INTEGER NOT NULL,
  conversation INTEGER NOT NULL,
  entry        INTEGER NOT NULL,
  PRIMARY KEY (user, conversation)
) STRICT, WITHOUT ROWID;
"];
