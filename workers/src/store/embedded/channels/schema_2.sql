-- Which call made which of a channel's last revisions: a call that is repeated may come late.
CREATE TABLE channel_calls (
    channel INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    call TEXT NOT NULL,
    PRIMARY KEY (channel, revision)
) STRICT, WITHOUT ROWID;
