//! Who may, and what is void: the one judge that edge, persister and history all call.
//!
//! Invariant: the verdict on an entry depends on the entries before it in its conversation and on
//! nothing else, so every reader, at any time, on any machine, judges alike. Pure; reads no clock.
//!
//! Leaves out order: whoever calls [`Membership::apply`] must do so for every entry of the
//! conversation, in log order, without a hole.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::entry::{Body, Entry, EntryKind};
use crate::ids::{EntryId, UserId};
use crate::sabotage::{Safeguard, off};
use crate::subjects::LogSubject;

/// A conversation's membership at one place in its log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Membership {
    /// The creator; null for a DM and for a channel without entries.
    pub owner: Option<UserId>,
    /// Each member and the entry that made them one ([`EntryId::ZERO`] in a DM).
    pub members: BTreeMap<UserId, EntryId>,
    /// The revision of the channel's last change.
    pub revision: u64,
    /// A deleted channel accepts nothing.
    pub deleted: bool,
    /// A DM's two people are fixed.
    pub dm: bool,
}

/// A valid membership event, as the persister keeps it: replaying a conversation's events in order
/// up to a sequence gives its membership there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembershipEvent {
    /// Its entry.
    pub id: EntryId,
    /// MEMBER_ADD, MEMBER_REMOVE, CHANNEL_UPDATE or CHANNEL_DELETE.
    pub kind: EntryKind,
    /// Who was added or removed; the author for the other kinds.
    pub user: UserId,
    /// The channel's revision.
    pub revision: u64,
}

impl MembershipEvent {
    /// The event in an entry, if it is one.
    pub fn of(entry: &Entry) -> Option<Self> {
        let user = match &entry.body {
            Body::MemberAdd(b) | Body::MemberRemove(b) => b.user_id,
            body => body.author(),
        };
        let revision = entry.body.revision()?;
        Some(Self { id: entry.id, kind: entry.body.kind(), user, revision })
    }
}

/// What is known of the message that an edit or a deletion is about, just before that entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The caller does not know; fit for every entry that has no target.
    Unknown,
    /// No valid message of this conversation has that id.
    Missing,
    /// A valid message.
    Found {
        /// Who wrote it.
        author: UserId,
        /// Whether a valid entry deleted it before.
        deleted: bool,
    },
}

/// The judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It counts.
    Valid,
    /// It does not: never shown, counted or named; it moves positions only.
    Void,
    /// The caller must first find out about the target.
    NeedsTarget,
}

impl Membership {
    /// Before the first entry of a place in the log.
    pub fn at_start(place: LogSubject) -> Self {
        let mut members = BTreeMap::new();
        if let LogSubject::Dm(dm) = place {
            members.extend(dm.people().map(|user| (user, EntryId::ZERO)));
        }
        Self {
            owner: None,
            members,
            revision: 0,
            deleted: false,
            dm: matches!(place, LogSubject::Dm(_)),
        }
    }

    /// Whether `user` is a member of what still exists.
    pub fn contains(&self, user: UserId) -> bool {
        !self.deleted && self.members.contains_key(&user)
    }

    /// Judges the entry that comes next.
    pub fn judge(&self, body: &Body, target: Target) -> Verdict {
        let ok = match body {
            _ if self.deleted => false,
            Body::MessageCreate(b) => self.contains(b.author_id) || off(Safeguard::Void),
            Body::MessageUpdate(b) => {
                return self.judge_target(b.author_id, target, |author| author == b.author_id);
            }
            Body::MessageDelete(b) => {
                return self.judge_target(b.author_id, target, |author| {
                    author == b.author_id || self.owner == Some(b.author_id)
                });
            }
            _ if self.dm || body.revision().is_none_or(|r| r <= self.revision) => false,
            Body::MemberAdd(b) => match self.owner {
                None => b.user_id == b.author_id,
                Some(owner) => owner == b.author_id && !self.members.contains_key(&b.user_id),
            },
            Body::MemberRemove(b) => {
                self.owner.is_some_and(|owner| {
                    owner != b.user_id && (owner == b.author_id || b.user_id == b.author_id)
                }) && self.members.contains_key(&b.user_id)
            }
            Body::ChannelUpdate(_) | Body::ChannelDelete(_) => self.owner == Some(body.author()),
        };
        if ok { Verdict::Valid } else { Verdict::Void }
    }

    fn judge_target(&self, by: UserId, target: Target, may: impl Fn(UserId) -> bool) -> Verdict {
        match target {
            _ if !self.contains(by) => Verdict::Void,
            Target::Unknown => Verdict::NeedsTarget,
            Target::Found { author, deleted: false } if may(author) => Verdict::Valid,
            Target::Found { .. } | Target::Missing => Verdict::Void,
        }
    }

    /// Moves on past a valid entry.
    pub fn apply(&mut self, entry: &Entry) {
        if let Some(event) = MembershipEvent::of(entry) {
            self.apply_event(event);
        }
    }

    /// Moves on past a valid membership event. One at or below the present revision changes
    /// nothing, so events may be given twice.
    pub fn apply_event(&mut self, event: MembershipEvent) {
        if event.revision <= self.revision {
            return;
        }
        self.revision = event.revision;
        match event.kind {
            EntryKind::MemberAdd => {
                self.owner.get_or_insert(event.user);
                self.members.insert(event.user, event.id);
            }
            EntryKind::MemberRemove => {
                self.members.remove(&event.user);
            }
            EntryKind::ChannelDelete => self.deleted = true,
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
