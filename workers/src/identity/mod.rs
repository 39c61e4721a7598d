//! Who is who on the bus: the operator, its accounts and their users, as NATS knows them in operator
//! mode, and the files in which their keys are kept.
//!
//! Invariant: [`bus_schema::permissions`] alone says who may do what; here that table becomes signed
//! claims. Accounts and users are signed with signing keys, never with an account's or the
//! operator's own key, so those can be kept elsewhere. The parts: [`jwt`] signs and checks claims,
//! [`claims`] says what is in them, [`keys`] keeps seeds, [`directory`] makes and rotates all of it, and
//! [`authority`] lets bots in and shuts them out while the servers run.

pub(crate) mod authority;
pub(crate) mod claims;
pub(crate) mod directory;
mod files;
pub(crate) mod jwt;
pub(crate) mod keys;
