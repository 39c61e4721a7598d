//! The check itself: hold a state, let something happen, follow the events, fetch anew, compare.

use natter_tests::client::{Api, Cursors, Kind, Session, paging};
use natter_tests::eventually::{Seen, eventually};
use natter_tests::model::Model;
use natter_tests::{Outcome, ensure};

use crate::support::{Person, SOON};

/// Someone who follows the events.
struct Follower<'a> {
    person: &'a Person,
    session: Session,
    model: Model,
}

/// Runs the operation, and fails unless everyone who followed it by events comes to the state that a
/// fresh client of theirs fetches, on every edge.
pub(crate) async fn same_for(
    people: &[&Person],
    operation: impl AsyncFnOnce() -> Outcome,
) -> Outcome {
    let mut followers = Vec::new();
    for &person in people {
        // Names and counts in lists may lag behind what was done before.
        let follower = eventually("a state to start from", SOON, async || {
            let mut follower = Follower::start(person).await?;
            follower.follow().await?;
            let fresh = fetch(person, person.other_edge()).await?;
            let difference = follower.model.difference(&fresh);
            Ok(difference.map_or_else(|| Seen::Done(follower), Seen::NotYet))
        });
        followers.push(follower.await?);
    }
    operation().await?;
    for follower in &mut followers {
        let person = follower.person;
        for edge in [&person.edge, person.other_edge()] {
            let what =
                format!("the state of {} by events = by fetching from {edge}", person.name());
            eventually(&what, SOON, async || {
                follower.follow().await?;
                let fresh = fetch(person, edge).await?;
                let difference = follower.model.difference(&fresh);
                Ok(difference.map_or_else(|| Seen::Done(()), Seen::NotYet))
            })
            .await?;
        }
    }
    Ok(())
}

impl<'a> Follower<'a> {
    async fn start(person: &'a Person) -> Outcome<Self> {
        let opened = Session::resume(&person.edge, person.token(), Cursors::default()).await?;
        let (session, ready) = opened;
        let mut model = Model::from_ready(&ready)?;
        for conversation in model.conversations() {
            learn(&person.api, &mut model, conversation).await?;
        }
        Ok(Self { person, session, model })
    }

    /// Takes in the events that have come. What is new to it, it fetches, as a client does.
    async fn follow(&mut self) -> Outcome {
        for event in self.session.drain()? {
            self.model.apply(&event.name, &event.data)?;
            if let Kind::ConversationAdd { conversation, .. } = event.kind {
                learn(&self.person.api, &mut self.model, conversation).await?;
            }
        }
        Ok(())
    }
}

/// All that a fresh client can fetch.
pub(crate) async fn fetch(person: &Person, edge: &str) -> Outcome<Model> {
    let mut model = Model::from_ready(&person.ready(edge).await?)?;
    let api = person.api.at(edge);
    for conversation in model.conversations() {
        learn(&api, &mut model, conversation).await?;
    }
    Ok(model)
}

/// Fetches the members and the history of a conversation. It may be gone again by now.
async fn learn(api: &Api, model: &mut Model, conversation: u64) -> Outcome {
    if model.without_members().contains(&conversation) {
        let channel = api.get(&format!("/channels/{conversation}")).await?;
        if channel.code() == Some("not_found") {
            return Ok(());
        }
        model.learn_channel(&channel.ok(200)?)?;
    }
    let path = format!("/conversations/{conversation}/messages?limit=1");
    if api.get(&path).await?.code() == Some("not_found") {
        return Ok(());
    }
    let messages = paging::forwards(api, conversation, paging::PAGE).await?;
    ensure!(messages.len() < 100, "too long a history for a model");
    model.learn_messages(conversation, &messages)
}
