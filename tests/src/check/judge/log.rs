//! The logs as JetStream holds them, each entry with the verdict on it.
//!
//! The rule of what counts, from the protocol's words: who speaks must be a member at that place; a
//! channel's creator comes first and alone adds, renames and deletes, and removes others; anybody but the
//! creator may leave; a change counts if its revision is above that of the change before; edits are the
//! author's, deletions the author's or the creator's, of a message that counts and is not deleted;
//! after CHANNEL_DELETE nothing counts. Two people are for ever in their DM, which has no changes.
//!
//! Invariant: entries are judged in the order of the log. What has been trimmed is taken from the
//! pages of `/entries`, where only what counts is shown.

use std::collections::BTreeMap;

use crate::check::record::{Entry, Kind, Record, Seen, What};

/// An entry and what is thought of it.
#[derive(Clone, Copy, Debug)]
pub struct Held<'a> {
    /// The entry.
    pub entry: &'a Entry,
    /// Whether it counts.
    pub valid: bool,
}

/// A time of membership: from the entry that began it to the one that ended it, both inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// MEMBER_ADD; 0 in a DM.
    pub from: u64,
    /// Its time, in microseconds since 1970.
    pub at: u64,
    /// MEMBER_REMOVE or CHANNEL_DELETE.
    pub to: Option<u64>,
}

/// The log of one conversation.
#[derive(Clone, Debug, Default)]
pub struct Log<'a> {
    /// By id.
    pub entries: BTreeMap<u64, Held<'a>>,
    /// Everybody's times of membership, ascending.
    pub spans: BTreeMap<u64, Vec<Span>>,
    /// The creator; none in a DM.
    pub owner: Option<u64>,
    /// The revision of the last change.
    pub revision: u64,
    /// The name it was last given.
    pub name: Option<&'a str>,
    /// The CHANNEL_DELETE.
    pub deleted: Option<u64>,
    /// Whether it is between two people.
    pub dm: bool,
    /// Messages that count: author, and the deletion.
    messages: BTreeMap<u64, (u64, Option<&'a Entry>)>,
}

impl<'a> Log<'a> {
    /// The entries that count.
    pub fn valid(&self) -> impl DoubleEndedIterator<Item = &'a Entry> {
        self.entries.values().filter(|held| held.valid).map(|held| held.entry)
    }

    /// The newest entry that counts.
    pub fn last(&self) -> Option<u64> {
        self.valid().next_back().map(|entry| entry.id)
    }

    /// The deletion of a message.
    pub fn deletion(&self, message: u64) -> Option<&'a Entry> {
        self.messages.get(&message).and_then(|(_, deletion)| *deletion)
    }

    /// Whether somebody is a member at the end.
    pub fn has(&self, user: u64) -> bool {
        self.spans_of(user).last().is_some_and(|span| span.to.is_none())
    }

    /// The members at the end, ascending.
    pub fn members(&self) -> Vec<u64> {
        self.spans.keys().copied().filter(|&user| self.has(user)).collect()
    }

    /// When somebody was a member.
    pub fn spans_of(&self, user: u64) -> &[Span] {
        self.spans.get(&user).map_or(&[], Vec::as_slice)
    }

    /// Whether somebody may have received an entry at that time of day: they were a member at its
    /// place, or became one later in the log, and had by then. Log times are rounded to 1 ms.
    pub fn may_see(&self, user: u64, entry: u64, wall: u64) -> bool {
        self.spans_of(user).iter().any(|span| {
            let there = span.from <= entry || span.at <= wall.saturating_add(1_000);
            there && span.to.is_none_or(|to| entry <= to)
        })
    }

    /// The final state of the messages that are not deleted: author, content, whether edited.
    pub fn state(&self) -> BTreeMap<u64, (u64, &'a str, bool)> {
        let mut state = BTreeMap::new();
        for entry in self.valid() {
            let content = entry.content.as_deref().unwrap_or_default();
            match (entry.kind, entry.message) {
                (Kind::MessageCreate, _) => {
                    state.insert(entry.id, (entry.author, content, false));
                }
                (Kind::MessageUpdate, Some(message)) => {
                    if let Some((_, text, edited)) = state.get_mut(&message) {
                        (*text, *edited) = (content, true);
                    }
                }
                (Kind::MessageDelete, Some(message)) => _ = state.remove(&message),
                _ => {}
            }
        }
        state
    }

    fn judges(&self, entry: &Entry) -> bool {
        if self.deleted.is_some() {
            return false;
        }
        let message = entry.message.and_then(|message| self.messages.get(&message));
        let message = message.filter(|(_, deletion)| deletion.is_none()).map(|(author, _)| *author);
        let newer = !self.dm && entry.revision.is_some_and(|revision| revision > self.revision);
        let by_owner = self.owner == Some(entry.author);
        match (entry.kind, entry.user) {
            (Kind::MessageCreate, _) => self.has(entry.author),
            (Kind::MessageUpdate, _) => self.has(entry.author) && message == Some(entry.author),
            (Kind::MessageDelete, _) => {
                let may = message.is_some_and(|author| author == entry.author || by_owner);
                self.has(entry.author) && may
            }
            (Kind::MemberAdd, Some(user)) if self.owner.is_none() => newer && user == entry.author,
            (Kind::MemberAdd, Some(user)) => newer && by_owner && !self.has(user),
            (Kind::MemberRemove, Some(user)) => {
                let may = self.owner != Some(user) && (by_owner || user == entry.author);
                newer && may && self.has(user)
            }
            (Kind::MemberAdd | Kind::MemberRemove, None) => false,
            (Kind::ChannelUpdate | Kind::ChannelDelete, _) => newer && by_owner,
        }
    }

    fn take(&mut self, entry: &'a Entry, shown: bool) {
        // What a page showed counts: it was judged with what came before, which may be trimmed.
        let valid = shown || self.judges(entry);
        self.entries.insert(entry.id, Held { entry, valid });
        if !valid {
            return;
        }
        self.revision = entry.revision.unwrap_or(0).max(self.revision);
        let end = |spans: &mut Vec<Span>| {
            if let Some(span) = spans.last_mut() {
                span.to.get_or_insert(entry.id);
            }
        };
        match (entry.kind, entry.user, entry.message) {
            (Kind::MessageCreate, ..) => {
                self.messages.insert(entry.id, (entry.author, None));
            }
            (Kind::MessageDelete, _, Some(message)) => {
                if let Some((_, deletion)) = self.messages.get_mut(&message) {
                    *deletion = Some(entry);
                }
            }
            (Kind::MemberAdd, Some(user), _) => {
                self.owner.get_or_insert(user);
                let span = Span { from: entry.id, at: entry.at, to: None };
                self.spans.entry(user).or_default().push(span);
            }
            (Kind::MemberRemove, Some(user), _) => {
                self.spans.get_mut(&user).into_iter().for_each(end);
            }
            (Kind::ChannelUpdate, ..) => self.name = entry.content.as_deref(),
            (Kind::ChannelDelete, ..) => {
                self.deleted = Some(entry.id);
                self.spans.values_mut().for_each(end);
            }
            _ => {}
        }
    }
}

/// The logs of all conversations.
pub(super) fn gather<'a>(
    record: &'a Record,
    dms: &BTreeMap<u64, [u64; 2]>,
) -> BTreeMap<u64, Log<'a>> {
    // By conversation and id: the entry, and whether it is known from a page alone.
    let mut all: BTreeMap<(u64, u64), (&Entry, bool)> = BTreeMap::new();
    let mut first: BTreeMap<u64, u64> = BTreeMap::new();
    for note in &record.notes {
        match &note.what {
            What::Seen(Seen::Stored(entry)) => {
                all.insert((entry.conversation, entry.id), (entry, false));
            }
            What::Seen(Seen::Stream { stream, first: sequence, .. }) => {
                first.insert(*stream, *sequence);
            }
            _ => {}
        }
    }
    for note in &record.notes {
        let What::Seen(Seen::Entries { pages: Ok(entries), .. }) = &note.what else { continue };
        let trimmed = |id: u64| first.get(&(id % 1024)).is_some_and(|&first| id / 1024 < first);
        for entry in entries.iter().filter(|entry| trimmed(entry.id)) {
            all.entry((entry.conversation, entry.id)).or_insert((entry, true));
        }
    }
    let mut logs: BTreeMap<u64, Log<'a>> = BTreeMap::new();
    for (&dm, people) in dms {
        let spans = people.map(|user| (user, vec![Span { from: 0, at: 0, to: None }]));
        logs.insert(dm, Log { dm: true, spans: spans.into(), ..Log::default() });
    }
    for ((conversation, _), (entry, shown)) in all {
        logs.entry(conversation).or_default().take(entry, shown);
    }
    logs
}
