//! The role against a real NATS server, under the permissions it has in production.

mod operations;
mod outbox;
mod recovery;
mod replay;
mod support;
