//! What every backend must do, one suite for each aggregate. Each backend's tests run them all.

pub(crate) mod channels;
pub(crate) mod history;
pub(crate) mod invites;
pub(crate) mod keys;
pub(crate) mod profiles;
pub(crate) mod sessions;
pub(crate) mod transfer;
pub(crate) mod users;
pub(crate) mod webhooks;
