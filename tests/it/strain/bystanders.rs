//! People who do nothing while others misbehave, and must notice nothing.

use natter_tests::client::{Cursors, Session, paging};
use natter_tests::{Outcome, ensure};
use serde_json::Value;

use crate::support::{Person, World};

/// Two people, their channel, and what it holds.
pub(crate) struct Bystanders {
    pub(crate) owner: Person,
    member: Person,
    pub(crate) channel: u64,
    sessions: [Session; 2],
    entries: Vec<Value>,
    users: [Value; 2],
}

impl Bystanders {
    pub(crate) async fn new(world: &World) -> Outcome<Self> {
        let (owner, member, channel) = world.channel_of_two().await?;
        owner.post(channel, "quiet here").await?;
        let open = async |person: &Person| {
            Ok::<_, natter_tests::Failure>(
                Session::resume(&person.edge, person.token(), Cursors::default()).await?.0,
            )
        };
        let sessions = [open(&owner).await?, open(&member).await?];
        let entries = paging::all_entries(&owner.api, channel, 0).await?;
        let users = [owner.account.user.clone(), member.account.user.clone()];
        Ok(Self { owner, member, channel, sessions, entries, users })
    }

    /// Fails unless everything of theirs is as it was, and works.
    pub(crate) async fn undisturbed(mut self) -> Outcome {
        for (person, user) in [&self.owner, &self.member].into_iter().zip(&self.users) {
            let entries = paging::all_entries(&person.api, self.channel, 0).await?;
            ensure!(entries == self.entries, "the channel has changed: {entries:?}");
            let now = person.api.get("/users/@me").await?.ok(200)?;
            ensure!(now == *user, "{user} has become {now}");
        }
        for session in &mut self.sessions {
            let events = session.drain()?;
            ensure!(events.is_empty(), "they were told of something: {events:?}");
        }
        let [from, to] = &mut self.sessions;
        let message = from.say(self.channel, "still well").await?;
        to.message(message).await?;
        Ok(())
    }
}
