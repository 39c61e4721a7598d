//! `natter-workers audit` against a platform that is well, and one that is harmed by hand.
//!
//! Each test has a platform of its own, with passes each second and short patience.

use std::path::Path;
use std::time::Duration;

use natter_tests::eventually::{Seen, eventually};
use natter_tests::process::signal;
use natter_tests::stack::{Plan, Stack};
use natter_tests::stores::Stores;
use natter_tests::{Context as _, Outcome, ensure};
use scylla::client::session_builder::SessionBuilder;
use serde_json::Value;

use crate::support::{World, alone};

const LIMIT: Duration = Duration::from_mins(4);
/// Longer than a pass, a lease that nobody renews, and what edges take to say how far they are.
const NOTICED: Duration = Duration::from_mins(1);

/// Everything but the persister in one process, the persister and another auditor by themselves.
fn plan() -> Plan {
    let plan = Plan::default().workers(&[
        "setup,auth,profiles,channels,history,bots,ingress,delivery,auditor",
        "persister",
    ]);
    plan.setting("AUDITOR", "SWEEP_EVERY_S", "1").setting("AUDITOR", "LATE_S", "3")
}

/// The exit status, and what the auditor says of the only stream.
async fn audit(stack: &Stack) -> Outcome<(i32, Value)> {
    let (status, said) = stack.operate(&["audit", "--json"]).await?;
    let account = said.lines().find(|line| line.starts_with('{')).map(serde_json::from_str);
    let account = account.transpose()?.unwrap_or(Value::Null);
    Ok((status.code().during("the command was killed")?, account))
}

fn unaccounted(account: &Value, place: &str) -> u64 {
    let places = account["places"].as_array().into_iter().flatten();
    let mut found = places.filter(|standing| standing["place"] == place);
    found.next().and_then(|standing| standing["unaccounted"].as_u64()).unwrap_or(u64::MAX)
}

/// Waits until nothing is unaccounted for and the command says so.
async fn at_rest(stack: &Stack) -> Outcome<Value> {
    eventually("all is accounted for", NOTICED, async || {
        let (status, account) = audit(stack).await?;
        let rest = ["store", "edge", "bots"].iter().all(|place| unaccounted(&account, place) == 0);
        // Of an edge that has not said how far it is in this stream nothing is known.
        let said = account["edges"].as_array().into_iter().flatten();
        let edges = said.filter(|edge| edge["unaccounted"].is_u64()).count();
        let done = status == 0 && rest && edges == 2 && account["wrong_rows"] == 0;
        Ok(if done { Seen::Done(account) } else { Seen::not_yet(format!("{status} {account}")) })
    })
    .await
}

/// Waits until the command fails with an account that shows this.
async fn trouble(stack: &Stack, what: &str, shows: impl Fn(&Value) -> bool) -> Outcome<Value> {
    eventually(what, NOTICED, async || {
        let (status, account) = audit(stack).await?;
        let done = status == 1 && shows(&account);
        Ok(if done { Seen::Done(account) } else { Seen::not_yet(format!("{status} {account}")) })
    })
    .await
}

fn delete(directory: &Path, table: &str, conversation: u64, id: u64) -> Outcome {
    let store = rusqlite::Connection::open(directory.join("store/history.db"))?;
    store.busy_timeout(Duration::from_secs(10))?;
    let sequence = i64::try_from(id / 1024)?;
    let conversation = conversation.cast_signed();
    let sql = format!("DELETE FROM {table} WHERE conversation = ?1 AND seq = ?2");
    ensure!(store.execute(&sql, (conversation, sequence))? == 1, "no such row");
    Ok(())
}

/// Waits until a row is among the examples of what is missing.
async fn missed(stack: &Stack, channel: u64, id: u64, row: &str) -> Outcome {
    let wrong = serde_json::json!({
        "id": id.to_string(), "conversation_id": channel.to_string(),
        "row": row, "fault": "missing",
    });
    let told = trouble(stack, "the row is missed", |account| {
        account["examples"].as_array().is_some_and(|all| all.contains(&wrong))
    });
    told.await.map(drop)
}

async fn talk(world: &World) -> Outcome<(u64, Vec<u64>)> {
    let (owner, member, channel) = world.channel_of_two().await?;
    let mut sent = Vec::new();
    for n in 0..10 {
        sent.push(owner.post(channel, &n.to_string()).await?);
    }
    owner.edit(channel, sent[3], "edited").await?;
    owner.remove(channel, &member).await?;
    Ok((channel, sent))
}

#[test]
fn a_row_deleted_by_hand_is_noticed_with_its_id() {
    alone(LIMIT, plan(), async |stack, world| {
        let (channel, sent) = talk(&world).await?;
        at_rest(stack).await?;
        for (table, row, id) in [("entries", "entry", sent[2]), ("messages", "message", sent[5])] {
            delete(stack.directory(), table, channel, id)?;
            missed(stack, channel, id, row).await?;
        }
        let (status, said) = stack.operate(&["audit"]).await?;
        ensure!(status.code() == Some(1) && said.contains(&sent[2].to_string()), "{said}");
        // Metrics follow within a second.
        eventually("the metric says so", NOTICED, async || {
            let metrics = stack.metrics("worker-0").await?;
            let mut lines = metrics.lines().filter(|l| l.starts_with("natter_audit_wrong_rows"));
            let line = lines.next().unwrap_or_default();
            Ok(Seen::when(line == "natter_audit_wrong_rows{stream=\"0\"} 2", line))
        })
        .await?;
        Ok(())
    });
}

/// The same in Cassandra, where the deletion is newer than whatever the persister may write again.
async fn delete_in_cassandra(stores: &Stores, table: &str, conversation: u64, id: u64) -> Outcome {
    let session = SessionBuilder::new().known_node(&stores.cassandra).build().await?;
    let (conversation, sequence) = (conversation.cast_signed(), i64::try_from(id / 1024)?);
    let found = format!(
        "FROM {}.{table} WHERE conversation = {conversation} AND bucket = 0 AND seq = {sequence}",
        stores.name
    );
    let rows = session.query_unpaged(format!("SELECT seq {found}"), ()).await?;
    ensure!(rows.into_rows_result()?.rows_num() == 1, "no such row");
    session.query_unpaged(format!("DELETE {found}"), ()).await?;
    Ok(())
}

#[test]
fn a_row_deleted_in_cassandra_is_noticed_with_its_id() {
    let stores = Stores::find().unwrap();
    alone(LIMIT, plan().cluster(&stores), async |stack, world| {
        let (channel, sent) = talk(&world).await?;
        at_rest(stack).await?;
        for (table, row, id) in
            [("log_entries", "entry", sent[2]), ("messages", "message", sent[5])]
        {
            delete_in_cassandra(&stores, table, channel, id).await?;
            missed(stack, channel, id, row).await?;
        }
        Ok(())
    });
}

#[test]
fn what_the_persister_has_not_written_is_the_stores_to_account_for() {
    alone(LIMIT, plan(), async |stack, world| {
        let (channel, _) = talk(&world).await?;
        at_rest(stack).await?;
        stack.kill("worker-1")?;
        let owner = world.person("late").await?;
        let own = owner.channel("hall").await?;
        let waiting = owner.post(own, "not stored").await?;
        let account = trouble(stack, "it is late", |account| {
            unaccounted(account, "store") >= 1
                && account["places"][0]["oldest_s"].as_u64() > Some(3)
        })
        .await?;
        ensure!(unaccounted(&account, "edge") == 0, "{account}");
        let named = account["places"][0]["examples"].to_string();
        ensure!(named.contains(&own.to_string()) && waiting > channel % 2, "{account}");
        stack.revive("worker-1").await?;
        at_rest(stack).await.map(drop)
    });
}

#[test]
fn a_paused_edge_is_named() {
    alone(LIMIT, plan(), async |stack, world| {
        talk(&world).await?;
        at_rest(stack).await?;
        let pid = stack.pid("edge-1")?.during("the edge runs")?;
        signal(pid, "STOP")?;
        let owner = world.person_on(0, "awake").await?;
        let channel = owner.channel("hall").await?;
        owner.post(channel, "unheard").await?;
        let named = world.edges[1].clone();
        let seen = trouble(stack, "it is late", |account| {
            unaccounted(account, "edge") > 0 && account["places"][1]["who"] == named.as_str()
        })
        .await;
        signal(pid, "CONT")?;
        seen?;
        at_rest(stack).await.map(drop)
    });
}

#[test]
fn another_takes_over_and_without_any_the_command_says_so() {
    let two =
        ["setup,auth,profiles,channels,history,persister,bots,ingress,delivery,auditor", "auditor"];
    alone(LIMIT, plan().workers(&two), async |stack, world| {
        talk(&world).await?;
        at_rest(stack).await?;
        eventually("the other takes over", NOTICED, async || {
            let metrics = stack.metrics("worker-1").await?;
            if metrics.lines().any(|line| line == "natter_audit_active{stream=\"0\"} 1") {
                return Ok(Seen::Done(()));
            }
            // Who was stopped may be the first again to ask for the lease.
            stack.restart("worker-0").await?;
            at_rest(stack).await?;
            Ok(Seen::not_yet("the first audits again"))
        })
        .await?;
        stack.kill("worker-1")?;
        at_rest(stack).await?;
        stack.kill("worker-0")?;
        let (status, said) = stack.operate(&["audit"]).await?;
        ensure!(status.code() == Some(2), "{status}: {said}");
        Ok(())
    });
}
