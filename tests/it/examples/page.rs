//! "Write a bot in five minutes", followed word for word: every block of the page, in its order, in one
//! shell, in an empty folder beside a platform.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use natter_tests::eventually::{Seen, eventually};
use natter_tests::process::{Log, Process};
use natter_tests::{Context as _, Outcome, ensure, locate};
use serde_json::json;

use super::language::made;
use super::scene::PATIENCE;
use crate::support::{World, play_within};

const LIMIT: Duration = Duration::from_mins(3);
/// What the page ends with, when all went well.
const ANSWERED: &str = "!echo hello, world\nhello, world\n";

#[test]
fn the_page_leads_to_a_bot_that_answers() {
    play_within(LIMIT, async |world| {
        let directory = tempfile::tempdir()?;
        let script = script(&blocks(&page()?));
        let log = Log::new(directory.path(), "page");
        let mut shell =
            Process::start("the page", shell(&world, directory.path(), &script)?, &log)?;
        let status = eventually("the page ends", PATIENCE, async || {
            Ok(shell.ended().map_or_else(|| Seen::not_yet(log.tail(0)), Seen::Done))
        })
        .await?;
        ensure!(status.success(), "{status}; printed:\n{}", log.tail(0));
        ensure!(log.tail(0).ends_with(ANSWERED), "printed:\n{}", log.tail(0));
        Ok(())
    });
}

fn page() -> Outcome<String> {
    Ok(std::fs::read_to_string(locate::repository()?.join("deploy/docs/five-minute-bot.md"))?)
}

/// The blocks of a page: what they are in, and what they hold.
fn blocks(page: &str) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in page.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(_), Some(_)) => all.extend(open.take()),
            (Some(kind), None) => open = Some((kind.to_owned(), String::new())),
            (None, Some((_, content))) => {
                content.push_str(line);
                content.push('\n');
            }
            (None, None) => {}
        }
    }
    all
}

/// What a person pastes and saves. The last block, "in a moment", is pasted until it shows two lines.
fn script(blocks: &[(String, String)]) -> String {
    let mut script = "set -eu -o pipefail\ntrap 'kill $(jobs -p)' EXIT\n".to_owned();
    let last = blocks.iter().rposition(|(kind, _)| kind == "sh");
    for (at, (kind, content)) in blocks.iter().enumerate() {
        let written = match kind.as_str() {
            "sh" if Some(at) == last => writeln!(
                script,
                "for try in $(seq 50); do said=$({content}); [ \"$(wc -l <<<\"$said\")\" = 2 ] \
                 && break; sleep 0.2; done; echo \"$said\""
            ),
            "sh" => write!(script, "{content}"),
            "python" => {
                let name = content.lines().next().and_then(|line| line.strip_prefix("# "));
                let name = name.unwrap_or("the first line is to be # and a name");
                write!(script, "cat >'{name}' <<'END OF BLOCK'\n{content}END OF BLOCK\n")
            }
            _ => Ok(()),
        };
        // Writing into a string does not fail.
        let _ = written;
    }
    script
}

/// A shell in a folder where a platform runs, as far as `./deploy/dev` tells.
fn shell(world: &World, directory: &Path, script: &str) -> Outcome<Command> {
    let dev = directory.join(".natter/dev");
    std::fs::create_dir_all(&dev)?;
    let edges: Vec<_> = world.edges.iter().map(|url| json!({ "url": url })).collect();
    let state = json!({ "edges": edges, "nats": { "url": world.nats } });
    std::fs::write(dev.join("dev.json"), state.to_string())?;
    let mut command = Command::new("bash");
    command.args(["-c", script]).current_dir(directory).env("TMPDIR", directory);
    // The same files that pip would fetch.
    let wheels = made("examples/wheels")?;
    let wheels = wheels.to_str().during("a path that is no text")?;
    command.env("PIP_NO_INDEX", "1").env("PIP_FIND_LINKS", wheels);
    Ok(command)
}

#[test]
fn the_page_and_the_examples_in_python_use_the_same_library() {
    let wanted = |text: &str| {
        let at = text.find("nats-py[nkeys]==").expect("it names the library");
        text[at..].split(['\'', '\n']).next().map(str::to_owned)
    };
    let pinned = locate::repository().unwrap().join("deploy/examples/python/requirements.txt");
    assert_eq!(wanted(&page().unwrap()), wanted(&std::fs::read_to_string(pinned).unwrap()));
}
