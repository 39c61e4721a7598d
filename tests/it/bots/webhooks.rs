//! Incoming webhooks: who makes them, who writes through them, and that their secret stays one.

use natter_tests::json::Look as _;
use natter_tests::stack::Plan;
use natter_tests::{Context as _, Outcome, ensure};
use serde_json::{Value, json};
use std::time::Duration;

use crate::support::{Bot, Person, World, alone, nobody, play};

/// The webhook's path below `/v1`.
fn path(made: &Value) -> Outcome<String> {
    let url = made["url"].as_str().during("no url")?;
    let (_, path) = url.split_once("/v1").during("no /v1 in the url")?;
    Ok(path.to_owned())
}

async fn of_two(world: &World) -> Outcome<(Person, Person, u64, Bot)> {
    let (owner, member, channel) = world.channel_of_two().await?;
    let bot = Bot::of(&owner, world, "hook").await?;
    owner.add_bot(channel, &bot).await?;
    Ok((owner, member, channel, bot))
}

#[test]
fn whoever_has_the_address_writes_as_the_bot() {
    play(async |world| {
        let (owner, member, channel, bot) = of_two(&world).await?;
        let body = json!({ "bot_id": bot.id.to_string() });
        let hooks = format!("/channels/{channel}/webhooks");
        let made = owner.api.post(&hooks, &body).await?.ok(201)?;
        let path = path(&made)?;
        let mut session = member.session().await?;
        let anyone = world.api()?;
        let text = json!({ "text": "build 7 is green", "icon_emoji": ":tada:" });
        let id = anyone.post(&path, &text).await?.ok(201)?.id("id")?;
        let shown = session.message(id).await?;
        ensure!(bot.is(&shown["author_id"]) && shown["content"] == "build 7 is green", "{shown}");
        let named = json!({ "content": "once", "nonce": "n1" });
        let first = anyone.post(&path, &named).await?.ok(201)?;
        assert_eq!(anyone.post(&path, &named).await?.ok(201)?, first);
        let other = json!({ "content": "twice", "nonce": "n1" });
        anyone.post(&path, &other).await?.refused(409, "conflict")?;
        let list = owner.api.get(&hooks).await?.ok(200)?;
        ensure!(list["webhooks"][0]["id"] == made["id"], "{list}");
        ensure!(bot.is(&list["webhooks"][0]["bot_id"]), "{list}");
        ensure!(!list.to_string().contains(path.rsplit('/').next().unwrap_or(&path)), "{list}");

        for wrong in [json!({}), json!({ "text": "" }), json!({ "text": 5 }), json!([])] {
            anyone.post(&path, &wrong).await?.refused(400, "bad_request")?;
        }
        let (almost, last) = path.split_at(path.len() - 1);
        let last = if last == "A" { "B" } else { "A" };
        for wrong in [format!("{almost}{last}"), format!("/webhooks/{}/x", nobody())] {
            anyone.post(&wrong, &text).await?.refused(404, "not_found")?;
        }
        anyone.post("/webhooks/x/x", &text).await?.refused(404, "not_found")?;

        let member_path = format!("/channels/{channel}/members/{}", bot.id);
        owner.api.delete(&member_path).await?.ok(204)?;
        anyone.post(&path, &text).await?.refused(404, "not_found")?;
        owner.add_bot(channel, &bot).await?;
        anyone.post(&path, &text).await?.ok(201)?;
        let one = format!("{hooks}/{}", made.id("id")?);
        owner.api.delete(&one).await?.ok(204)?;
        owner.api.delete(&one).await?.refused(404, "not_found")?;
        anyone.post(&path, &text).await?.refused(404, "not_found")?;
        Ok(())
    });
}

#[test]
fn only_the_creator_makes_them_for_a_bot_that_is_there() {
    play(async |world| {
        let (owner, member, channel, bot) = of_two(&world).await?;
        let stranger = world.person("stranger").await?;
        let hooks = format!("/channels/{channel}/webhooks");
        let body = json!({ "bot_id": bot.id.to_string() });
        member.api.post(&hooks, &body).await?.refused(403, "not_owner")?;
        member.api.get(&hooks).await?.refused(403, "not_owner")?;
        stranger.api.post(&hooks, &body).await?.refused(404, "not_found")?;
        stranger.api.get(&hooks).await?.refused(404, "not_found")?;
        let absent = Bot::of(&owner, &world, "absent").await?;
        let absent = json!({ "bot_id": absent.id.to_string() });
        owner.api.post(&hooks, &absent).await?.refused(409, "conflict")?;
        for no_bot in [owner.id(), member.id(), nobody()] {
            let body = json!({ "bot_id": no_bot.to_string() });
            owner.api.post(&hooks, &body).await?.refused(404, "not_found")?;
        }
        for wrong in [json!({}), json!({ "bot_id": 5 }), json!([])] {
            owner.api.post(&hooks, &wrong).await?.refused(400, "bad_request")?;
        }
        for _ in 0..10 {
            owner.api.post(&hooks, &body).await?.ok(201)?;
        }
        owner.api.post(&hooks, &body).await?.refused(409, "conflict")?;
        owner.api.delete(&format!("/bots/{}", bot.id)).await?.ok(204)?;
        let left = owner.api.get(&hooks).await?.ok(200)?;
        ensure!(left.list("webhooks")?.is_empty(), "{left}");
        Ok(())
    });
}

#[test]
fn a_secret_is_in_no_log_and_no_metric_and_its_rate_is_its_own() {
    let plan = Plan::default()
        .setting("LOG", "FILTER", "debug,natter_edge=trace,natter_workers=trace,bus_schema=trace")
        .setting("EDGE", "WEBHOOK_PER_S", "1")
        .setting("EDGE", "WEBHOOK_BURST", "3");
    alone(Duration::from_mins(2), plan, async |stack, world| {
        let (owner, _, channel, bot) = of_two(&world).await?;
        let hooks = format!("/channels/{channel}/webhooks");
        let body = json!({ "bot_id": bot.id.to_string() });
        let first = path(&owner.api.post(&hooks, &body).await?.ok(201)?)?;
        let second = path(&owner.api.post(&hooks, &body).await?.ok(201)?)?;
        let (anyone, text) = (world.api()?, json!({ "text": "x" }));
        for _ in 0..3 {
            anyone.post(&first, &text).await?.ok(201)?;
        }
        anyone.post(&first, &text).await?.refused(429, "rate_limited")?;
        anyone.post(&second, &text).await?.ok(201)?;
        anyone.post(&format!("{first}x"), &text).await?.refused(404, "not_found")?;
        for name in stack.names() {
            let mut shown = stack.metrics(&name).await?;
            for file in std::fs::read_dir(stack.directory())? {
                let path = file?.path();
                if path.extension().is_some_and(|extension| extension == "log") {
                    shown.push_str(&String::from_utf8_lossy(&std::fs::read(path)?));
                }
            }
            ensure!(shown.contains("answered"), "the logs are read");
            for path in [&first, &second] {
                let secret = path.rsplit('/').next().unwrap_or(path);
                ensure!(!shown.contains(secret), "{name} shows a secret");
            }
        }
        Ok(())
    });
}
