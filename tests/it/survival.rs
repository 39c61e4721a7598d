//! Processes die, are restarted or leave; each test has a platform of its own.

mod edge;
mod nats;
mod worker;
