//! Answering those who wait: for an entry to be passed, or for entries to be replayed.

use super::fetching::FETCH;
use super::{Attached, Conversation, Passed, Pull, Pulled, Then};
use crate::follow::item::removal;

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
            self.answer(pull, position);
        }
    }

    pub(super) fn answer(&mut self, pull: Pull, position: u64) {
        let user = pull.outbox.user;
        let gone = self.membership.as_ref().is_some_and(|m| !m.contains(user));
        if gone || self.ended {
            let gone = Pulled { items: Vec::new(), position, then: Then::Gone };
            let _ = pull.reply.send(Ok(gone));
            return;
        }
        let after = pull.lag.after;
        let Some(items) = self.ring.after(after, pull.limit) else {
            self.answer_from_history(pull);
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

    /// The membership is as of this task's position, which is not below where the pull begins. History
    /// may be ahead of it: a removal that it has not come to yet is the last thing given, and the
    /// next pull waits until it is judged here. Where no membership is known yet, as when the store is
    /// away, the removal itself is the last word.
    pub(super) fn answer_from_history(&self, pull: Pull) {
        let user = pull.outbox.user;
        let known = self.membership.as_ref().map(|membership| membership.revision);
        let (edge, place) = (self.edge.clone(), self.place);
        let min = self.follower.position().unwrap_or(0);
        tokio::spawn(async move {
            let limit = u32::try_from(pull.limit).unwrap_or(FETCH).min(FETCH);
            let fetched = edge.fetches.range(&edge, place, pull.lag.after, limit, min).await;
            let _ = pull.reply.send(fetched.map(|range| {
                let (mut items, mut position) = (range.items.clone(), range.through);
                let mut then = Then::More;
                if let Some((index, removed)) = removal(&items, user)
                    && known.is_none_or(|known| known < removed)
                {
                    items.truncate(index + 1);
                    position = items.last().map_or(position, |item| item.sequence());
                    then = if known.is_some() { Then::More } else { Then::Gone };
                }
                Pulled { items, position, then }
            }));
        });
    }
}
