//! A user of the platform's account who may do everything, for tests alone.
//!
//! Invariant: signed with the key that the product made for the tests' own servers, and written to no
//! file; the product makes no such user.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nkeys::KeyPair;
use serde_json::json;

use crate::{Context as _, Outcome};

/// The text of a credentials file, signed with what `natter-workers secrets` made in `secrets`.
pub(super) fn credentials(secrets: &Path) -> Outcome<String> {
    let read = |name: &str| {
        let file = secrets.join("keys").join(name);
        std::fs::read_to_string(&file).during(file.display()).map(|text| text.trim().to_owned())
    };
    let signer = KeyPair::from_seed(&read("bus-signing.nk")?).during("the key of the bus")?;
    let user = KeyPair::new_user();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).during("the clock")?;
    let claims = json!({
        "jti": user.public_key(),
        "iat": now.as_secs(),
        "iss": signer.public_key(),
        "name": "checker",
        "sub": user.public_key(),
        "nats": {
            "type": "user", "version": 2, "issuer_account": read("bus.pub")?,
            "pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1,
        },
    });
    let header = URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"ed25519-nkey"}"#);
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let signature = signer.sign(signed.as_bytes()).during("signing")?;
    let seed = user.seed().during("a new key")?;
    Ok(format!(
        "-----BEGIN NATS USER JWT-----\n{signed}.{}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n",
        URL_SAFE_NO_PAD.encode(signature)
    ))
}
