//! Answers messages that begin with "!echo ".    cargo run --bin echo

use natter_bots::{Bot, Error, Event, Refused};
use serde::Deserialize;

#[derive(Deserialize)]
struct Said {
    id: String,
    conversation_id: String,
    author_id: String,
    content: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let bot = Bot::connect().await?;
    bot.each(async |event| match answer(&bot, &event).await {
        // Such as after it was removed from the channel.
        Err(error) if error.is::<Refused>() => {
            println!("{error}");
            Ok(())
        }
        other => other,
    })
    .await
}

async fn answer(bot: &Bot, event: &Event) -> Result<(), Error> {
    if event.t != "MESSAGE_CREATE" {
        return Ok(());
    }
    let said: Said = serde_json::from_str(event.d.get())?;
    match said.content.strip_prefix("!echo ") {
        // A bot hears itself too, and would answer for ever.
        Some(answer) if said.author_id != bot.id => {
            // The nonce names the answer: if the event comes again, it is the same message.
            bot.send(&said.conversation_id, answer, &format!("echo-{}", said.id)).await
        }
        _ => Ok(()),
    }
}
