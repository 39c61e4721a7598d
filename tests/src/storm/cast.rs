//! Users, their channels, and what is written while they are away.
//!
//! Invariant: every user is in three channels, and nobody comes or goes later. What is written to a
//! channel is written by its owner, one after the other, so the answers are its order.

use std::collections::BTreeMap;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::json;

use super::Speaker;
use super::client::Shared;
use crate::Outcome;
use crate::client::{Account, Api, nonce};
use crate::json::Look as _;

/// Requests being made at the same time.
const AT_ONCE: usize = 8;
/// The password of everyone.
const PASSWORD: &str = "correct horse battery";

/// Everyone.
pub struct Cast {
    /// Owners of channels first.
    pub people: Vec<Account>,
    /// The channels.
    pub channels: Vec<u64>,
}

impl Cast {
    /// Registers everybody and makes the channels.
    pub async fn gather(edge: &str, users: usize, channels: usize) -> Outcome<Self> {
        let api = &Api::new(edge)?;
        let registered = (0..users).map(async |n| person(api, n).await);
        let people: Vec<Account> = stream::iter(registered).buffered(AT_ONCE).try_collect().await?;
        let everybody = &people;
        let made = (0..channels).map(async |n| {
            let owner = api.with_token(&everybody[n].access);
            let channel = channel(&owner).await?;
            // Those of three neighbouring numbers, of which the owner's own is one.
            for (user, person) in everybody.iter().enumerate() {
                let distance = (user + channels - n) % channels;
                if distance < 3 && user != n {
                    let path = format!("/channels/{channel}/members");
                    owner.post(&path, &json!({ "username": person.username })).await?.ok(200)?;
                }
            }
            Ok::<u64, crate::Failure>(channel)
        });
        let channels = stream::iter(made).buffered(AT_ONCE).try_collect().await?;
        Ok(Self { people, channels })
    }

    /// One more, with a channel of their own.
    pub async fn speaker(&self, edge: &str) -> Outcome<Speaker> {
        let api = Api::new(edge)?;
        let account = person(&api, self.people.len()).await?;
        let channel = channel(&api.with_token(&account.access)).await?;
        Ok(Speaker { account, channel })
    }

    /// Writes so many messages to each channel, for all to miss.
    pub async fn write(&self, edge: &str, count: usize, shared: &Shared) -> Outcome {
        let api = &Api::new(edge)?;
        let written = self.channels.iter().zip(&self.people).map(async |(channel, owner)| {
            let owner = api.with_token(&owner.access);
            let path = format!("/conversations/{channel}/messages");
            let mut ids = Vec::with_capacity(count);
            for index in 0..count {
                let content = format!("message {index} that everybody missed");
                let body = json!({ "content": content, "nonce": nonce() });
                ids.push(owner.post(&path, &body).await?.ok(201)?.id("id")?);
            }
            Ok::<_, crate::Failure>((*channel, ids))
        });
        let written: BTreeMap<u64, Vec<u64>> =
            stream::iter(written).buffer_unordered(AT_ONCE).try_collect().await?;
        shared.wrote(written);
        Ok(())
    }
}

async fn person(api: &Api, n: usize) -> Outcome<Account> {
    let name = format!("s{n:04}_{:08x}", rand::random::<u32>());
    Account::register(api, &name, PASSWORD, None).await
}

async fn channel(owner: &Api) -> Outcome<u64> {
    owner.post("/channels", &json!({ "name": "storm" })).await?.ok(201)?.id("id")
}
