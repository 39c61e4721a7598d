//! The moderation log.

use std::cell::Cell;
use std::time::Duration;

use natter_tests::eventually::{Seen, eventually};
use natter_tests::json::Look as _;
use natter_tests::process::Process;
use natter_tests::stack::Plan;
use natter_tests::{Context as _, Outcome};
use rand::RngExt as _;
use serde_json::Value;

use super::language::Language;
use super::scene::{PATIENCE, Scene};
use crate::support::alone;

const LIMIT: Duration = Duration::from_mins(5);
/// Messages written before the bot runs: more than wait for it, so that it is told of a GAP.
const BEFORE: usize = 60;
/// Messages written while it runs and is killed, at least and at most.
const DURING: std::ops::Range<usize> = 60..1000;
/// People wait when the bot has that many messages to log: none is as fast as the platform.
const BEHIND: usize = 60;
const KILLS: usize = 4;

/// An event that a dead bot took comes again soon; few wait for a bot.
fn plan() -> Plan {
    Plan::default().setting("BOTS", "ACK_WITHIN_S", "1").setting("DELIVERY", "BACKLOG_EVENTS", "40")
}

pub(super) fn survives(language: Language) {
    alone(LIMIT, plan(), async |_, world| {
        let scene = Scene::new(&world, language).await?;
        for n in 0..BEFORE {
            write(&scene, n).await?;
        }
        // There is something to miss until it was killed for the last time.
        let killed = Cell::new(false);
        let written = async {
            for n in DURING.take_while(|&n| n < 2 * DURING.start || !killed.get()) {
                eventually("the bot is not far behind", PATIENCE, async || {
                    let behind = (BEFORE + n).saturating_sub(logged(&scene)?.len());
                    Ok(Seen::when(killed.get() || behind <= BEHIND, behind))
                })
                .await?;
                write(&scene, n).await?;
            }
            Ok(())
        };
        let bot = async {
            let bot = kill_again_and_again(&scene).await;
            killed.set(true);
            bot
        };
        let (written, bot): (Outcome, _) = tokio::join!(written, bot);
        written?;
        let mut bot = bot?;
        let wanted = wanted(&scene).await?;
        let logged = scene
            .wait("all is logged", &mut bot, async || {
                let logged = logged(&scene)?;
                let status = format!("{} of {} entries", logged.len(), wanted.len());
                Ok(if logged.len() < wanted.len() {
                    Seen::not_yet(status)
                } else {
                    Seen::Done(logged)
                })
            })
            .await?;
        scene.check(wanted.len() >= BEFORE + DURING.start, "too little was written")?;
        let same = logged.len() == wanted.len() && logged.iter().zip(&wanted).all(same);
        scene.check(same, &format!("logged {logged:#?}, but there is {wanted:#?}"))
    });
}

/// One of two people says something, and sometimes changes or deletes it.
async fn write(scene: &Scene, n: usize) -> Outcome {
    let who = if n.is_multiple_of(3) { &scene.owner } else { &scene.member };
    let content = format!("{n}: \"it's\" \\n {{{{.Count}}}} ünï\ncode");
    let id = who.post(scene.channel, &content).await?;
    match n % 20 {
        7 => drop(who.edit(scene.channel, id, "changed").await?),
        13 => who.delete(scene.channel, id).await?,
        _ => {}
    }
    Ok(())
}

/// Starts the bot and kills it as soon as it has logged a few more entries, several times; once
/// leaves half a line, as a machine may that loses its power. Gives the one that is left alive.
async fn kill_again_and_again(scene: &Scene) -> Outcome<Process> {
    let file = scene.file("log");
    let file = file.to_str().during("a path that is no text")?;
    for round in 0..KILLS {
        let enough = logged(scene)?.len() + rand::rng().random_range(1..=12);
        let mut bot = scene.start("modlog", &[file])?;
        scene
            .wait("some more entries are logged", &mut bot, async || {
                let lines = logged(scene)?.len();
                Ok(Seen::when(lines >= enough, format!("{lines} of {enough}")))
            })
            .await?;
        bot.kill();
        if round == 1 {
            let mut content = std::fs::read(file)?;
            content.extend_from_slice(b"{\"t\":\"MESSAGE_CRE");
            std::fs::write(file, content)?;
        }
    }
    scene.start("modlog", &[file])
}

/// An entry: its kind, its id, and what was said with it.
type Entry = (String, u64, String);

fn entry(event: &Value) -> Outcome<Entry> {
    let kind = event["t"].as_str().during("an event without a name")?.to_owned();
    let content = event["d"]["content"].as_str().unwrap_or_default().to_owned();
    Ok((kind, event["d"].id("id")?, content))
}

/// The whole lines of the file.
fn logged(scene: &Scene) -> Outcome<Vec<Entry>> {
    let content = match std::fs::read_to_string(scene.file("log")) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        read => read?,
    };
    let whole = content.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
    whole.map(|line| entry(&serde_json::from_str(line)?)).collect()
}

/// Whether two are the same entry. What was deleted has no content any more where it is read later.
fn same((logged, wanted): (&Entry, &Entry)) -> bool {
    let content = wanted.2.is_empty() || logged.2 == wanted.2;
    content && (&logged.0, logged.1) == (&wanted.0, wanted.1)
}

/// What must be in it: all entries from the bot's own addition on.
async fn wanted(scene: &Scene) -> Outcome<Vec<Entry>> {
    let all = scene.entries(0).await?;
    let own = |event: &&Value| event["t"] != "MEMBER_ADD" || !scene.bot.is(&event["d"]["user_id"]);
    all.iter().skip_while(own).map(entry).collect()
}
