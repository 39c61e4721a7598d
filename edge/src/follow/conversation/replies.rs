//! Answering those who wait: for an entry to be passed, or for entries to be replayed.

use super::{Attached, Conversation, Passed, Pull, Pulled, Then};

impl Conversation {
    pub(super) fn answer_awaiting(&mut self) {
        let Some(position) = self.follower.position() else { return };
        let mut index = 0;
        while let Some((sequence, _, reply)) = self.awaiting.get(index) {
            if *sequence > position && !reply.is_closed() {
                index += 1;
                continue;
            }
            let (sequence, _, reply) = self.awaiting.swap_remove(index);
            let _ = reply.send(match self.ring.get(sequence) {
                Some(item) => Passed::Valid(item.clone()),
                None if self.void.contains(&sequence) => Passed::Void,
                None if self.ring.covers(sequence.saturating_sub(1)) => Passed::Void,
                None => Passed::Unknown,
            });
        }
    }

    pub(super) fn answer_parked(&mut self) {
        let Some(position) = self.follower.position() else { return };
        let mut index = 0;
        while let Some(pull) = self.parked.get(index) {
            if pull.lag.need > position && !pull.reply.is_closed() {
                index += 1;
                continue;
            }
            let pull = self.parked.swap_remove(index);
            self.answer(pull, position, false);
        }
    }

    /// Answers a pull; `exactly` as in [`Self::catch_up`].
    pub(super) fn answer(&mut self, pull: Pull, position: u64, exactly: bool) {
        if self.is_gone(&pull) {
            let gone = Pulled { items: Vec::new(), position, then: Then::Gone };
            let _ = pull.reply.send(Ok(gone));
            return;
        }
        if pull.newest {
            match self.ring.newest(pull.limit) {
                Some(items) => {
                    let _ = pull.reply.send(Ok(Pulled { items, position, then: Then::More }));
                }
                None => self.catch_up(pull, position, exactly),
            }
            return;
        }
        let after = pull.lag.after;
        let Some(items) = self.ring.after(after, pull.limit) else {
            self.catch_up(pull, position, exactly);
            return;
        };
        let last = items.last().map_or(after, |item| item.sequence());
        let end = self.ring.after(last, 1).is_some_and(|rest| rest.is_empty());
        let then = if end { Then::Live } else { Then::More };
        let reached = if end { position.max(after) } else { last };
        let pulled = Pulled { items, position: reached, then };
        if pull.reply.send(Ok(pulled)).is_ok() && end {
            let attached = Attached { outbox: pull.outbox.clone(), last: reached };
            self.sockets.insert(pull.outbox.id, attached);
        }
    }
}
