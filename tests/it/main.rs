//! The whole platform from outside: real processes, and clients that know the protocol's page.
//!
//! The areas are in the order of their names, which is the order in which the runner starts them:
//! `api`, `gateway`, `log` and `permissions` take milliseconds a test, `state` a little more, `strain` and
//! `survival` seconds, `waiting` as long as the protocol's own deadlines. All but `log`, `permissions`
//! and `survival` share one platform; each test has accounts and channels of its own and disturbs
//! nobody else's.

mod api;
mod audit;
mod bots;
mod examples;
mod gateway;
mod log;
mod permissions;
mod state;
mod strain;
mod support;
mod survival;
mod waiting;
