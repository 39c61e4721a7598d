//! Bots: who makes them, what they say and hear over NATS, and that nothing of it is lost.

mod credentials;
mod management;
mod survival;
mod talk;
mod webhooks;
