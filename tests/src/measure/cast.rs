//! Who is there: one who signs in, and everybody they know.
//!
//! Invariant: READY for that one mentions as many people as asked for, themselves among them, and the
//! newest page of the busy channel is by as many authors as asked for.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::json;

use super::Options;
use crate::client::{Account, Api, nonce};
use crate::json::Look as _;
use crate::{Outcome, ensure};

/// Registrations, and later conversations, being made at the same time.
const AT_ONCE: usize = 8;
/// Of five conversations so many are channels; the rest are direct.
const CHANNELS_OF_FIVE: usize = 4;
/// Messages of a conversation that READY shows.
const SHOWN: usize = 50;
/// The password of everyone.
const PASSWORD: &str = "correct horse battery";

/// Everyone.
pub struct Cast {
    /// Where they are connected.
    pub edge: String,
    /// The channel in which many write.
    pub busy: u64,
    /// Themselves first.
    people: Vec<Account>,
}

impl Cast {
    /// Registers everybody and has them do what makes them known.
    pub async fn gather(edge: &str, options: &Options) -> Outcome<Self> {
        let Options { conversations, people, authors, .. } = *options;
        ensure!(conversations > 1 && conversations < people, "more people than conversations");
        ensure!(people - conversations <= SHOWN, "READY would not show that many authors");
        ensure!(authors < people && authors <= 100, "fewer authors than people, at most a page");
        let api = Api::new(edge)?;
        let tag: u32 = rand::random();
        let registered =
            (0..people).map(|n| {
                let (api, name) = (&api, format!("p{n:03}_{tag:08x}"));
                async move {
                    Account::register(api, &name, PASSWORD, Some(&format!("Person {n}"))).await
                }
            });
        let everybody: Vec<Account> =
            stream::iter(registered).buffered(AT_ONCE).try_collect().await?;
        let mut cast = Self { edge: edge.to_owned(), busy: 0, people: everybody };
        cast.busy = cast.channel(1).await?;
        let made = (2..=conversations).map(|n| {
            let cast = &cast;
            async move {
                if n % 5 < CHANNELS_OF_FIVE { cast.channel(n).await } else { cast.dm(n).await }
            }
        });
        stream::iter(made).buffer_unordered(AT_ONCE).try_collect::<Vec<_>>().await?;
        cast.talk(authors, conversations).await?;
        Ok(cast)
    }

    /// The token of the one who signs in.
    pub fn token(&self) -> &str {
        &self.people[0].access
    }

    /// Requests of the one who signs in.
    pub fn api(&self) -> Outcome<Api> {
        self.as_person(0)
    }

    fn as_person(&self, n: usize) -> Outcome<Api> {
        Ok(Api::new(&self.edge)?.with_token(&self.people[n].access))
    }

    /// A channel that another one owns.
    async fn channel(&self, owner: usize) -> Outcome<u64> {
        let api = self.as_person(owner)?;
        let name = json!({ "name": format!("channel {owner}") });
        let channel = api.post("/channels", &name).await?.ok(201)?.id("id")?;
        self.add(owner, channel, 0).await?;
        Ok(channel)
    }

    async fn add(&self, owner: usize, channel: u64, member: usize) -> Outcome {
        let path = format!("/channels/{channel}/members");
        let body = json!({ "username": self.people[member].username });
        self.as_person(owner)?.post(&path, &body).await?.ok(200).map(drop)
    }

    async fn dm(&self, partner: usize) -> Outcome<u64> {
        let body = json!({ "username": self.people[0].username });
        let dm = self.as_person(partner)?.post("/dms", &body).await?.ok(200)?.id("id")?;
        self.say(partner, dm).await?;
        Ok(dm)
    }

    async fn say(&self, author: usize, conversation: u64) -> Outcome {
        let path = format!("/conversations/{conversation}/messages");
        let body = json!({ "content": format!("said by {author}"), "nonce": nonce() });
        self.as_person(author)?.post(&path, &body).await?.ok(201).map(drop)
    }

    /// Everybody who is known for nothing else writes last, and so is shown; before them others do.
    async fn talk(&self, authors: usize, conversations: usize) -> Outcome {
        let unknown = (conversations + 1..self.people.len()).rev().chain([0]);
        let known = 1..=conversations;
        let mut speakers: Vec<usize> = unknown.chain(known).take(authors).collect();
        speakers.reverse();
        for speaker in &speakers {
            if *speaker > 1 {
                self.add(1, self.busy, *speaker).await?;
            }
            self.say(*speaker, self.busy).await?;
        }
        Ok(())
    }
}
