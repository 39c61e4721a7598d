//! The echo bot.

use std::time::Duration;

use natter_tests::client;
use natter_tests::eventually::Seen;
use natter_tests::stack::Plan;
use natter_tests::{Outcome, process::Process};
use serde_json::json;

use super::language::Language;
use super::scene::Scene;
use crate::support::alone;

const LIMIT: Duration = Duration::from_mins(5);

pub(super) fn answers(language: Language) {
    alone(LIMIT, Plan::default(), async |stack, world| {
        let scene = Scene::new(&world, language).await?;
        let mut bot = scene.start("echo", &[])?;
        exchange(&scene, &mut bot, "!echo one", &["one"]).await?;
        // Were it to listen to itself, it would answer this answer.
        exchange(&scene, &mut bot, "!echo !echo two", &["one", "!echo two"]).await?;
        let third = "three \"quoted\", {{.Count}}, 日本語\nand a second line";
        stack.nats().restart().await?;
        let asked = format!("!echo {third}");
        exchange(&scene, &mut bot, &asked, &["one", "!echo two", third]).await
    });
}

/// Somebody says something, and the bot has said all this then.
async fn exchange(scene: &Scene, bot: &mut Process, says: &str, then: &[&str]) -> Outcome {
    let path = format!("/conversations/{}/messages", scene.channel);
    let body = json!({ "content": says, "nonce": client::nonce() });
    scene
        .wait("a message is taken", bot, async || {
            let answer = scene.owner.api.post(&path, &body).await?;
            Ok(Seen::when(answer.status == 201, format!("{answer:?}")))
        })
        .await?;
    scene
        .wait("the answer", bot, async || {
            let said = scene.said().await?;
            Ok(Seen::when(said == then, format!("{said:?}")))
        })
        .await
}
