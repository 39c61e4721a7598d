//! What has been acknowledged, to be compared with everything else at the end.
//!
//! Invariant: it knows only answers, never the platform's state: what is here was told to somebody.
//! What nobody was told is kept as possible, beside what is sure.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Instant;

use super::journal::locked;
use super::settled::{Fate, Settled};

/// Descriptions kept of what was seen to be wrong.
const KEPT: usize = 40;
/// Own messages of late that are edited and deleted.
const RECENT: usize = 20;

/// A message.
#[derive(Clone, Debug)]
pub struct Message {
    /// Who.
    pub author: u64,
    /// Where.
    pub conversation: u64,
    /// What was said first.
    pub said: String,
    /// What it says.
    pub content: Settled<String>,
    /// Whether it is deleted.
    pub deleted: Settled<bool>,
    /// Edits acknowledged.
    pub edits: u64,
    /// Edits whose outcome nobody knows.
    pub perhaps_edits: u64,
    /// When it was first sent.
    pub first: Instant,
}

/// A channel.
#[derive(Clone, Debug)]
pub struct Channel {
    /// Its creator, who alone changes it.
    pub owner: u64,
    /// Its name.
    pub name: Settled<String>,
    /// Who is in it, of all who ever were or might be.
    pub members: BTreeMap<u64, Settled<bool>>,
}

/// A read marker.
#[derive(Clone, Copy, Debug, Default)]
pub struct Marker {
    /// As far as was acknowledged.
    pub acked: u64,
    /// As far as was tried.
    pub tried: u64,
}

/// A display name.
#[derive(Clone, Debug)]
pub struct Profile {
    /// The name.
    pub name: Settled<String>,
    /// When it last changed, or may have.
    pub at: Instant,
}

/// Everything acknowledged in one run.
#[derive(Debug, Default)]
pub struct Truth {
    messages: Mutex<BTreeMap<u64, Message>>,
    /// Messages not acknowledged: their nonces.
    unsettled: Mutex<BTreeMap<String, u64>>,
    channels: Mutex<BTreeMap<u64, Channel>>,
    /// Channels asked for and not acknowledged: whose.
    unmade: Mutex<BTreeMap<String, u64>>,
    markers: Mutex<BTreeMap<(u64, u64), Marker>>,
    profiles: Mutex<BTreeMap<u64, Profile>>,
    wrongs: Mutex<(u64, Vec<String>)>,
}

impl Truth {
    /// A message will be sent under this nonce.
    pub fn sending(&self, nonce: &str, conversation: u64) {
        locked(&self.unsettled).insert(nonce.to_owned(), conversation);
    }

    /// It was acknowledged.
    pub fn said(&self, nonce: &str, id: u64, message: Message) {
        locked(&self.unsettled).remove(nonce);
        if locked(&self.messages).insert(id, message).is_some() {
            self.wrong(format!("two messages were acknowledged as {id}"));
        }
    }

    /// Nonces of messages that were not acknowledged, and where they were sent.
    pub fn unsettled(&self) -> BTreeMap<String, u64> {
        locked(&self.unsettled).clone()
    }

    /// All messages.
    pub fn messages(&self) -> BTreeMap<u64, Message> {
        locked(&self.messages).clone()
    }

    /// Own messages of late that are there for sure.
    pub fn recent_of(&self, author: u64) -> Vec<(u64, u64)> {
        let messages = locked(&self.messages);
        let own = messages.iter().rev().filter(|(_, message)| {
            let there = message.deleted.is_settled() && !message.deleted.sure();
            message.author == author && there
        });
        own.take(RECENT).map(|(&id, message)| (id, message.conversation)).collect()
    }

    /// The newest message known in a conversation.
    pub fn newest_in(&self, conversation: u64) -> Option<u64> {
        let messages = locked(&self.messages);
        let found = messages.iter().rev().find(|(_, message)| message.conversation == conversation);
        found.map(|(&id, _)| id)
    }

    /// Works on a message.
    pub fn message(&self, id: u64, work: impl FnOnce(&mut Message)) {
        if let Some(message) = locked(&self.messages).get_mut(&id) {
            work(message);
        }
    }

    /// A channel is asked for under this nonce.
    pub fn making(&self, nonce: &str, owner: u64) {
        locked(&self.unmade).insert(nonce.to_owned(), owner);
    }

    /// It was made.
    pub fn made(&self, nonce: &str, id: u64, channel: Channel) {
        locked(&self.unmade).remove(nonce);
        locked(&self.channels).insert(id, channel);
    }

    /// How many channels somebody asked for and was not told of.
    pub fn unmade_by(&self, owner: u64) -> usize {
        locked(&self.unmade).values().filter(|&&other| other == owner).count()
    }

    /// All channels.
    pub fn channels(&self) -> BTreeMap<u64, Channel> {
        locked(&self.channels).clone()
    }

    /// Works on a channel.
    pub fn channel<T>(&self, id: u64, work: impl FnOnce(&mut Channel) -> T) -> Option<T> {
        locked(&self.channels).get_mut(&id).map(work)
    }

    /// Works on a marker.
    pub fn marker(&self, user: u64, conversation: u64, work: impl FnOnce(&mut Marker)) {
        work(locked(&self.markers).entry((user, conversation)).or_default());
    }

    /// All markers, by user and conversation.
    pub fn markers(&self) -> BTreeMap<(u64, u64), Marker> {
        locked(&self.markers).clone()
    }

    /// Somebody's display name is known.
    pub fn named(&self, user: u64, name: &str) {
        let name = Settled::new(name.to_owned());
        locked(&self.profiles).insert(user, Profile { name, at: Instant::now() });
    }

    /// Somebody changes their display name.
    pub fn renaming(&self, user: u64, name: &str) {
        if let Some(profile) = locked(&self.profiles).get_mut(&user) {
            profile.name.begin(name.to_owned());
            profile.at = Instant::now();
        }
    }

    /// What became of that.
    pub fn renamed(&self, user: u64, name: &str, fate: Fate) {
        if let Some(profile) = locked(&self.profiles).get_mut(&user) {
            profile.name.settle(&name.to_owned(), fate);
            profile.at = Instant::now();
        }
    }

    /// Everyone's display names.
    pub fn profiles(&self) -> BTreeMap<u64, Profile> {
        locked(&self.profiles).clone()
    }

    /// Something was seen that may not be.
    pub fn wrong(&self, what: String) {
        let mut wrongs = locked(&self.wrongs);
        wrongs.0 += 1;
        if wrongs.1.len() < KEPT {
            wrongs.1.push(what);
        }
    }

    /// How much was seen, and what, as far as it was kept.
    pub fn wrongs(&self) -> (u64, Vec<String>) {
        locked(&self.wrongs).clone()
    }
}
