//! Who gets a copy of an entry.
//!
//! Invariant: a bot gets what is valid from its MEMBER_ADD to its MEMBER_REMOVE, both included; what
//! it is not given because it is too far behind is remembered until it was told.

use std::collections::{BTreeMap, BTreeSet};

use bus_schema::entry::{Body, Entry};
use bus_schema::events::Gap;
use bus_schema::frames::event;
use bus_schema::ids::{ConversationId, EntryId, UserId};
use bus_schema::subjects::LogSubject;
use bytes::Bytes;

use super::backlog::Room;
use super::position::{Copy, LeftOut};
use super::work::Run;
use crate::roles::RoleError;

/// Conversations, of all bots that are left out, for which it is remembered where that began: they are
/// part of the position, which is one message.
const LEFT_OUT: usize = 5_000;
/// Conversations whose bots are remembered; beyond, they are found again.
const PLACES: usize = 200_000;

/// An event as bots get it: as on the websocket, without the frame's number.
fn said(name: &str, data: &str) -> Bytes {
    Bytes::from(format!(r#"{{"t":"{name}","d":{data}}}"#))
}

fn gap(conversation_id: ConversationId, from: EntryId, to: EntryId) -> Bytes {
    let gap = Gap { conversation_id, from, to };
    // Serializing ids cannot fail.
    said(event::GAP, &serde_json::to_string(&gap).unwrap_or_default())
}

impl Run<'_> {
    /// Adds the copies of one valid entry.
    pub(super) async fn copy(
        &mut self,
        place: LogSubject,
        entry: &Entry,
        copies: &mut Vec<Copy>,
    ) -> Result<(), RoleError> {
        let recipients = self.recipients(place, entry).await?;
        let (sequence, conversation) = (entry.id.sequence(), entry.body.conversation());
        if recipients.is_empty() || sequence <= self.now.sequence {
            return Ok(());
        }
        let event = said(entry.body.kind().as_str(), &entry.event_json());
        for bot in recipients {
            if self.now.covers(sequence, bot) {
                continue;
            }
            if self.now.behind.contains_key(&bot) && !self.catch_up(bot, sequence, copies).await? {
                self.leave_out(bot, conversation, entry.id);
                continue;
            }
            match self.backlogs.take(bot, false).await? {
                Room::Nobody => continue,
                Room::Full => {
                    tracing::info!(bot.id = %bot, "a bot is too far behind and is left out");
                    self.now.behind.insert(bot, BTreeMap::new());
                    self.leave_out(bot, conversation, entry.id);
                    continue;
                }
                Room::Free => {}
            }
            let came = matches!(&entry.body, Body::MemberAdd(b) if b.user_id == bot);
            if let Some((from, to)) = self.lost
                && self.told.insert((bot, conversation))
                && !came
            {
                copies.push(Copy {
                    sequence,
                    bot,
                    event: gap(conversation, from, to),
                    whole: false,
                });
            }
            copies.push(Copy { sequence, bot, event: event.clone(), whole: true });
        }
        Ok(())
    }

    /// The bots that get an entry, and who is in the conversation after it.
    async fn recipients(
        &mut self,
        place: LogSubject,
        entry: &Entry,
    ) -> Result<BTreeSet<UserId>, RoleError> {
        let failed = |failure: bus_schema::error::Failure| RoleError::new(failure);
        if !self.bots.contains_key(&place) {
            let members = self.judge.members(place).collect();
            let found = self.who.bots(members).await.map_err(failed)?;
            if self.bots.len() >= PLACES {
                self.bots.clear();
            }
            self.bots.insert(place, found.into_iter().collect());
        }
        let bots = self.bots.entry(place).or_default();
        let mut recipients = bots.clone();
        match &entry.body {
            Body::MemberAdd(body) => {
                let found = self.who.bots(vec![body.user_id]).await.map_err(failed)?;
                bots.extend(&found);
                recipients.extend(found);
            }
            Body::MemberRemove(body) => {
                bots.remove(&body.user_id);
                recipients.extend(self.who.bots(vec![body.user_id]).await.map_err(failed)?);
            }
            _ => {}
        }
        Ok(recipients)
    }

    fn leave_out(&mut self, bot: UserId, conversation: ConversationId, id: EntryId) {
        let remembered: usize = self.now.behind.values().map(BTreeMap::len).sum();
        let left_out = self.now.behind.entry(bot).or_default();
        if let Some(known) = left_out.get_mut(&conversation) {
            known.last = known.last.max(id);
        } else if remembered < LEFT_OUT {
            left_out.insert(conversation, LeftOut { first: id, last: id });
        } else {
            tracing::error!(bot.id = %bot, conversation.id = %conversation, "a bot misses entries");
        }
    }

    /// Tells a bot that was left out what it was not given, if it has caught up. Whether it has.
    pub(super) async fn catch_up(
        &mut self,
        bot: UserId,
        sequence: u64,
        copies: &mut Vec<Copy>,
    ) -> Result<bool, RoleError> {
        if self.backlogs.take(bot, true).await? == Room::Full {
            return Ok(false);
        }
        for (conversation, LeftOut { first, last }) in
            self.now.behind.remove(&bot).unwrap_or_default()
        {
            let (from, to) = (EntryId(first.0.saturating_sub(1)), EntryId(last.0 + 1));
            copies.push(Copy { sequence, bot, event: gap(conversation, from, to), whole: false });
        }
        Ok(true)
    }
}
