//! Every bound of the client protocol in one place, with its unit.
//!
//! Invariant: these are promises to clients. Bounds that are an operator's choice are settings
//! (`deploy/config.default.toml`), not constants here.

/// Bytes of a client frame.
pub const FRAME_BYTES: usize = 64 * 1024;
/// Bytes of an IDENTIFY frame.
pub const IDENTIFY_BYTES: usize = 256 * 1024;
/// Cursors in an IDENTIFY.
pub const CURSORS: usize = 5_000;
/// Bytes of an HTTP request body: a message of 4,000 four-byte scalars, all escaped, fits.
pub const BODY_BYTES: usize = 64 * 1024;

/// Unicode scalar values of a message.
pub const CONTENT_CHARS: usize = 4_000;
/// Printable ASCII characters of a nonce.
pub const NONCE_CHARS: usize = 32;
/// Unicode scalar values of a display name.
pub const DISPLAY_NAME_CHARS: usize = 64;
/// Unicode scalar values of a channel name.
pub const CHANNEL_NAME_CHARS: usize = 100;
/// Characters of a username, at least.
pub const USERNAME_MIN: usize = 2;
/// Characters of a username, at most.
pub const USERNAME_MAX: usize = 32;
/// Unicode scalar values of a password, at least.
pub const PASSWORD_MIN: usize = 8;
/// Unicode scalar values of a password, at most.
pub const PASSWORD_MAX: usize = 256;
/// Characters of an avatar URL.
pub const AVATAR_URL_CHARS: usize = 512;

/// Entries or messages of a page.
pub const PAGE_MAX: u32 = 100;
/// Entries or messages of a page when none is asked for.
pub const PAGE_DEFAULT: u32 = 50;
/// Users looked up by id in one request.
pub const USERS_PER_REQUEST: usize = 100;

/// Channels one user may be in.
pub const CHANNELS_PER_USER: usize = 1_000;
/// Members of a channel.
pub const MEMBERS_PER_CHANNEL: usize = 10_000;
/// `member_ids` are left out of an answer above this many members.
pub const MEMBERS_LISTED: usize = 1_000;
/// Sessions of a user; the oldest ends.
pub const SESSIONS_PER_USER: usize = 50;
/// Sockets of a user over all sessions, on one edge.
pub const SOCKETS_PER_USER: usize = 100;
/// Incoming webhooks of one channel.
pub const WEBHOOKS_PER_CHANNEL: usize = 10;
/// Bots of one owner.
pub const BOTS_PER_OWNER: usize = 20;

/// Replayed entries of one conversation at IDENTIFY.
pub const REPLAY_PER_CONVERSATION: usize = 1_000;
/// Replayed entries of all conversations at IDENTIFY.
pub const REPLAY_TOTAL: usize = 10_000;
/// Newest entries that follow a GAP.
pub const AFTER_GAP: u32 = 50;
/// Conversations for which READY carries messages.
pub const READY_WITH_MESSAGES: usize = 10;
/// Messages of such a conversation.
pub const READY_MESSAGES: u32 = 50;
/// `unread` counts no further.
pub const UNREAD_MAX: u32 = 100;

/// Seconds in which a repeated nonce names the same message or channel.
pub const NONCE_WINDOW_S: u64 = 300;
/// Seconds in which a repeated refresh with its nonce gets the same answer.
pub const REFRESH_REPEAT_S: u64 = 120;
/// Seconds an access token lives.
pub const ACCESS_TOKEN_S: u64 = 900;
/// Seconds a new socket has for IDENTIFY.
pub const IDENTIFY_S: u64 = 10;
/// Milliseconds between heartbeats.
pub const HEARTBEAT_MS: u64 = 30_000;
/// Seconds without one byte read by the peer until close 4010.
pub const NOT_READING_S: u64 = 30;
