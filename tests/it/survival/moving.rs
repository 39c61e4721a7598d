//! The platform is stopped, its store copied to another, and started on that one.

use std::time::Duration;

use natter_tests::client::Api;
use natter_tests::ensure;
use natter_tests::eventually::{Seen, eventually};
use natter_tests::json::Look as _;
use natter_tests::stack::{Plan, Stack};
use natter_tests::stores::Stores;
use natter_tests::{Outcome, client};
use serde_json::json;

use crate::state::check::fetch;
use crate::support::{PASSWORD, Person, World, alone};

const LIMIT: Duration = Duration::from_mins(4);
const BACK: Duration = Duration::from_secs(30);

/// The persister by itself, so that it can be away while people go on talking.
fn plan() -> Plan {
    Plan::default().workers(&["setup,auth,profiles,channels,history", "persister"])
}

/// People, and everything that there can be between them.
struct Town {
    people: [Person; 3],
    channel: u64,
}

impl Town {
    async fn build(world: &World) -> Outcome<Self> {
        let (ann, bob, channel) = world.channel_of_two().await?;
        let cyd = world.person("cyd").await?;
        ann.add(channel, &cyd).await?;
        let first = ann.post(channel, "to be edited").await?;
        let second = bob.post(channel, "to be deleted").await?;
        let third = cyd.post(channel, "to be edited, then deleted").await?;
        ann.edit(channel, first, "edited").await?;
        ann.delete(channel, second).await?;
        cyd.edit(channel, third, "edited first").await?;
        cyd.delete(channel, third).await?;
        bob.read(channel, first).await?;
        let dm = ann.dm(&bob).await?;
        ann.post(dm, "between us").await?;
        let gone = ann.channel("gone").await?;
        ann.add(gone, &bob).await?;
        ann.delete_channel(gone).await?;
        let left = bob.channel("left").await?;
        bob.add(left, &cyd).await?;
        bob.post(left, "before cyd left").await?;
        cyd.leave(left).await?;
        bob.rename(left, "smaller").await?;
        Ok(Self { people: [ann, bob, cyd], channel })
    }

    /// What everybody sees, in their order.
    async fn seen(&self) -> Outcome<Vec<natter_tests::model::Model>> {
        let mut seen = Vec::new();
        for person in &self.people {
            seen.push(fetch(person, &person.edge).await?);
        }
        Ok(seen)
    }
}

/// Stops everything, in good order; what the persister left is left.
async fn stop(stack: &mut Stack) -> Outcome {
    for name in stack.names() {
        if name != "worker-1" {
            stack.drain(&name).await?;
        }
    }
    Ok(())
}

/// Copies, with what an operator would be told when it fails.
async fn copy(stack: &Stack, from: &str, to: &str) -> Outcome<String> {
    let (ended, said) = stack.operate(&["copy", "--from", from, "--to", to]).await?;
    ensure!(ended.success(), "copy --from {from} --to {to}: {ended}: {said}");
    Ok(said)
}

/// The platform on one store, then on the other; nobody notices but by the pause.
async fn move_house(
    stack: &mut Stack,
    world: World,
    (from, to): (&str, &str),
    switch: impl FnOnce(&mut Stack),
) -> Outcome {
    let town = Town::build(&world).await?;
    let [ann, bob, _] = &town.people;
    let mut session = bob.session().await?;
    let before_pause = ann.post(town.channel, "seen by bob").await?;
    session.message(before_pause).await?;
    // From here on the log holds what the store does not.
    stack.kill("worker-1")?;
    let mut late = Vec::new();
    for n in 0..20 {
        late.push(ann.post(town.channel, &format!("late {n}")).await?);
    }
    ann.edit(town.channel, late[3], "edited late").await?;
    ann.delete(town.channel, late[4]).await?;
    let before = town.seen().await?;
    session.message(late[19]).await?;
    let cursors = session.close().await;

    let (ended, said) = stack.operate(&["copy", "--from", from, "--to", to]).await?;
    ensure!(!ended.success(), "copied while the platform runs: {said}");
    stop(stack).await?;
    let said = copy(stack, from, to).await?;
    ensure!(said.contains("both hold the same"), "{said}");
    switch(stack);
    for name in stack.names() {
        stack.revive(&name).await?;
    }

    eventually("everybody sees what they saw", BACK, async || {
        let now = town.seen().await?;
        let differences = before.iter().zip(&now).find_map(|(before, now)| before.difference(now));
        Ok(differences.map_or_else(|| Seen::Done(()), Seen::NotYet))
    })
    .await?;
    // The session goes on, its refresh token is good, the password too.
    let mut session = bob.resume(&bob.edge, cursors).await?;
    let body = json!({ "refresh_token": bob.account.refresh, "nonce": client::nonce() });
    Api::new(&bob.edge)?.post("/sessions/refresh", &body).await?.ok(200)?;
    let again = client::Account::sign_in(&Api::new(&ann.edge)?, ann.name(), PASSWORD).await?;
    ensure!(again.user.id("id")? == ann.id(), "somebody else: {again:?}");
    let new = ann.post(town.channel, "in the new house").await?;
    session.message(new).await?;
    ensure!(session.violations().is_empty(), "{:?}", session.violations());
    Ok(())
}

#[test]
fn everything_is_there_in_another_directory() {
    alone(LIMIT, plan(), async |stack, world| {
        let other = stack.directory().join("other");
        let to = format!("embedded:{}", other.display());
        move_house(stack, world, ("embedded", &to), |stack| {
            stack.set("STORE", "EMBEDDED", &other.display().to_string());
        })
        .await
    });
}

#[test]
fn everything_is_there_in_a_cluster() {
    alone(LIMIT, plan(), async |stack, world| {
        // Running processes keep their settings: only the command has these until all is moved.
        for (name, value) in Stores::find()?.settings() {
            stack.set_variable(&name, &value);
        }
        move_house(stack, world, ("embedded", "cluster"), |_| {}).await
    });
}
