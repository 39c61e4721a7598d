//! The websocket: the handshake, what each frame does, what comes in which order, and resuming.

mod close_codes;
mod gap;
mod handshake;
mod membership;
mod profile;
mod read;
mod resume;
mod send;
mod sockets;
mod typing;
