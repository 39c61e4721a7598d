//! An edge: what it follows and has heard of, until it is restarted.

use std::collections::BTreeMap;

use bus_schema::error::Failure;
use tokio::sync::oneshot;

use super::log::{CHATS, Log, id_of, place_of};
use super::{RING, Rules};
use crate::follow::conversation::catching_up::Landed;
use crate::follow::conversation::{Command, Conversation, Found, Pull, Pulled, Sizes, Wish};
use crate::follow::digest::Seen;
use crate::follow::fallback::Raw;
use crate::follow::pages::Shelf;
use crate::follow::ring::Ring;
use crate::hub::events::{Live, LiveEvent};

/// Something to be asked of history.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question {
    pub(super) edge: usize,
    pub(super) chat: usize,
    /// Which task of the chat asks.
    pub(super) task: u64,
    pub(super) what: What,
    pub(super) min: u64,
    pub(super) failures: u32,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum What {
    Start,
    Fetch { after: u64, membership: bool },
    CatchUp { after: Option<u64>, generation: u64, limit: usize },
}

impl Question {
    /// What a worker that has read up to `read` answers, up to `limit` entries.
    pub(super) fn answer(&self, log: &Log, read: u64, limit: usize) -> Found {
        let min = self.min;
        match self.what {
            What::Start => Found::Start(log.range(self.chat, None, read, limit, true)),
            What::Fetch { after, membership } => {
                let mut range = log.range(self.chat, Some(after), read, limit, membership);
                if !range.more {
                    range.through = range.through.max(min);
                }
                Found::Range(range)
            }
            What::CatchUp { after, generation, limit: asked } => {
                let limit = if after.is_none() { asked } else { limit };
                let answer = Ok(log.range(self.chat, after, read, limit, false));
                Found::Landed(Landed { after, generation, answer })
            }
        }
    }

    /// What the log itself says, when history does not answer; nothing that it has forgotten.
    pub(super) fn read_back(&self, log: &Log) -> Option<Found> {
        let What::Fetch { after, .. } = self.what else { return None };
        let (entries, through) = (log.raw(self.chat, after, log.end()), log.end());
        (after >= log.trimmed).then_some(Found::Raw { after, raw: Raw { entries, through } })
    }

    /// Nobody answered. Only what is asked for sessions that come back is tried just once.
    pub(super) fn refused(&self) -> Option<Found> {
        let What::CatchUp { after, generation, .. } = self.what else { return None };
        let answer = Err(Failure::unavailable());
        Some(Found::Landed(Landed { after, generation, answer }))
    }
}

/// A conversation's task.
pub(super) struct Task {
    pub(super) number: u64,
    pub(super) conversation: Conversation,
    /// How long it waits for a start by another.
    pub(super) patience: u64,
    pub(super) used: u64,
}

pub(super) struct Edge {
    pub(super) up: bool,
    /// Without its bus.
    pub(super) cut: bool,
    pub(super) life: u64,
    /// How often it was cut off in this life.
    pub(super) wire: u64,
    pub(super) heard: u64,
    pub(super) seen: Seen,
    /// Asks what changed.
    pub(super) accounting: bool,
    pub(super) tasks: BTreeMap<usize, Task>,
    shelf: Shelf,
}

impl Edge {
    pub(super) fn new(life: u64, shelf: usize) -> Self {
        Self {
            up: false,
            cut: false,
            life,
            wire: 0,
            heard: 0,
            seen: Seen::default(),
            accounting: false,
            tasks: BTreeMap::new(),
            shelf: Shelf::new(shelf),
        }
    }

    /// What is sent to it now arrives only while this is the same.
    pub(super) const fn wire(&self) -> (u64, u64) {
        (self.life, self.wire)
    }

    /// Follows a chat; `number` is for its task if there is none.
    pub(super) fn follow(&mut self, chat: usize, number: u64, patience: u64, now: u64) {
        let shelf = &self.shelf;
        let task = self.tasks.entry(chat).or_insert_with(|| {
            let sizes = Sizes { pending: 8, ring_entries: RING, ring_bytes: 1024 * 1024 };
            let conversation = Conversation::new(place_of(chat), id_of(chat), sizes, shelf.clone());
            Task { number, conversation, patience, used: now }
        });
        task.used = now;
    }

    /// Starts what has no start, after what READY shows.
    pub(super) fn start(&mut self, chat: usize, through: u64, empty: bool, rules: Rules) {
        let Some(task) = self.tasks.get_mut(&chat) else { return };
        task.conversation.command(Command::Start { through, empty });
        if !rules.ring {
            task.conversation.ring = Ring::new(0, RING, 1024 * 1024);
        }
    }

    /// A live copy arrives.
    pub(super) fn live(
        &mut self,
        log: &Log,
        sequence: u64,
        predecessor: u64,
        readable: bool,
        rules: Rules,
    ) {
        self.heard = self.heard.max(sequence);
        let written = log.get(sequence);
        let Some(task) = self.tasks.get_mut(&written.chat) else { return };
        let position = task.conversation.follower.position().unwrap_or(0);
        let predecessor = if rules.gaps { predecessor } else { position };
        let entry = readable.then(|| Box::new(written.entry.clone()));
        let event = Live::Entry { sequence, predecessor, entry };
        task.conversation.live(LiveEvent { place: place_of(written.chat), event });
    }

    pub(super) fn command(&mut self, chat: usize, command: Command) {
        if let Some(task) = self.tasks.get_mut(&chat) {
            task.conversation.command(command);
        }
    }

    pub(super) fn pull(
        &mut self,
        chat: usize,
        pull: impl FnOnce(oneshot::Sender<Result<Pulled, Failure>>) -> Pull,
    ) -> oneshot::Receiver<Result<Pulled, Failure>> {
        let (reply, answer) = oneshot::channel();
        self.command(chat, Command::Pull(pull(reply)));
        answer
    }

    /// A conversation takes its next step; what it wishes to be asked.
    pub(super) fn step(&mut self, edge: usize, chat: usize, now: u64) -> Vec<Question> {
        let heard = self.heard;
        let Some(task) = self.tasks.get_mut(&chat) else { return Vec::new() };
        task.conversation.step();
        if !task.conversation.is_idle() {
            task.used = now;
        }
        let ask = |what, min| Question { edge, chat, task: task.number, what, min, failures: 0 };
        let question = |wish| match wish {
            Wish::Start => Some(ask(What::Start, heard)),
            Wish::Fetch { after, min, membership } => {
                Some(ask(What::Fetch { after, membership }, min.max(after)))
            }
            Wish::CatchUp { after, generation, limit, min } => {
                let limit = usize::try_from(limit).unwrap();
                Some(ask(What::CatchUp { after, generation, limit }, min.max(after.unwrap_or(0))))
            }
            Wish::Forget { .. } => panic!("a member is sent away"),
            Wish::Lacks(_) | Wish::Whole(_) => None,
        };
        task.conversation.wishes.drain(..).filter_map(question).collect()
    }

    /// Forgets what nobody has needed for a while.
    pub(super) fn retire(&mut self, before: u64) {
        self.tasks.retain(|_, task| {
            task.conversation.alarm();
            !task.conversation.is_idle() || task.used > before
        });
    }

    /// What is told of a place that may be followed here.
    pub(super) fn tell(&mut self, chat: usize, sequence: u64) {
        if chat < CHATS {
            self.command(chat, Command::Hear(sequence));
        }
    }

    pub(super) fn is_at_rest(&self) -> Result<(), String> {
        for (chat, task) in &self.tasks {
            let this = &task.conversation;
            let waits = this.parked.len() + this.flights.len();
            if !this.follower.is_caught_up() || waits > 0 || this.lacking {
                return Err(format!("chat {chat} is not at rest: {:?}", this.follower));
            }
        }
        Ok(())
    }

    /// The places of a range of the log, each with its last sequence there.
    pub(super) fn places(log: &Log, after: u64, through: u64) -> BTreeMap<usize, u64> {
        (after + 1..=through).map(|sequence| (log.get(sequence).chat, sequence)).collect()
    }
}
