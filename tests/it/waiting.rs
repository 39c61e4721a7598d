//! What only time shows: the protocol's own deadlines, and the largest numbers of things.

mod heartbeat;
mod sessions;
