//! Processes die, are restarted or leave; each test has a platform of its own.

mod edge;
mod moving;
mod nats;
mod storm;
mod unheard;
mod worker;
