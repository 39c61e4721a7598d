//! Every operation of the HTTP table: what it answers, whom it refuses, what it leaves unchanged.

mod accounts;
mod channels;
mod conversations;
mod dms;
mod entries;
mod history;
mod members;
mod messages;
mod profiles;
mod public;
mod read;
mod sessions;
mod tokens;
