//! The bots of a replay: each a process of its own with its own credentials, some of them killed.
//!
//! Invariant: a bot is in one channel of the run, from before anyone speaks there, and keeps a journal of all that
//! it is given, written before it acknowledges. A killed one has SIGKILL, whatever it was doing; its
//! successor has nothing but the journal. One that ends by itself has failed.

pub mod bot;
pub mod journal;

use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, future, stream};
use rand::RngExt as _;
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use self::journal::Taken;
use super::Run;
use super::cast::{Cast, Person};
use super::plan::BotKill;
use crate::eventually::{Seen, eventually};
use crate::json::Look as _;
use crate::process::{Log, Process};
use crate::{Context as _, Outcome, locate, warden};

/// Bots that one owner may have.
pub const OF_AN_OWNER: usize = 20;
/// Bots made at the same time.
const AT_ONCE: usize = 8;
/// The longest absence, if sending should be slow.
const AWAY: Duration = Duration::from_mins(1);
/// A kill comes within that time after the message at which it is due: not at an acknowledgement,
/// but anywhere in what the bot does.
const ANYWHERE_WITHIN_MS: u64 = 50;
/// Bots stand at the end of their channels by then.
const AT_THE_END_WITHIN: Duration = Duration::from_mins(2);

/// One bot.
pub struct Bot {
    /// The id of its account.
    pub id: u64,
    /// The username.
    pub username: String,
    /// How much has been said in its channel.
    pub said: watch::Sender<u64>,
    name: String,
    nats: String,
    directory: Arc<TempDir>,
    log: Log,
    process: Mutex<Option<Process>>,
}

/// All of them.
#[derive(Default)]
pub struct Bots {
    /// By the number of their channel.
    pub all: Vec<Arc<Bot>>,
}

impl Bots {
    /// Makes so many, and starts them.
    pub async fn make(run: &Run, cast: &Cast, nats: &str, count: usize) -> Outcome<Self> {
        run.progress.phase("making bots");
        let directory = tempfile::Builder::new().prefix("natter-bots-").tempdir()?;
        warden::sweep(directory.path())?;
        let directory = Arc::new(directory);
        let tag: u32 = rand::rng().random();
        let bots = (0..count).map(|index| {
            let directory = directory.clone();
            async move {
                let owner = cast.owners.get(index / OF_AN_OWNER).during("a bot without owner")?;
                let bot = Bot::make(owner, nats, directory, index, tag);
                bot.await.during(format_args!("making bot {index}"))
            }
        });
        Ok(Self { all: stream::iter(bots).buffered(AT_ONCE).try_collect().await? })
    }

    /// Kills bots at the places of the plan, and starts each again after its absence.
    pub async fn kill_when_due(&self, kills: &[BotKill], run: &Run, messages: u64) -> Outcome {
        let each = kills.iter().map(|kill| async move {
            let bot = self.all.get(kill.bot).during("a kill of nobody")?;
            let _ = bot.said.subscribe().wait_for(|&said| said >= kill.at).await;
            let moment = rand::rng().random_range(0..ANYWHERE_WITHIN_MS * 1_000);
            sleep(Duration::from_micros(moment)).await;
            bot.kill()?;
            run.progress.bot_kills.up();
            // The deadline only bounds a run that has become slow.
            let until = (run.progress.sent() + kill.away).min(messages);
            let _ = timeout(AWAY, run.progress.sent_at_least(until)).await;
            bot.start()
        });
        future::try_join_all(each).await.map(drop)
    }

    /// Waits until each has the last entry of its channel, as far as that happens.
    pub async fn at_the_end(&self, last: &[u64]) -> Outcome {
        let stands = eventually("bots are at the end", AT_THE_END_WITHIN, async || {
            let mut behind = 0;
            for (bot, &last) in self.all.iter().zip(last) {
                bot.must_run()?;
                let taken = bot.taken()?;
                behind += u64::from(taken.last().is_none_or(|taken| taken.item.id < last));
            }
            Ok(Seen::when(behind == 0, format_args!("{behind} are behind")))
        });
        if let Err(failure) = stands.await {
            // What they lack is found when all is compared.
            println!("{failure}");
        }
        Ok(())
    }
}

impl Bot {
    async fn make(
        owner: &Person,
        nats: &str,
        directory: Arc<TempDir>,
        index: usize,
        tag: u32,
    ) -> Outcome<Arc<Self>> {
        let api = owner.api().await?;
        let username = format!("bot{index:03}_{tag:08x}");
        let body = json!({ "username": username, "display_name": format!("bot {index}") });
        let id = api.post("/bots", &body).await?.ok(201)?.id("id")?;
        let path = format!("/bots/{id}/credentials");
        let answer = api.post(&path, &json!({})).await?.ok(201)?;
        let name = format!("bot-{index:03}");
        std::fs::write(directory.path().join(format!("{name}.creds")), answer.text("creds")?)?;
        let bot = Self {
            id,
            username,
            said: watch::Sender::new(0),
            log: Log::new(directory.path(), &name),
            name,
            nats: nats.to_owned(),
            directory,
            process: Mutex::default(),
        };
        bot.start()?;
        Ok(Arc::new(bot))
    }

    fn start(&self) -> Outcome {
        let file = |ending: &str| self.directory.path().join(format!("{}.{ending}", self.name));
        let mut command = Command::new(locate::binary("natter-replay")?);
        command.args(["bot", "--id", &self.id.to_string(), "--nats", &self.nats]);
        command.arg("--creds").arg(file("creds")).arg("--journal").arg(file("journal"));
        let process = Process::start(&self.name, command, &self.log)?;
        *self.process.lock().unwrap_or_else(PoisonError::into_inner) = Some(process);
        Ok(())
    }

    fn kill(&self) -> Outcome {
        self.must_run()?;
        let process = self.process.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(process.during(format_args!("{} does not run", self.name))?);
        Ok(())
    }

    fn must_run(&self) -> Outcome {
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        process.iter_mut().try_for_each(Process::must_run)
    }

    /// All that it has been given, as its journal has it.
    pub fn taken(&self) -> Outcome<Vec<Taken>> {
        journal::read(&self.directory.path().join(format!("{}.journal", self.name)))
    }
}
