-- One registry for channels and DMs: its primary key arbitrates ids.
CREATE TABLE conversations (
    id INTEGER PRIMARY KEY
) STRICT;

CREATE TABLE channels (
    id INTEGER PRIMARY KEY REFERENCES conversations,
    name TEXT NOT NULL,
    owner INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    -- The number of its rows in channel_members.
    members INTEGER NOT NULL,
    -- Null while it exists.
    deleted_by TEXT
) STRICT;

CREATE TABLE channel_members (
    channel INTEGER NOT NULL,
    user INTEGER NOT NULL,
    -- The channel's revision that made them a member.
    revision INTEGER NOT NULL,
    -- Their MEMBER_ADD; null until the log has it.
    since INTEGER,
    PRIMARY KEY (channel, user)
) STRICT, WITHOUT ROWID;
CREATE INDEX channel_members_user ON channel_members (user);

CREATE TABLE channel_outbox (
    channel INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    kind TEXT NOT NULL,
    payload TEXT NOT NULL,
    -- Whom to notify after the entry.
    notice INTEGER,
    -- The entry's id, once the log has it.
    entry INTEGER,
    at INTEGER NOT NULL,
    PRIMARY KEY (channel, revision)
) STRICT, WITHOUT ROWID;

CREATE TABLE channel_nonces (
    owner INTEGER NOT NULL,
    nonce TEXT NOT NULL,
    channel INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (owner, nonce)
) STRICT, WITHOUT ROWID;
CREATE INDEX channel_nonces_at ON channel_nonces (at);

-- Column low holds the lower id; every pair has at most one.
CREATE TABLE dms (
    low INTEGER NOT NULL,
    high INTEGER NOT NULL,
    id INTEGER NOT NULL UNIQUE REFERENCES conversations,
    PRIMARY KEY (low, high)
) STRICT, WITHOUT ROWID;
CREATE INDEX dms_high ON dms (high);

-- Who opened which DM.
CREATE TABLE dm_openings (
    dm INTEGER NOT NULL,
    user INTEGER NOT NULL,
    at INTEGER NOT NULL,
    -- Whether the notice was published.
    noticed INTEGER NOT NULL,
    PRIMARY KEY (dm, user)
) STRICT, WITHOUT ROWID;
CREATE INDEX dm_openings_waiting ON dm_openings (dm, user) WHERE noticed = 0;
