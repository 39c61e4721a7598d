//! What people do, over and over: each person as three, who wait for their own answers only.
//!
//! Invariant: every attempt is noted with its outcome, and the truth learns of a change before it is
//! asked for and again when its fate is known. A person's actors never change the same thing.

mod channels;
mod people;
mod read;
mod sessions;
mod talk;

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::RngExt as _;
use reqwest::Method;
use serde_json::Value;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::kind::Kind;
use super::scene::{Person, Scene};
use super::settled::Fate;
use crate::client::Api;
use crate::json::Look as _;

/// Whoever waits longer has no answer.
const ANSWERED_WITHIN: Duration = Duration::from_secs(15);
/// How often, and for how long after the end, what nobody was told is asked again.
const SETTLE_TRIES: u32 = 30;
const SETTLE_PAUSE: Duration = Duration::from_secs(2);

/// Who does what, and how often against the others.
type Part = &'static [(Kind, u32)];

/// The three of one person.
pub const PARTS: [Part; 3] = [
    &[(Kind::Send, 24), (Kind::HttpSend, 4), (Kind::Edit, 6), (Kind::Delete, 3)],
    &[
        (Kind::ReadRecent, 10),
        (Kind::ReadEntries, 5),
        (Kind::ReadOld, 8),
        (Kind::Mark, 6),
        (Kind::Conversations, 3),
        (Kind::Identify, 3),
    ],
    &[
        (Kind::LookUp, 8),
        (Kind::LookUpName, 3),
        (Kind::Profile, 3),
        (Kind::ChannelGet, 3),
        (Kind::ChannelCreate, 2),
        (Kind::MemberAdd, 4),
        (Kind::MemberRemove, 3),
        (Kind::ChannelRename, 3),
        (Kind::SignIn, 2),
        (Kind::Refresh, 3),
        (Kind::SignOut, 1),
        (Kind::IdentifyElsewhere, 2),
    ],
];

/// An answer, as far as whoever asked must know.
enum Reply {
    Done(Value),
    Refused,
    Unknown,
}

impl Reply {
    fn fate(&self) -> Fate {
        match self {
            Self::Done(_) => Fate::Acked,
            Self::Refused => Fate::Refused,
            Self::Unknown => Fate::Unknown,
        }
    }
}

/// One of a person's actors.
pub struct Actor {
    scene: Arc<Scene>,
    person: Arc<Person>,
    part: Part,
    /// Numbers what this actor writes, so that nothing is said twice.
    count: u64,
    unsent: Option<talk::Unsent>,
    unmade: Option<channels::Unmade>,
    devices: Vec<sessions::Device>,
}

impl Actor {
    /// One part of a person.
    pub fn new(scene: Arc<Scene>, person: Arc<Person>, part: Part) -> Self {
        Self { scene, person, part, count: 0, unsent: None, unmade: None, devices: Vec::new() }
    }

    /// Does one thing after the other, all people together so many a second, until told to stop.
    pub async fn act(mut self, rate: f64, stop: CancellationToken) {
        let weight = |part: Part| part.iter().map(|&(_, weight)| weight).sum::<u32>();
        let whole: u32 = PARTS.into_iter().map(weight).sum();
        let share = f64::from(weight(self.part)) / f64::from(whole);
        let people = u32::try_from(self.scene.people.len()).unwrap_or(u32::MAX);
        let every = Duration::from_secs_f64(f64::from(people) / (rate * share));
        let first = every.mul_f64(rand::rng().random_range(0.0..1.0));
        sleep(first).await;
        let mut tick = interval(every);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                _ = tick.tick() => {}
            }
            let mut left = rand::rng().random_range(0..weight(self.part));
            let chosen = self.part.iter().find(|&&(_, weight)| {
                let here = left < weight;
                left = left.saturating_sub(weight);
                here
            });
            if let Some(&(kind, _)) = chosen {
                Box::pin(self.do_one(kind)).await;
            }
        }
        self.settle().await;
    }

    async fn do_one(&mut self, kind: Kind) {
        self.count += 1;
        match kind {
            Kind::Send | Kind::Resume | Kind::ResumeElsewhere => self.send().await,
            Kind::HttpSend => self.http_send().await,
            Kind::Edit => self.edit().await,
            Kind::Delete => self.delete().await,
            Kind::ReadRecent => self.read_recent().await,
            Kind::ReadEntries => self.read_entries().await,
            Kind::ReadOld => self.read_old().await,
            Kind::Mark => self.mark().await,
            Kind::Conversations => self.conversations().await,
            Kind::LookUp => self.look_up().await,
            Kind::LookUpName => self.look_up_name().await,
            Kind::Profile => self.change_profile().await,
            Kind::ChannelGet => self.show_channel().await,
            Kind::ChannelCreate => self.create_channel().await,
            Kind::MemberAdd => self.change_member(true).await,
            Kind::MemberRemove => self.change_member(false).await,
            Kind::ChannelRename => self.rename_channel().await,
            Kind::SignIn => self.sign_in().await,
            Kind::Refresh => self.refresh().await,
            Kind::SignOut => self.sign_out().await,
            Kind::Identify | Kind::IdentifyElsewhere => self.identify(kind).await,
        }
    }

    /// Asks again for what has no answer yet, under its nonce.
    async fn settle(&mut self) {
        for _ in 0..SETTLE_TRIES {
            match (&self.unsent, &self.unmade) {
                (Some(_), _) => self.http_send().await,
                (None, Some(_)) => self.create_channel().await,
                (None, None) => return,
            }
            sleep(SETTLE_PAUSE).await;
        }
        self.wrong("a message or channel has no answer at the end");
    }

    /// One request. Where `fine` is given, that refusal is as good as done.
    async fn ask(
        &self,
        kind: Kind,
        api: &Api,
        (method, path): (Method, &str),
        body: Option<&Value>,
        fine: Option<&str>,
    ) -> Reply {
        let began = Instant::now();
        let answer = timeout(ANSWERED_WITHIN, api.call(method, path, body)).await;
        let (refused, reply) = match answer {
            Err(_) => (Some("no answer".to_owned()), Reply::Unknown),
            Ok(Err(_)) => (Some("broken off".to_owned()), Reply::Unknown),
            Ok(Ok(answer)) if (200..300).contains(&answer.status) => {
                (None, Reply::Done(answer.body))
            }
            Ok(Ok(answer)) if answer.code().is_some() && answer.code() == fine => {
                (None, Reply::Done(Value::Null))
            }
            Ok(Ok(answer)) => {
                let code = answer.code().map_or_else(|| answer.status.to_string(), str::to_owned);
                let unknown = matches!(code.as_str(), "timeout" | "unknown_outcome");
                (Some(code), if unknown { Reply::Unknown } else { Reply::Refused })
            }
        };
        self.scene.journal.note(kind, began, refused);
        reply
    }

    /// One of the busy channels.
    fn room(&self) -> u64 {
        one_of(&self.scene.rooms).copied().unwrap_or(self.scene.old.conversation)
    }

    /// Something that nobody has said yet.
    fn text(&self, what: &str) -> String {
        format!("{what} {} of {}", self.count, self.person.username)
    }

    fn wrong(&self, what: &str) {
        self.scene.truth.wrong(format!("{}: {what}", self.person.username));
    }
}

fn one_of<T>(all: &[T]) -> Option<&T> {
    if all.is_empty() { None } else { all.get(rand::rng().random_range(0..all.len())) }
}

/// An id of an answer that was read as done.
fn id_of(answer: &Value) -> Option<u64> {
    answer.id("id").ok()
}
