//! The people of a run: who does what, on which sockets, until everything has come to rest.
//!
//! Invariant: everything that anybody asks, is answered and hears is in the record before anything is
//! concluded from it. All chance comes from the seed, but for nonces and for what time decides.

pub mod acts;
pub mod book;
pub mod client;
pub mod rest;
pub mod town;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use self::acts::{Actor, Voice};
use self::client::{Client, Parts, Phase};
use self::town::Town;
use super::faults::Orders;
use super::record::What;
use crate::eventually::{Seen, eventually};
use crate::json::Look as _;
use crate::{Context as _, Outcome};

/// Whoever does something has its answer by then, or knows that there is none.
const ACTED_WITHIN: Duration = Duration::from_mins(1);
/// What was sent is answered so soon after the last fault.
pub const SETTLED_WITHIN: Duration = Duration::from_mins(1);
/// Everything has reached everybody so soon after the last answer.
pub const CAUGHT_UP_WITHIN: Duration = Duration::from_mins(1);
/// How long what is asked at rest is asked again.
const ASKED_WITHIN: Duration = Duration::from_secs(20);
/// Messages that wait for a socket; more are not said.
const WISHES: usize = 512;
/// Broken rules that nobody has taken yet.
const BROKEN: usize = 100;

/// How much goes on.
#[derive(Clone, Copy, Debug)]
pub struct Traffic {
    /// Where chance begins.
    pub seed: u64,
    /// Acts a second of all people together.
    pub rate: f64,
    /// Whether nothing but messages is sent.
    pub only_messages: bool,
    /// Messages a second of all people together, beside their acts: said whatever else is waited for.
    pub messages: f64,
}

/// Everybody at work.
pub struct Drive {
    town: Arc<Town>,
    phase: watch::Sender<Phase>,
    actors: Vec<AbortOnDropHandle<Outcome>>,
    clients: Vec<(String, AbortOnDropHandle<Outcome>)>,
    owing: Arc<AtomicUsize>,
    pending: Vec<Arc<AtomicUsize>>,
    broken: mpsc::Receiver<String>,
    wrong: Vec<String>,
}

impl Drive {
    /// Everybody begins. Every second person has two sockets.
    pub fn start(town: &Arc<Town>, traffic: Traffic, orders: &watch::Receiver<Orders>) -> Self {
        let (phase, seen) = watch::channel(Phase::Running);
        let (tell, broken) = mpsc::channel(BROKEN);
        let mut drive = Self {
            town: Arc::clone(town),
            phase,
            actors: Vec::new(),
            clients: Vec::new(),
            owing: Arc::default(),
            pending: Vec::new(),
            broken,
            wrong: Vec::new(),
        };
        let people = u32::try_from(town.people.len()).unwrap_or(u32::MAX);
        let mut seeds = StdRng::seed_from_u64(traffic.seed);
        for person in &town.people {
            let mut sockets = Vec::new();
            for slot in 0..=person.index % 2 {
                let (wish, wishes) = mpsc::channel(WISHES);
                let pending = Arc::new(AtomicUsize::new(0));
                let client = Client::new(Parts {
                    town: town.clone(),
                    person: person.clone(),
                    random: StdRng::from_rng(&mut seeds),
                    wishes,
                    phase: seen.clone(),
                    orders: orders.clone(),
                    pending: pending.clone(),
                    broken: tell.clone(),
                    owing: drive.owing.clone(),
                });
                let task = AbortOnDropHandle::new(tokio::spawn(Box::pin(client.live())));
                drive.clients.push((format!("{} socket {slot}", person.username), task));
                drive.pending.push(pending);
                sockets.push(wish);
            }
            let count = f64::from(people);
            let mut voices = vec![(Voice::Acts, traffic.rate / count)];
            if traffic.messages > 0.0 {
                voices.push((Voice::Talks, traffic.messages / count));
            }
            for (voice, rate) in voices {
                let actor = Actor {
                    town: town.clone(),
                    person: person.clone(),
                    random: StdRng::from_rng(&mut seeds),
                    sockets: sockets.clone(),
                    phase: seen.clone(),
                    orders: orders.clone(),
                    rate,
                    voice,
                    only_messages: traffic.only_messages || voice == Voice::Talks,
                    count: 0,
                };
                drive.actors.push(AbortOnDropHandle::new(tokio::spawn(Box::pin(actor.act()))));
            }
        }
        drive
    }

    /// Nothing new is done, and what was sent is answered. What is not is wrong.
    pub async fn quiet(&mut self) -> Outcome {
        self.phase.send_replace(Phase::Settling);
        for actor in self.actors.drain(..) {
            timeout(ACTED_WITHIN, actor).await.during("the end of what people do")???;
        }
        let pending = &self.pending;
        let settled = eventually("what was sent is answered", SETTLED_WITHIN, async || {
            let count: usize = pending.iter().map(|one| one.load(Ordering::Relaxed)).sum();
            Ok(Seen::when(count == 0, format_args!("{count} messages are not")))
        });
        if let Err(failure) = settled.await {
            self.wrong.push(failure.to_string());
        }
        self.town.recorder.note(What::Quiet);
        Ok(())
    }

    /// Every device catches up and leaves. Who does not is wrong.
    pub async fn rest(&mut self) -> Outcome {
        let mut targets = BTreeMap::new();
        for person in &self.town.people {
            let edge = person.index % self.town.edges;
            let api = self.town.patient(person, edge, ASKED_WITHIN).await?;
            let list = api.get("/conversations").await?.ok(200)?;
            let mut all = BTreeMap::new();
            for conversation in list.list("conversations")? {
                let last = conversation.id_or_null("last_id")?.unwrap_or(0);
                all.insert(conversation.id("id")?, last);
            }
            targets.insert(person.id, all);
        }
        self.phase.send_replace(Phase::Ending(Arc::new(targets)));
        let owing = &self.owing;
        let caught_up = eventually("everything reaches everybody", CAUGHT_UP_WITHIN, async || {
            let count = owing.load(Ordering::Relaxed);
            Ok(Seen::when(count == 0, format_args!("{count} devices lack something")))
        });
        if let Err(failure) = caught_up.await {
            self.wrong.push(failure.to_string());
        }
        self.town.recorder.note(What::Rest);
        self.phase.send_replace(Phase::Over);
        for (name, client) in self.clients.drain(..) {
            timeout(ACTED_WITHIN, client).await.during(&name)??.during(&name)?;
        }
        Ok(())
    }

    /// What clients saw that no protocol allows, and who was stuck.
    pub fn wrong(mut self) -> Vec<String> {
        while let Ok(broken) = self.broken.try_recv() {
            self.wrong.push(broken);
        }
        self.wrong
    }
}
