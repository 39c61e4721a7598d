//! What access and refresh tokens look like.
//!
//! An access token is a JWT signed with Ed25519. A refresh token is base64url of the session's id,
//! 256 secret bits and a tag that only this platform can make. Invariant: a token's successor for a
//! nonce is a function of token and nonce, so a repeated refresh gets the same answer though no
//! token is stored; and what bears no right tag was never given out, so guessing ends no session.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bus_schema::error::Failure;
use bus_schema::ids::{SessionId, UserId};
use bus_schema::limits::ACCESS_TOKEN_S;
use bus_schema::ops::auth::{Claims, ISSUER, PublicKey, PublicKeys, Secret};
use bus_schema::runtime::bus::jitter;
use bus_schema::runtime::shutdown::Shutdown;
use bus_schema::text::Nonce;
use bus_schema::timestamp::Timestamp;
use ed25519_dalek::SigningKey;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use sha2::{Digest as _, Sha256};
use tokio::time::sleep;

use crate::roles::RoleError;
use crate::store::StoreError;
use crate::store::keys::{KeyRecord, KeyStore, Purpose};
use crate::store::sessions::TokenHash;

/// From one look for the keys to the next, while the store is away.
const KEYS_AGAIN: Duration = Duration::from_secs(1);
const TAG_BYTES: usize = 16;
const TOKEN_BYTES: usize = 8 + 32 + TAG_BYTES;
/// What precedes the 32 bytes of an Ed25519 seed in PKCS #8 (RFC 8410).
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

/// Makes tokens.
pub(super) struct Tokens {
    header: Header,
    signing: EncodingKey,
    public: PublicKeys,
    refresh: [u8; 32],
}

/// A refresh token that this platform has made.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct RefreshToken {
    session: SessionId,
    secret: [u8; 32],
    tag: [u8; TAG_BYTES],
}

/// The keys for access tokens and for refresh tokens, newest first.
async fn keys(store: &dyn KeyStore) -> Result<(Vec<KeyRecord>, Vec<KeyRecord>), StoreError> {
    let access = store.ensure(Purpose::AccessTokens, fresh()).await?;
    Ok((access, store.ensure(Purpose::RefreshTokens, fresh()).await?))
}

impl Tokens {
    /// As [`Tokens::load`], as soon as the store answers; none if stopped before. A process whose store
    /// is away must not end: its other roles have things to do.
    pub(super) async fn loaded(
        store: &dyn KeyStore,
        shutdown: &Shutdown,
    ) -> Result<Option<Self>, RoleError> {
        let mut told = false;
        loop {
            match keys(store).await {
                Ok(keys) => return Self::with(keys).map(Some),
                Err(error) if error.kind.passes() => {
                    if !std::mem::replace(&mut told, true) {
                        tracing::warn!(store.error = %error, "nobody signs in: the keys are away");
                    }
                }
                Err(error) => return Err(error.into()),
            }
            tokio::select! {
                () = shutdown.requested() => return Ok(None),
                () = sleep(jitter(KEYS_AGAIN)) => {}
            }
        }
    }

    /// With the platform's keys, which are made at first use.
    #[cfg(test)]
    pub(super) async fn load(store: &dyn KeyStore) -> Result<Self, RoleError> {
        Self::with(keys(store).await?)
    }

    fn with((access, refresh): (Vec<KeyRecord>, Vec<KeyRecord>)) -> Result<Self, RoleError> {
        let (Some(signing), Some(refresh)) = (access.first(), refresh.first()) else {
            return Err(RoleError::new("the key store gave no keys"));
        };
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(signing.kid.clone());
        let der = [&PKCS8_PREFIX[..], &signing.secret].concat();
        Ok(Self {
            header,
            signing: EncodingKey::from_ed_der(&der),
            public: PublicKeys { keys: access.iter().map(public).collect() },
            refresh: refresh.secret,
        })
    }

    /// The keys to verify access tokens with.
    pub(super) fn public_keys(&self) -> PublicKeys {
        self.public.clone()
    }

    /// An access token as issued at `at`: the same for the same arguments.
    pub(super) fn access(
        &self,
        user: UserId,
        session: SessionId,
        at: Timestamp,
    ) -> Result<Secret, Failure> {
        let iat = at.as_millis() / 1_000;
        let exp = iat + ACCESS_TOKEN_S;
        let claims = Claims { sub: user, sid: session, iat, exp, iss: ISSUER.to_owned() };
        jsonwebtoken::encode(&self.header, &claims, &self.signing).map(Secret::new).map_err(
            |error| {
                tracing::error!(%error, "an access token could not be signed");
                Failure::unavailable()
            },
        )
    }

    /// A session's first refresh token.
    pub(super) fn first(&self, session: SessionId) -> RefreshToken {
        self.tagged(session, rand::random())
    }

    /// The one after `spent`: for a nonce always the same, else random.
    pub(super) fn next(&self, spent: &RefreshToken, nonce: Option<&Nonce>) -> RefreshToken {
        let Some(nonce) = nonce else { return self.first(spent.session) };
        let mac = self.mac("next", spent.session, &spent.secret);
        self.tagged(spent.session, mac.chain_update(nonce.as_str()).finalize().into_bytes().into())
    }

    /// Reads a token that this platform has made.
    pub(super) fn parse(&self, text: &str) -> Option<RefreshToken> {
        let bytes: [u8; TOKEN_BYTES] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let (session, rest) = bytes.split_first_chunk::<8>()?;
        let (secret, tag) = rest.split_first_chunk::<32>()?;
        let session = SessionId(u64::from_be_bytes(*session));
        self.mac("tag", session, secret).verify_truncated_left(tag).ok()?;
        Some(RefreshToken { session, secret: *secret, tag: tag.try_into().ok()? })
    }

    fn tagged(&self, session: SessionId, secret: [u8; 32]) -> RefreshToken {
        let whole: [u8; 32] = self.mac("tag", session, &secret).finalize().into_bytes().into();
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(&whole[..TAG_BYTES]);
        RefreshToken { session, secret, tag }
    }

    fn mac(&self, purpose: &str, session: SessionId, secret: &[u8; 32]) -> Hmac<Sha256> {
        // A block-sized key, zero-padded as HMAC itself would do.
        let mut key = [0; 64];
        key[..32].copy_from_slice(&self.refresh);
        Hmac::<Sha256>::new(&key.into())
            .chain_update(purpose)
            .chain_update(session.0.to_be_bytes())
            .chain_update(secret)
    }
}

impl RefreshToken {
    pub(super) const fn session(&self) -> SessionId {
        self.session
    }

    /// What is stored in its place.
    pub(super) fn hash(&self) -> TokenHash {
        Sha256::digest(self.bytes()).into()
    }

    /// What the client gets.
    pub(super) fn encode(&self) -> Secret {
        Secret::new(URL_SAFE_NO_PAD.encode(self.bytes()))
    }

    fn bytes(&self) -> Vec<u8> {
        [&self.session.0.to_be_bytes()[..], &self.secret, &self.tag].concat()
    }
}

fn fresh() -> KeyRecord {
    let kid = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 9]>());
    KeyRecord { kid, secret: rand::random(), created_at: Timestamp::now() }
}

fn public(key: &KeyRecord) -> PublicKey {
    let verifying = SigningKey::from_bytes(&key.secret).verifying_key();
    PublicKey { kid: key.kid.clone(), x: URL_SAFE_NO_PAD.encode(verifying.as_bytes()) }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{DecodingKey, Validation};

    use super::*;
    use crate::store::Stores;

    async fn tokens() -> Tokens {
        let dir = tempfile::tempdir().unwrap();
        let stores = Stores::embedded(dir.path()).await.unwrap();
        let tokens = Tokens::load(&*stores.keys).await.unwrap();
        let again = Tokens::load(&*stores.keys).await.unwrap();
        assert_eq!(tokens.public, again.public);
        tokens
    }

    #[tokio::test]
    async fn an_access_token_verifies_with_the_public_key_and_repeats_exactly() {
        let tokens = tokens().await;
        let at = Timestamp::now();
        let token = tokens.access(UserId(1), SessionId(2), at).unwrap();
        assert_eq!(token, tokens.access(UserId(1), SessionId(2), at).unwrap());
        let key = DecodingKey::from_ed_components(&tokens.public.keys[0].x).unwrap();
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[ISSUER]);
        let data = jsonwebtoken::decode::<Claims>(token.expose(), &key, &validation).unwrap();
        assert_eq!((data.claims.sub, data.claims.sid), (UserId(1), SessionId(2)));
        assert_eq!(data.claims.exp - data.claims.iat, 900);
        assert_eq!(data.header.kid.as_deref(), Some(tokens.public.keys[0].kid.as_str()));
    }

    #[tokio::test]
    async fn refresh_tokens_round_trip_and_forgeries_do_not_parse() {
        let tokens = tokens().await;
        let token = tokens.first(SessionId(7));
        let text = token.encode();
        assert!(tokens.parse(text.expose()) == Some(token));
        let mut forged = text.expose().to_owned();
        let last = if forged.pop() == Some('A') { 'Q' } else { 'A' };
        forged.push(last);
        for bad in ["", "x", &forged, &text.expose()[1..], &"A".repeat(75), &"A".repeat(10_000)] {
            assert!(tokens.parse(bad).is_none(), "{bad}");
        }
    }

    #[tokio::test]
    async fn the_successor_is_decided_by_token_and_nonce() {
        let tokens = tokens().await;
        let token = tokens.first(SessionId(7));
        let nonce = |text| Nonce::parse(text).unwrap();
        let next = tokens.next(&token, Some(&nonce("a")));
        assert!(next == tokens.next(&token, Some(&nonce("a"))));
        assert!(next != tokens.next(&token, Some(&nonce("b"))));
        assert!(next != tokens.next(&next, Some(&nonce("a"))));
        assert!(tokens.next(&token, None) != tokens.next(&token, None));
    }
}
