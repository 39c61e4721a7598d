//! Entries on their way through a conversation: judged, kept in the ring, queued for sockets.

use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use bus_schema::entry::{Body, Entry};
use bus_schema::events::Ephemeral;
use bus_schema::frames::{self, event};
use bus_schema::ids::UserId;
use bus_schema::verdict::{Membership, Target, Verdict};

use super::{Attached, Conversation, Found, Wish, remove_frame};
use crate::follow::follower::{Fetch, Next};
use crate::follow::item::Item;
use crate::follow::ring::Ring;
use crate::hub::events::{Live, LiveEvent, profile_hash};
use crate::ws::outbox::{Lag, Outbox};

/// Void sequences remembered for those who await them.
const VOIDS: usize = 64;

impl Conversation {
    pub(super) fn live(&mut self, live: LiveEvent) {
        match live.event {
            Live::Entry { sequence, predecessor, entry } => match entry {
                Some(entry) => self.follower.live(sequence, predecessor, *entry),
                // Undecodable here: let history say that it is nothing.
                None => self.follower.hear(sequence),
            },
            Live::Ephemeral(Ephemeral::Nudge { sequence }) => self.follower.hear(sequence),
            Live::Ephemeral(Ephemeral::Typing(typing)) => {
                let frame: Utf8Bytes = frames::dispatch(event::TYPING, &typing).into();
                self.each_socket(|outbox| {
                    outbox.push(frame.clone());
                });
            }
            Live::Ephemeral(Ephemeral::UserUpdate(user)) => {
                let hash = profile_hash(&user);
                let frame: Utf8Bytes = frames::dispatch(event::USER_UPDATE, &user).into();
                self.each_socket(|outbox| outbox.push_profile(hash, frame.clone()));
            }
            Live::Ephemeral(Ephemeral::Read(_)) => {}
        }
    }

    pub(super) fn each_socket(&self, act: impl Fn(&Outbox)) {
        self.sockets.values().for_each(|attached| act(&attached.outbox));
    }

    pub(super) fn found(&mut self, found: Found) {
        match found {
            Found::Start(range) => {
                self.starting = false;
                if self.follower.position().is_some() {
                    return;
                }
                // The newest entries fill the ring, which begins before the first of them.
                let from = match range.items.first() {
                    Some(first) if range.more => first.sequence() - 1,
                    _ => 0,
                };
                self.start(range.through, range.items.is_empty() && !range.more);
                self.ring = Ring::new(from, self.sizes.ring_entries, self.sizes.ring_bytes);
                range.items.into_iter().for_each(|item| self.ring.push(item));
                self.adopt(range.membership);
            }
            Found::Raw { after, raw } => {
                // Each entry's predecessor is the one before it, for the read left nothing out.
                let mut before = after;
                let mut whole = true;
                for entry in raw.entries {
                    let sequence = entry.id.sequence();
                    // Without a membership nothing can be judged here: history must answer first.
                    whole = whole && self.membership.is_some();
                    if whole {
                        self.follower.live(sequence, before, entry);
                    }
                    before = sequence;
                }
                self.follower.hear(before);
                let empty = before == after;
                self.follower.fetched(if empty { raw.through } else { after }, !empty);
            }
            Found::Landed(landed) => self.landed(landed),
            Found::Range(range) => {
                let any = !range.items.is_empty();
                for item in range.items {
                    if self.follower.position().is_some_and(|p| item.sequence() > p) {
                        self.pass(&item);
                    }
                }
                self.adopt(range.membership);
                self.follower.fetched(range.through, any);
            }
        }
    }

    /// Takes over a membership that is newer than ours.
    pub(super) fn adopt(&mut self, membership: Option<Membership>) {
        if let Some(theirs) = membership
            && self.membership.as_ref().is_none_or(|ours| ours.revision < theirs.revision)
        {
            let stranger = |attached: &Attached| !theirs.contains(attached.outbox.user);
            let strangers = self.sockets.values().filter(|a| stranger(a));
            let strangers: Vec<_> = strangers.map(|a| a.outbox.user).collect();
            self.membership = Some(theirs);
            // Attached from a list that was older than the log.
            for user in strangers {
                self.dismiss(Some(user));
            }
        }
    }

    pub(super) fn step(&mut self) {
        loop {
            match self.follower.next() {
                Next::Idle => break,
                Next::Fetch(Fetch { after, min }) => {
                    let membership = self.membership.is_none();
                    self.wishes.push(Wish::Fetch { after, min, membership });
                }
                Next::Entry(sequence, entry) => match self.judge(&entry) {
                    Verdict::Valid => {
                        self.pass(&Item::new(entry));
                        self.follower.passed(sequence);
                    }
                    Verdict::Void => {
                        self.void.push_back(sequence);
                        if self.void.len() > VOIDS {
                            self.void.pop_front();
                        }
                        self.follower.passed(sequence);
                    }
                    Verdict::NeedsTarget => self.follower.refused(sequence),
                },
            }
        }
        self.stand();
        self.answer_awaiting();
        self.answer_parked();
    }

    pub(super) fn judge(&self, entry: &Entry) -> Verdict {
        let Some(membership) = &self.membership else { return Verdict::NeedsTarget };
        let target = entry.body.target().map_or(Target::Unknown, |id| {
            if id.stream() == entry.id.stream() { self.ring.target(id) } else { Target::Missing }
        });
        membership.judge(&entry.body, target)
    }

    /// Shows a valid entry to everybody attached.
    pub(super) fn pass(&mut self, item: &Arc<Item>) {
        let sequence = item.sequence();
        if let Some(membership) = &mut self.membership {
            membership.apply(&item.entry);
        }
        let frame = if self.sockets.is_empty() { None } else { Some(item.frame()) };
        self.ring.push(item.clone());
        if let Body::MessageDelete(gone) = &item.entry.body {
            self.pages.deleted(gone.message_id.sequence());
        }
        if let Some(frame) = frame {
            let place = self.place;
            self.sockets.retain(|_, attached| {
                if attached.last >= sequence {
                    return true;
                }
                let queued = attached.outbox.push(frame.clone());
                if queued {
                    attached.last = sequence;
                } else {
                    metrics::counter!("natter_sockets_lagged_total").increment(1);
                    let after = attached.last;
                    attached.outbox.lag(Lag { place, after, need: sequence, resume: false });
                }
                queued
            });
        }
        match &item.entry.body {
            Body::MemberRemove(change) => self.dismiss(Some(change.user_id)),
            Body::ChannelDelete(_) => {
                self.ended = true;
                self.dismiss(None);
            }
            _ => {}
        }
    }

    /// Ends the conversation for a user, or for all.
    pub(super) fn dismiss(&mut self, only: Option<UserId>) {
        let frame = remove_frame(self.id);
        let wishes = &mut self.wishes;
        self.sockets.retain(|_, attached| {
            let theirs = only.is_none_or(|user| user == attached.outbox.user);
            if theirs {
                attached.outbox.push_sure(frame.clone());
                let Outbox { user, id: socket, .. } = *attached.outbox;
                wishes.push(Wish::Forget { user, socket });
            }
            !theirs
        });
    }
}
