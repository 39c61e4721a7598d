//! What bots hear and say while the roles that serve them are killed.

use std::time::Duration;

use natter_tests::stack::Plan;
use natter_tests::{Outcome, client, ensure};
use serde_json::json;
use tokio::time::sleep;

use crate::support::{Bot, World, alone};

const LIMIT: Duration = Duration::from_mins(4);
/// Longer than a lease that nobody renews.
const TAKEOVER: Duration = Duration::from_secs(30);
/// Messages of each side.
const MESSAGES: usize = 150;

/// Ingress and delivery twice each, so that one can die.
fn plan() -> Plan {
    let plan = Plan::default().workers(&[
        "setup,auth,profiles,channels,history,persister,bots",
        "ingress,delivery",
        "ingress,delivery",
    ]);
    plan.setting("INGRESS", "REQUESTS_PER_S", "1000")
}

#[test]
fn nothing_is_lost_or_doubled_or_out_of_order_when_ingress_and_delivery_are_killed() {
    alone(LIMIT, plan(), async |stack, world| {
        let (owner, _, channel) = world.channel_of_two().await?;
        let bot = Bot::of(&owner, &world, "steady").await?;
        owner.add_bot(channel, &bot).await?;
        bot.expect("MEMBER_ADD").await?;
        let mut heard = Vec::new();
        let mut sent = Vec::new();
        for round in 0..4 {
            let worker = format!("worker-{}", 1 + round % 2);
            let (said, taken, killed) = tokio::join!(
                say_all(&bot, channel, round),
                take_all(&world, &bot, MESSAGES),
                async {
                    sleep(Duration::from_millis(150)).await;
                    stack.restart(&worker).await
                },
            );
            killed?;
            sent.extend(said?);
            heard.extend(taken?);
        }
        let stored = everything(&owner, channel).await?;
        ensure!(sent == stored, "{} sent, {} stored", sent.len(), stored.len());
        ensure!(heard == stored, "heard {heard:?}, but stored {stored:?}");
        Ok(())
    });
}

/// Sends one message after the other, each until it is answered with its id.
async fn say_all(bot: &Bot, channel: u64, round: usize) -> Outcome<Vec<u64>> {
    let mut ids = Vec::new();
    for n in 0..MESSAGES {
        let nonce = client::nonce();
        let body = json!({ "content": format!("{round}.{n}"), "nonce": nonce }).to_string();
        let id = loop {
            let subject = format!("bot.{}.send.{channel}", bot.id);
            let asked = bot.client.request(subject, body.clone().into()).await;
            let answer = asked.ok().and_then(|a| serde_json::from_slice(&a.payload).ok());
            let answer: serde_json::Value = answer.unwrap_or_default();
            if let Some(id) = answer["id"].as_str().and_then(natter_tests::json::parse_id) {
                break id;
            }
            let code = answer["error"]["code"].as_str().unwrap_or("none").to_owned();
            let passing = ["none", "unavailable", "timeout", "unknown_outcome", "rate_limited"];
            ensure!(passing.contains(&&*code), "{answer}");
            sleep(Duration::from_millis(20)).await;
        };
        ids.push(id);
    }
    Ok(ids)
}

async fn take_all(world: &World, bot: &Bot, count: usize) -> Outcome<Vec<u64>> {
    let client = Bot::connect(&world.nats, bot.id, &bot.creds).await?;
    let mut ids = Vec::new();
    while ids.len() < count {
        let taken = Bot::take_on(&client, bot.id, TAKEOVER).await?;
        ensure!(taken.name == "MESSAGE_CREATE", "{taken:?}");
        ids.push(taken.id()?);
    }
    Ok(ids)
}

async fn everything(owner: &crate::support::Person, channel: u64) -> Outcome<Vec<u64>> {
    use natter_tests::json::Look as _;
    let (mut ids, mut after) = (Vec::new(), 0);
    loop {
        let path = format!("/conversations/{channel}/messages?limit=100&after={after}");
        let page = owner.api.get(&path).await?.ok(200)?;
        for message in page.list("messages")? {
            ids.push(message.id("id")?);
        }
        match ids.last() {
            Some(last) if page["has_more"] == true => after = *last,
            _ => return Ok(ids),
        }
    }
}

#[test]
fn a_bot_that_was_away_too_long_is_told_what_it_was_not_given() {
    let plan = Plan::default().setting("DELIVERY", "BACKLOG_EVENTS", "20");
    alone(LIMIT, plan, async |_, world| {
        use natter_tests::json::Look as _;
        let (owner, _, channel) = world.channel_of_two().await?;
        let bot = Bot::of(&owner, &world, "away").await?;
        owner.add_bot(channel, &bot).await?;
        let mut sent = Vec::new();
        for n in 0..60 {
            sent.push(owner.post(channel, &n.to_string()).await?);
        }
        bot.expect("MEMBER_ADD").await?;
        let mut got = Vec::new();
        let gap = loop {
            let taken = bot.take().await?;
            match taken.name.as_str() {
                "MESSAGE_CREATE" => got.push(taken.id()?),
                "GAP" => break taken.data,
                _ => ensure!(false, "{taken:?}"),
            }
        };
        ensure!(got == sent[..got.len()] && got.len() < 60, "{got:?}");
        assert_eq!(gap["conversation_id"], channel.to_string().as_str());
        let (from, to) = (gap.id("from")?, gap.id("to")?);
        let body = json!({ "conversation_id": channel.to_string(), "after": gap["from"],
            "limit": 100 });
        let page = bot.ask("api.entries.list", &body).await?;
        for entry in page.list("entries")? {
            let id = entry["d"].id("id")?;
            if id < to {
                ensure!(id > from, "{id} is not after {from}");
                got.push(id);
            }
        }
        let live = owner.post(channel, "back").await?;
        sent.push(live);
        while got.last() != Some(&live) {
            got.push(bot.take().await?.id()?);
        }
        assert_eq!(got, sent, "each once, in order");
        Ok(())
    });
}
