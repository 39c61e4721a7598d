//! Following conversations: entries in, in order, each once, none left out.
//!
//! `follower` decides (pure), `ring` remembers, `pages` does for those who come back, `item` is an entry with its frame, `conversation`
//! is the task that joins them to the bus, to history and to sockets. `digest` finds what headers
//! cannot show. Invariant: what leaves here for a socket is in log order, without a hole, judged.

pub(crate) mod conversation;
pub(crate) mod digest;
pub(crate) mod fallback;
pub(crate) mod fetch;
pub(crate) mod follower;
pub(crate) mod item;
pub(crate) mod pages;
pub(crate) mod ring;
