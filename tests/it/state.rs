//! For every operation: the state a client held, plus the events it was sent, equals what a fresh
//! client fetches; seen by everyone whom the operation concerns.

mod changes;
pub(crate) mod check;
