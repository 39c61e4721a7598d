//! What `benches` measure: the operations of stores, by plain numbers.
//!
//! Invariant: nothing here does more than the operation it is named after. No part of the platform
//! uses it.

use bus_schema::ids::{ConversationId, EntryId, UserId};
use bus_schema::text::ChannelName;
use bus_schema::timestamp::Timestamp;

use crate::store::channels::{Ack, Change, ChannelStore as _, Commit, Committed};
use crate::store::cluster::channels::Channels;
use crate::store::cluster::mongodb::{Mongo, MongoSettings};
use crate::store::{StoreError, StoreErrorKind};

/// Channels in MongoDB.
#[derive(Debug)]
pub struct ChannelBench(Channels);

/// What to change.
#[derive(Debug, Clone, Copy)]
pub enum Step {
    /// Adds this user.
    Add(u64),
    /// Removes this user.
    Remove(u64),
    /// Gives it a name with this number.
    Rename(u64),
}

impl ChannelBench {
    /// A prepared database.
    pub async fn open(settings: &MongoSettings) -> Result<Self, StoreError> {
        let mongo = Mongo::open(settings)?;
        mongo.migrate().await?;
        Ok(Self(Channels(mongo)))
    }

    /// Makes a channel of these members, the first its creator. The bytes of its document.
    pub async fn fill(&self, channel: u64, members: &[u64]) -> Result<usize, StoreError> {
        let members: Vec<_> = members.iter().copied().map(UserId).collect();
        self.0.fill(ConversationId(channel), &members).await
    }

    /// Commits one change upon a revision.
    pub async fn commit(&self, channel: u64, expected: u64, step: Step) -> Result<(), StoreError> {
        let broken = |why: &str| StoreError::new(StoreErrorKind::Corrupt, why.to_owned());
        let change = match step {
            Step::Add(user) => Change::AddMember { user: UserId(user), most_channels: 1_000 },
            Step::Remove(user) => Change::RemoveMember { user: UserId(user) },
            Step::Rename(n) => {
                let name = ChannelName::parse(&format!("name {n}"));
                Change::Rename { name: name.map_err(|_| broken("no name"))? }
            }
        };
        let (id, author, at) = (ConversationId(channel), UserId(1), Timestamp::now());
        match self
            .0
            .commit(Commit { id, expected, author, change, at, call: String::new() })
            .await?
        {
            Committed::Done => Ok(()),
            other => Err(broken(&format!("{other:?}"))),
        }
    }

    /// The log's acknowledgements of the change with this revision: of its entry, of its notice.
    pub async fn acknowledge(&self, channel: u64, revision: u64) -> Result<(), StoreError> {
        let (id, entry) = (ConversationId(channel), EntryId(revision));
        self.0.acknowledge(id, Ack::Entry { revision, entry }).await?;
        self.0.acknowledge(id, Ack::Notice { revision }).await?;
        Ok(())
    }

    /// The channel and what it says of one user. Its number of members.
    pub async fn look(&self, channel: u64, user: u64) -> Result<u64, StoreError> {
        let look = self.0.look(ConversationId(channel), vec![UserId(user)]).await?;
        Ok(look.map_or(0, |look| look.channel.members))
    }

    /// The same, and all members if they are no more than `most`. How many were shown.
    pub async fn show(&self, channel: u64, user: u64, most: usize) -> Result<usize, StoreError> {
        let shown = self.0.show(ConversationId(channel), UserId(user), most).await?;
        Ok(shown.and_then(|(_, members)| members).map_or(0, |members| members.len()))
    }

    /// How many channels a user is in.
    pub async fn channels_of(&self, user: u64) -> Result<usize, StoreError> {
        Ok(self.0.channels_of(UserId(user)).await?.len())
    }
}
