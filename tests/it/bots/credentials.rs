//! POST /bots/{id}/credentials, `credentials.renew`, and what deleting a bot does to its connections.

use std::time::{Duration, Instant};

use async_nats::{ConnectOptions, Event};
use natter_tests::{Context as _, Outcome, ensure};
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::support::{Bot, SOON, World, play, play_within};

const MEASURED: usize = 50;

/// A connection whose end is seen.
async fn watched(world: &World, bot: &Bot) -> Outcome<mpsc::Receiver<Event>> {
    let (tell, events) = mpsc::channel(64);
    let options = ConnectOptions::with_credentials(&bot.creds)?.event_callback(move |event| {
        // Nobody listens once the test has ended, and the first of many ends tells all.
        let _ = tell.try_send(event);
        std::future::ready(())
    });
    let client = options.custom_inbox_prefix(format!("_INBOX_{}", bot.id)).connect(&world.nats);
    let client = client.await?;
    client.flush().await?;
    tokio::spawn(async move {
        // Held as long as the test runs.
        let _client = client;
        std::future::pending::<()>().await;
    });
    Ok(events)
}

async fn ended(events: &mut mpsc::Receiver<Event>) -> Outcome {
    let end = async {
        while let Some(event) = events.recv().await {
            if matches!(event, Event::Disconnected | Event::Closed) {
                return;
            }
        }
    };
    timeout(SOON, end).await.during("the end of the connection")
}

#[test]
fn a_bot_renews_its_credentials_and_older_ones_go_on() {
    play(async |world| {
        let owner = world.person("owner").await?;
        let bot = Bot::of(&owner, &world, "renewed").await?;
        let answer = bot.ask("api.credentials.renew", &json!({})).await?;
        let new = answer["creds"].as_str().during(format_args!("{answer}"))?;
        for creds in [new, &bot.creds, &Bot::new_credentials(&owner, bot.id).await?] {
            Bot::connect(&world.nats, bot.id, creds).await?.flush().await?;
        }
        Ok(())
    });
}

#[test]
fn revoked_credentials_end_and_new_ones_work() {
    play(async |world| {
        let (owner, other, channel) = world.channel_of_two().await?;
        let mut bot = Bot::of(&owner, &world, "leaked").await?;
        owner.add_bot(channel, &bot).await?;
        let path = format!("/bots/{}/credentials", bot.id);
        other.api.delete(&path).await?.refused(404, "not_found")?;
        for _ in 0..2 {
            let mut events = watched(&world, &bot).await?;
            owner.api.delete(&path).await?.ok(204)?;
            ended(&mut events).await?;
            let back = Bot::connect(&world.nats, bot.id, &bot.creds).await;
            ensure!(back.is_err(), "revoked credentials were taken");
            bot.creds = Bot::new_credentials(&owner, bot.id).await?;
            bot.client = Bot::connect(&world.nats, bot.id, &bot.creds).await?;
            bot.say(channel, "back again").await?;
        }
        Ok(())
    });
}

#[test]
fn a_deleted_bot_is_cut_off_and_cannot_come_back() {
    play(async |world| {
        let (owner, _, channel) = world.channel_of_two().await?;
        let bot = Bot::of(&owner, &world, "gone").await?;
        let stays = Bot::of(&owner, &world, "stays").await?;
        for bot in [&bot, &stays] {
            owner.add_bot(channel, bot).await?;
        }
        let renewed = Bot::new_credentials(&owner, bot.id).await?;
        let mut events = watched(&world, &bot).await?;
        owner.api.delete(&format!("/bots/{}", bot.id)).await?.ok(204)?;
        ended(&mut events).await?;
        for creds in [&bot.creds, &renewed] {
            let back = Bot::connect(&world.nats, bot.id, creds).await;
            ensure!(back.is_err(), "a deleted bot came back");
        }
        let path = format!("/bots/{}/credentials", bot.id);
        owner.api.post(&path, &json!({})).await?.refused(404, "not_found")?;
        stays.say(channel, "still here").await?;
        Ok(())
    });
}

/// Prints how long a DELETE takes to end the bot's connection.
#[test]
fn fifty_deletions_end_fifty_connections() {
    play_within(Duration::from_mins(4), async |world| {
        let owners = [world.person("a").await?, world.person("b").await?, world.person("c").await?];
        let mut took = Vec::new();
        for index in 0..MEASURED {
            let owner = &owners[index % owners.len()];
            let bot = Bot::of(owner, &world, "measured").await?;
            let mut events = watched(&world, &bot).await?;
            let began = Instant::now();
            let path = format!("/bots/{}", bot.id);
            let (deleted, ended) = tokio::join!(owner.api.delete(&path), async {
                ended(&mut events).await.map(|()| began.elapsed())
            });
            deleted?.ok(204)?;
            took.push(ended?);
        }
        took.sort_unstable();
        let (half, worst) = (took[MEASURED / 2], took[MEASURED - 1]);
        println!(
            "DELETE to the end of the connection: p50 {half:?}, worst {worst:?} of {MEASURED}"
        );
        ensure!(worst < Duration::from_secs(5), "{took:?}");
        Ok(())
    });
}
