//! What a client works with, and what it is told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::sync::{mpsc, watch};

use crate::check::drive::book::Message;
use crate::check::drive::town::{Person, Town};
use crate::check::faults::Orders;

/// What clients are to do.
#[derive(Clone, Debug)]
pub enum Phase {
    /// To live.
    Running,
    /// To end what is pending.
    Settling,
    /// To catch up: the last entry of each conversation, by person.
    Ending(Arc<BTreeMap<u64, BTreeMap<u64, u64>>>),
    /// To leave.
    Over,
}

/// What a client's socket shall send.
#[derive(Clone, Debug)]
pub enum Wish {
    /// A message.
    Say(Message),
    /// A read marker.
    Read {
        /// Where.
        conversation: u64,
        /// Up to where.
        id: u64,
    },
}

/// What a client works with.
pub struct Parts {
    /// Where it lives.
    pub town: Arc<Town>,
    /// Whose it is.
    pub person: Arc<Person>,
    /// Its own chance.
    pub random: StdRng,
    /// What it shall send.
    pub wishes: mpsc::Receiver<Wish>,
    /// What all are to do.
    pub phase: watch::Receiver<Phase>,
    /// What faults say.
    pub orders: watch::Receiver<Orders>,
    /// How much of what it shall send is not settled.
    pub pending: Arc<AtomicUsize>,
    /// Rules of the protocol that were broken before its eyes.
    pub broken: mpsc::Sender<String>,
    /// Devices, of all clients, that do not stand at their targets yet.
    pub owing: Arc<AtomicUsize>,
}

impl Parts {
    /// What a device of its own needs, which nobody tells what to send.
    pub(super) fn beside(&mut self) -> Self {
        let (_, wishes) = mpsc::channel(1);
        Self {
            town: self.town.clone(),
            person: self.person.clone(),
            random: StdRng::from_rng(&mut self.random),
            wishes,
            phase: self.phase.clone(),
            orders: self.orders.clone(),
            pending: Arc::default(),
            broken: self.broken.clone(),
            owing: self.owing.clone(),
        }
    }
}
