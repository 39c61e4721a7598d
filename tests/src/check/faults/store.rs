//! Stores: killed and paused, as `./deploy/services` has them.
//!
//! Invariant: only what `./deploy/services up` started is ended, and only by it; what it starts again
//! keeps its port and its data. Nobody waits for a start but [`World::calm`]: Cassandra takes half a
//! minute, and other faults go on meanwhile.

use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::{Heal, Kind, World, Wound};
use crate::eventually::{Seen, eventually};
use crate::outage::duty::RECOVERED_WITHIN_S;
use crate::process::signal;
use crate::stack::Stack;
use crate::stores::{Stores, services};
use crate::{Context as _, Outcome, ensure, locate};

/// What can be hit.
const STORES: [&str; 3] = ["cassandra", "mongo", "redis"];
/// A store that was started serves by then, also on a busy machine.
const SERVES_WITHIN: Duration = Duration::from_mins(3);
/// And then every process reaches it, as is promised.
const REACHED_WITHIN: Duration = Duration::from_secs(RECOVERED_WITHIN_S);

pub(super) async fn inject(kind: Kind, pick: u64) -> Outcome<Option<Wound>> {
    let running = services()?;
    let Some(store) = World::choose(pick, &STORES) else { return Ok(None) };
    // One that was killed may still be starting.
    let Some(pid) = running[store]["pid"].as_u64() else { return Ok(None) };
    let target = store.to_owned();
    if kind == Kind::PauseStore {
        let pid = u32::try_from(pid)?;
        signal(pid, "STOP")?;
        return Ok(Some(Wound { target, heal: Heal::Continue(vec![pid]) }));
    }
    let done = command("kill", store)?.output().await.during("killing a store")?;
    let said = String::from_utf8_lossy(&done.stderr).trim().to_owned();
    ensure!(done.status.success(), "killing {store}: {said}");
    Ok(Some(Wound { target, heal: Heal::Store(store) }))
}

/// Starts it again.
pub(super) fn start(store: &str) -> Outcome<Child> {
    command("start", store)?.spawn().during(format_args!("starting {store}"))
}

/// Waits until all that were started serve.
pub(super) async fn served(starting: &mut Vec<Child>) -> Outcome {
    for child in starting.drain(..) {
        let ended = timeout(SERVES_WITHIN, child.wait_with_output()).await;
        let done = ended.during("a store serves again")??;
        let said = String::from_utf8_lossy(&done.stderr).trim().to_owned();
        ensure!(done.status.success(), "a store does not start: {said}");
    }
    Ok(())
}

/// Waits until every process says that it reaches what it needs: until then some of what it shows is
/// what it knew last.
pub(super) async fn reached(stack: &Stack) -> Outcome {
    eventually("every process reaches its stores", REACHED_WITHIN, async || {
        let mut away = Vec::new();
        for name in stack.names() {
            let metrics = stack.metrics(&name).await?;
            away.extend(unreached(&metrics).map(|gauge| format!("{name}: {gauge}")));
        }
        Ok(Seen::when(away.is_empty(), away.join(", ")))
    })
    .await
}

fn unreached(metrics: &str) -> impl Iterator<Item = &str> {
    metrics.lines().filter(|line| {
        line.rsplit_once(' ').is_some_and(|(gauge, value)| {
            let name = gauge.split('{').next().unwrap_or_default();
            name.starts_with("natter_") && name.ends_with("_up") && value == "0"
        })
    })
}

/// Whether the servers that a platform is to use are those that can be hit, before anything is begun.
pub fn must_be_ours(stores: &Stores) -> Outcome {
    let running = services()?;
    for (store, url) in STORES.iter().zip([&stores.cassandra, &stores.mongodb, &stores.redis]) {
        let ours = running[store]["url"].as_str() == Some(url);
        ensure!(ours, "{store} cannot be killed: {url} is none of ./deploy/services up");
    }
    Ok(())
}

fn command(what: &str, store: &str) -> Outcome<Command> {
    let mut command = Command::new(locate::repository()?.join("deploy/services"));
    command.args([what, store]).stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(Stdio::piped()).kill_on_drop(true);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::unreached;

    #[test]
    fn what_is_not_reached_is_told_by_its_gauge() {
        let metrics = "# TYPE natter_redis_up gauge\nnatter_redis_up 1\nnatter_mongodb_up 0\n\
                       natter_history_store_up{stream=\"2\"} 0\nnatter_backup 0\n";
        let away: Vec<_> = unreached(metrics).collect();
        assert_eq!(away, ["natter_mongodb_up 0", "natter_history_store_up{stream=\"2\"} 0"]);
    }
}
