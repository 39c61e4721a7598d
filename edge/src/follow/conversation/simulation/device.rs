//! A device: what it was sent, and its cursors, kept by the tests' own client.

use std::collections::BTreeSet;
use std::sync::Arc;

use bus_schema::error::Failure;
use bus_schema::events::Gap;
use bus_schema::ids::EntryId;
use tokio::sync::oneshot;

use super::cursors::{self, Cursors};
use super::log::{CHATS, Log, STREAM, id_of};
use crate::follow::conversation::Pulled;
use crate::ws::outbox::{Lag, Outbox};
use crate::ws::replays::Replays;

/// A pull under way.
pub(super) struct Waiting {
    pub(super) lag: Lag,
    pub(super) chat: usize,
    pub(super) newest: bool,
    pub(super) until: u64,
    pub(super) answer: oneshot::Receiver<Result<Pulled, Failure>>,
}

/// A connection that was shown READY.
pub(super) struct Socket {
    pub(super) outbox: Arc<Outbox>,
    pub(super) replays: Replays,
    /// The `last_id` of each chat in READY, until that is written.
    pub(super) ready: Option<[EntryId; CHATS]>,
    pub(super) waiting: Option<Waiting>,
    pub(super) resumed: bool,
}

#[derive(Default)]
pub(super) struct Device {
    pub(super) cursors: Cursors,
    /// Where each chat began.
    pub(super) start: [u64; CHATS],
    /// Sequences, as they came.
    pub(super) got: [Vec<u64>; CHATS],
    /// The edge that it speaks to.
    pub(super) edge: Option<usize>,
    /// The number of its connection, so that what was meant for an earlier one is not taken.
    pub(super) dialled: u64,
    pub(super) socket: Option<Socket>,
    /// Its writer is about to have a turn.
    pub(super) turn: bool,
}

impl Device {
    /// READY arrives.
    pub(super) fn ready(&mut self, last: [EntryId; CHATS]) {
        for (chat, last) in last.into_iter().enumerate() {
            if self.cursors.shown(id_of(chat).0, Some(last.0)) {
                self.start[chat] = last.sequence();
            }
        }
    }

    /// A frame arrives.
    pub(super) fn frame(&mut self, frame: &str) -> Result<(), String> {
        let number = |name: &str| {
            let (_, rest) = frame.split_once(name)?;
            rest.split_once('"')?.0.parse::<u64>().ok()
        };
        let chat = number(r#""conversation_id":""#).ok_or("no conversation")?;
        let id = EntryId(number(r#""id":""#).ok_or_else(|| frame.to_owned())?);
        self.cursors.entry(chat, id.0).map_err(|wrong| format!("{chat}: {id} {wrong}"))?;
        self.got[usize::try_from(chat).unwrap() - 100].push(id.sequence());
        Ok(())
    }

    /// A GAP arrives.
    pub(super) fn gap(&mut self, gap: &Gap) -> Result<(), String> {
        let Gap { conversation_id: chat, from, to } = *gap;
        let told = self.cursors.gap(chat.0, cursors::Gap { from: from.0, to: to.0 });
        told.map_err(|wrong| format!("GAP of {chat} from {from} to {to}: {wrong}"))
    }

    /// Loses what it knows of entries that it has not paged yet, which no device may.
    pub(super) fn forget_gaps(&mut self) {
        for chat in 0..CHATS {
            while self.cursors.next_gap(id_of(chat).0).is_some() {
                self.cursors.paged_to_the_end(id_of(chat).0);
            }
        }
    }

    /// Asks for the next page of what it owes itself, which is read to the end of the log.
    pub(super) fn page(&mut self, log: &Log, limit: usize) -> Result<(), String> {
        for chat in 0..CHATS {
            let id = id_of(chat).0;
            let Some(gap) = self.cursors.next_gap(id) else { continue };
            let (from, to) = (EntryId(gap.from).sequence(), EntryId(gap.to - 1).sequence());
            let page = log.valid(chat, from, to);
            for sequence in page.iter().take(limit) {
                let entry = EntryId::new(*sequence, STREAM).0;
                self.cursors.paged(id, entry).map_err(|wrong| format!("a page: {wrong}"))?;
                self.got[chat].push(*sequence);
            }
            if page.len() <= limit {
                self.cursors.paged_to_the_end(id);
            }
        }
        Ok(())
    }

    /// Everything from where it began to where it stands was had once, but for the gaps it knows of.
    pub(super) fn is_whole(&self, log: &Log) -> Result<(), String> {
        for chat in 0..CHATS {
            let id = id_of(chat).0;
            let mut cursors = self.cursors.clone();
            let mut owed = BTreeSet::new();
            while let Some(gap) = cursors.next_gap(id) {
                let (from, to) = (EntryId(gap.from).sequence(), EntryId(gap.to - 1).sequence());
                owed.extend(log.valid(chat, from, to));
                cursors.paged_to_the_end(id);
            }
            let Some(cursor) = cursors.cursor(id) else { continue };
            let wanted = log.valid(chat, self.start[chat], EntryId(cursor).sequence());
            let mut got = self.got[chat].clone();
            got.sort_unstable();
            let twice: Vec<_> = got.windows(2).filter(|two| two[0] == two[1]).collect();
            let got: BTreeSet<_> = got.iter().copied().collect();
            let lost: Vec<_> = wanted.difference(&got).filter(|s| !owed.contains(s)).collect();
            let odd: Vec<_> = got.difference(&wanted).collect();
            if !(lost.is_empty() && odd.is_empty() && twice.is_empty()) {
                let start = self.start[chat];
                return Err(format!(
                    "chat {chat} from {start}: lost {lost:?}, odd {odd:?}, twice {twice:?}"
                ));
            }
        }
        Ok(())
    }

    /// At the end: connected, resumed, nothing owed, and everything had.
    pub(super) fn is_at_rest(&self, log: &Log) -> Result<(), String> {
        self.is_whole(log)?;
        let resumed = self.socket.as_ref().is_some_and(|socket| socket.resumed);
        if !resumed {
            return Err("never resumed".to_owned());
        }
        if let Some(chat) = self.cursors.owing() {
            return Err(format!("a GAP of {chat} is left"));
        }
        for chat in 0..CHATS {
            let cursor = self.cursors.cursor(id_of(chat).0).unwrap_or(0);
            let late = log.valid(chat, EntryId(cursor).sequence(), log.end());
            if !late.is_empty() {
                return Err(format!("chat {chat}: {late:?} never came"));
            }
        }
        Ok(())
    }
}
