//! A channel with two people and a bot in it, and the process that is the bot.

use std::path::PathBuf;
use std::time::Duration;

use natter_tests::eventually::{Seen, eventually};
use natter_tests::json::Look as _;
use natter_tests::process::{Log, Process};
use natter_tests::{Outcome, ensure};
use serde_json::Value;
use tempfile::TempDir;

use super::language::Language;
use crate::support::{Bot, Person, World};

/// How long a bot may take for what it has to do, on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_mins(2);

pub(super) struct Scene {
    pub(super) owner: Person,
    pub(super) member: Person,
    pub(super) channel: u64,
    pub(super) bot: Bot,
    language: Language,
    nats: String,
    log: Log,
    directory: TempDir,
}

impl Scene {
    pub(super) async fn new(world: &World, language: Language) -> Outcome<Self> {
        let (owner, member, channel) = world.channel_of_two().await?;
        let bot = Bot::of(&owner, world, "example").await?;
        owner.add_bot(channel, &bot).await?;
        let directory = tempfile::tempdir()?;
        std::fs::write(directory.path().join("bot.creds"), &bot.creds)?;
        let log = Log::new(directory.path(), "bot");
        let nats = world.nats.clone();
        Ok(Self { owner, member, channel, bot, language, nats, log, directory })
    }

    /// A file of the bot's.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Starts the bot, as one of the examples.
    pub(super) fn start(&self, example: &str, arguments: &[&str]) -> Outcome<Process> {
        let mut command = self.language.command(example, arguments)?;
        command.env("NATS_URL", &self.nats).env("NATS_CREDS", self.file("bot.creds"));
        command.env("BOT_ID", self.bot.id.to_string());
        Process::start(example, command, &self.log)
    }

    /// What the bot printed, for when something is wrong.
    pub(super) fn printed(&self) -> String {
        self.log.tail(0)
    }

    /// The contents of what the bot said, in order.
    pub(super) async fn said(&self) -> Outcome<Vec<String>> {
        let mut said = Vec::new();
        for entry in self.entries(0).await? {
            if entry["t"] == "MESSAGE_CREATE" && self.bot.is(&entry["d"]["author_id"]) {
                said.push(entry["d"]["content"].as_str().unwrap_or_default().to_owned());
            }
        }
        Ok(said)
    }

    /// All entries of the channel after one, as its owner reads them.
    pub(super) async fn entries(&self, mut after: u64) -> Outcome<Vec<Value>> {
        let mut all = Vec::new();
        loop {
            let path = format!("/conversations/{}/entries?limit=100&after={after}", self.channel);
            let page = self.owner.patient().get(&path).await?.ok(200)?;
            all.extend(page.list("entries")?.iter().cloned());
            if page["has_more"] != true {
                return Ok(all);
            }
            after = page.id("next")?;
        }
    }

    /// Waits until a look at what there is says so; the bot's process must go on meanwhile.
    pub(super) async fn wait<T>(
        &self,
        what: &str,
        bot: &mut Process,
        mut look: impl AsyncFnMut() -> Outcome<Seen<T>>,
    ) -> Outcome<T> {
        let waited = eventually(what, PATIENCE, async || {
            // First the look: a bot that has ended may have done all it had to.
            let seen = look().await?;
            if matches!(seen, Seen::NotYet(_)) {
                bot.must_run()?;
            }
            Ok(seen)
        });
        waited.await.map_err(|failure| failure.within(format_args!("{}", self.printed())))
    }

    /// Fails with what the bot printed.
    pub(super) fn check(&self, holds: bool, what: &str) -> Outcome {
        ensure!(holds, "{what}; the bot printed:\n{}", self.printed());
        Ok(())
    }
}
