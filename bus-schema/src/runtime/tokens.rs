//! Access tokens, verified with public keys that the auth role gives out.
//!
//! Invariant: only EdDSA by a known key, with our issuer and unexpired, passes. A token by an
//! unknown key causes at most one fetch of the keys per [`REFETCH`], whoever sends it.

use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use parking_lot::RwLock;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::bus::Bus;
use super::call::Call;
use crate::error::Failure;
use crate::ops::Empty;
use crate::ops::auth::{Claims, ISSUER, Keys, PublicKeys};
use crate::permissions::BusUser;

/// How long keys are believed without asking again.
const KEYS_AGE: Duration = Duration::from_mins(5);
/// How long to wait between two fetches that unknown keys ask for.
const REFETCH: Duration = Duration::from_secs(1);
/// Longer tokens are none of ours.
const TOKEN_BYTES: usize = 1_024;
/// Seconds by which clocks may differ.
const LEEWAY_S: u64 = 5;

/// The keys known now. Clones share them.
#[derive(Clone, Default)]
pub struct Verifier {
    keys: Arc<RwLock<Known>>,
    fetching: Arc<Mutex<Option<Instant>>>,
}

#[derive(Default)]
struct Known {
    keys: Vec<(String, DecodingKey)>,
    fetched: Option<Instant>,
}

impl Verifier {
    /// Verifies a token, fetching keys where needed.
    pub async fn verify(&self, bus: &Bus, token: &str) -> Result<Claims, Failure> {
        if token.len() > TOKEN_BYTES {
            return Err(Failure::unauthorized());
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| Failure::unauthorized())?;
        let kid = header.kid.ok_or_else(Failure::unauthorized)?;
        let (key, stale) = self.find(&kid);
        let key = match key {
            Some(key) if !stale => key,
            known => {
                let fetched = self.fetch(bus).await;
                match (self.find(&kid).0, known, fetched) {
                    (Some(key), _, _) | (None, Some(key), Err(_)) => key,
                    (None, None, Err(failure)) => return Err(failure),
                    (None, _, Ok(())) => return Err(Failure::unauthorized()),
                }
            }
        };
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[ISSUER]);
        validation.set_required_spec_claims(&["exp", "iss", "sub"]);
        validation.leeway = LEEWAY_S;
        jsonwebtoken::decode::<Claims>(token, &key, &validation)
            .map(|data| data.claims)
            .map_err(|_| Failure::unauthorized())
    }

    /// Replaces the known keys; those that cannot be read are left out.
    pub fn set(&self, keys: &PublicKeys) {
        let keys = keys.keys.iter().filter_map(|key| {
            let decoding = DecodingKey::from_ed_components(&key.x).ok()?;
            Some((key.kid.clone(), decoding))
        });
        *self.keys.write() = Known { keys: keys.collect(), fetched: Some(Instant::now()) };
    }

    fn find(&self, kid: &str) -> (Option<DecodingKey>, bool) {
        let known = self.keys.read();
        let key = known.keys.iter().find(|(id, _)| id == kid).map(|(_, key)| key.clone());
        (key, known.fetched.is_none_or(|at| at.elapsed() > KEYS_AGE))
    }

    async fn fetch(&self, bus: &Bus) -> Result<(), Failure> {
        // The auth role gives the keys out and sets them here itself; it may not ask itself.
        if bus.user() == BusUser::Auth {
            return Ok(());
        }
        // The guard is held across the call on purpose: it is what makes one fetch serve all.
        let mut last = self.fetching.lock().await;
        if last.is_some_and(|at| at.elapsed() < REFETCH) {
            return Ok(());
        }
        let keys = bus.call::<Keys>(&Call::platform(), &Empty {}).await?;
        self.set(&keys);
        *last = Some(Instant::now());
        Ok(())
    }
}
