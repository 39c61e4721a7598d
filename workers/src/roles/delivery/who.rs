//! Who is a bot.
//!
//! Invariant: an account is a bot from its first moment on and for ever, so an answer stays right.

use std::collections::HashMap;

use bus_schema::error::Failure;
use bus_schema::ids::UserId;
use bus_schema::ops::bots::{WHICH_MAX, WhichBots, WhichBotsRequest};
use bus_schema::runtime::bus::Bus;
use bus_schema::runtime::call::Call;

/// Accounts remembered; beyond, all are asked for again.
const KEPT: usize = 1_000_000;

/// What is known.
pub(super) struct Who {
    bus: Bus,
    known: HashMap<UserId, bool>,
}

impl Who {
    pub(super) fn new(bus: &Bus) -> Self {
        Self { bus: bus.clone(), known: HashMap::new() }
    }

    /// Those of some accounts that are bots.
    pub(super) async fn bots(&mut self, ids: Vec<UserId>) -> Result<Vec<UserId>, Failure> {
        if self.known.len() > KEPT {
            self.known.clear();
        }
        let unknown: Vec<_> =
            ids.iter().copied().filter(|id| !self.known.contains_key(id)).collect();
        for ids in unknown.chunks(WHICH_MAX) {
            let request = WhichBotsRequest { ids: ids.to_vec() };
            let found = self.bus.call::<WhichBots>(&Call::platform(), &request).await?;
            self.known.extend(ids.iter().map(|id| (*id, false)));
            self.known.extend(found.bots.into_iter().map(|id| (id, true)));
        }
        Ok(ids.into_iter().filter(|id| self.known.get(id) == Some(&true)).collect())
    }
}
