//! `svc.auth.keys`: the public keys that access tokens are verified with.

use std::sync::Arc;

use bus_schema::error::Failure;
use bus_schema::ops::Empty;
use bus_schema::ops::auth::PublicKeys;
use bus_schema::runtime::service::Context;

use super::Auth;

pub(super) async fn keys(auth: Arc<Auth>, _: Context, _: Empty) -> Result<PublicKeys, Failure> {
    Ok(auth.tokens.public_keys())
}
