//! NATS JWTs, version 2: claims in JSON, signed with an nkey.
//!
//! Invariant: what [`Claims::sign`] writes, [`Claims::verify`] reads; a token changed in one
//! character is refused. The server tells two versions of an account apart by their `jti`, so it is
//! a digest of all claims. (No crate is used for this: those there are know neither imports nor
//! exports, scoped keys nor revocations, or generate thousands of lines for them.)
//!
//! Leaves out whether the issuer is one to trust, and whether the time is right.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bus_schema::timestamp::Timestamp;
use nkeys::KeyPair;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

const HEADER: &str = r#"{"typ":"JWT","alg":"ed25519-nkey"}"#;

/// What a token says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Claims {
    /// Until when it holds, in seconds since 1970; for ever if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) exp: Option<u64>,
    /// When it was issued, in seconds since 1970.
    pub(crate) iat: u64,
    /// The public key that signed it.
    pub(crate) iss: String,
    /// A digest of the rest.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) jti: String,
    pub(crate) name: String,
    /// The public key of whom it is about.
    pub(crate) sub: String,
    /// What it says about them.
    pub(crate) nats: Value,
}

/// Why a token could not be made or read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JwtError {
    #[error("it is no token of NATS")]
    Malformed,
    #[error("its signature is not its issuer's")]
    Signature,
    #[error("its signing key holds no seed")]
    NoSeed,
}

impl Claims {
    /// Claims about `sub`, issued at a time; who signs them fills in the rest.
    pub(crate) fn new(name: &str, sub: String, at: Timestamp, nats: Value) -> Self {
        let (iss, jti) = (String::new(), String::new());
        Self { exp: None, iat: at.as_millis() / 1_000, iss, jti, name: name.to_owned(), sub, nats }
    }

    /// The token.
    pub(crate) fn sign(mut self, key: &KeyPair) -> Result<String, JwtError> {
        self.iss = key.public_key();
        self.jti = String::new();
        self.jti = URL_SAFE_NO_PAD.encode(Sha256::digest(self.to_json()?));
        let header = URL_SAFE_NO_PAD.encode(HEADER);
        let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(self.to_json()?));
        let signature = key.sign(signed.as_bytes()).map_err(|_| JwtError::NoSeed)?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// What a token says, if its issuer signed it.
    pub(crate) fn verify(token: &str) -> Result<Self, JwtError> {
        let (signed, signature) = token.rsplit_once('.').ok_or(JwtError::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(JwtError::Malformed)?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| JwtError::Malformed);
        if decode(header)? != HEADER.as_bytes() {
            return Err(JwtError::Malformed);
        }
        let read: Self =
            serde_json::from_slice(&decode(claims)?).map_err(|_| JwtError::Malformed)?;
        let issuer = KeyPair::from_public_key(&read.iss).map_err(|_| JwtError::Malformed)?;
        let good = issuer.verify(signed.as_bytes(), &decode(signature)?);
        good.map(|()| read).map_err(|_| JwtError::Signature)
    }

    /// Whether both say the same of the same, whenever they were issued and by whom.
    pub(crate) fn says_as(&self, other: &Self) -> bool {
        (&self.name, &self.sub, &self.nats, self.exp)
            == (&other.name, &other.sub, &other.nats, other.exp)
    }

    fn to_json(&self) -> Result<Vec<u8>, JwtError> {
        serde_json::to_vec(self).map_err(|_| JwtError::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn claims(name: &str, seconds: u64, nats: Value) -> Claims {
        let sub = KeyPair::new_user().public_key();
        Claims::new(name, sub, Timestamp::from_millis(seconds * 1_000), nats)
    }

    /// Made and signed with nats-io/jwt 2.8 (Go).
    const FROM_GO: &str = include_str!("from_go.jwt");

    #[test]
    fn reads_what_the_reference_writes() {
        let read = Claims::verify(FROM_GO.trim()).unwrap();
        assert_eq!(read.name, "BUS");
        assert_eq!(read.nats["type"], "account");
        assert_eq!(read.nats["version"], 2);
    }

    #[test]
    fn two_versions_have_two_names() {
        let key = KeyPair::new_account();
        let one = claims("a", 7, json!({ "revocations": {} }));
        let other = Claims { nats: json!({ "revocations": { "U": 1 } }), ..one.clone() };
        let names = [one, other].map(|c| Claims::verify(&c.sign(&key).unwrap()).unwrap().jti);
        assert_ne!(names[0], names[1]);
    }

    #[test]
    fn a_public_key_signs_nothing() {
        let key = KeyPair::from_public_key(&KeyPair::new_account().public_key()).unwrap();
        assert_eq!(claims("a", 1, json!({})).sign(&key), Err(JwtError::NoSeed));
    }

    proptest! {
        #[test]
        fn what_is_signed_is_read_back(name in ".{0,40}", at in 0..4_000_000_000_u64, more in ".*") {
            let key = KeyPair::new_account();
            let said = claims(&name, at, json!({ "type": "user", "more": more }));
            let read = Claims::verify(&said.clone().sign(&key).unwrap()).unwrap();
            prop_assert_eq!(&read.iss, &key.public_key());
            prop_assert!(read.says_as(&said));
            prop_assert_eq!(read.iat, said.iat);
        }

        #[test]
        fn one_changed_character_is_refused(at: prop::sample::Index, to in "[A-Za-z0-9_.-]") {
            let token = claims("a", 1, json!({ "type": "user" }));
            let token = token.sign(&KeyPair::new_account()).unwrap();
            let at = at.index(token.len());
            let mut changed = token.clone();
            changed.replace_range(at..=at, &to);
            // The last character of a part holds bits that nobody reads; a strict decoder wants them 0.
            prop_assert!(changed == token || Claims::verify(&changed).is_err());
        }

        #[test]
        fn nothing_from_outside_makes_it_panic(token in ".*") {
            let _ = Claims::verify(&token);
        }
    }
}
