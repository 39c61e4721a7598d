//! What pages of a long history cost in Cassandra: time, and rows read.
//!
//! `cargo bench -p natter-workers --bench history -- --entries 100000 --channels 200 --changes 10000
//! --pages 300`. One channel has all the entries, of which some are edited and some deleted;
//! `--channels` others have a hundred each. A page is read from the store, then its authors (of
//! 100, who write in turn) are asked from the profiles role, as an edge does, through a bus of its own and
//! a real Redis: given are the times of the page alone and of both.
//!
//! Rows are counted twice: those that the servers gave (the counter that operators see, lists of
//! buckets included), and those that the servers say they read, from their traces of some pages.

#![expect(clippy::expect_used, clippy::cast_precision_loss, reason = "a benchmark, with rates")]

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bus_schema::ids::{ConversationId, StreamIndex, UserId};
use bus_schema::runtime::bus::Bus;
use bus_schema::runtime::shutdown::Shutdown;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use natter_workers::store::Stores;
use natter_workers::store::cluster::cassandra::CassandraSettings;
use natter_workers::store::cluster::redis::RedisSettings;
use natter_workers::store::history::{Anchor, HistoryStore, PageQuery, PageRows};
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::statement::Consistency;

use self::common::world::{World, ask, register};
use self::common::{argument, at, created, deleted, edited, entry, percentile, said_by};

/// Who writes.
const AUTHORS: u64 = 100;
const STREAM: StreamIndex = StreamIndex(0);
/// The long channel.
const LONG: ConversationId = ConversationId(7);
/// Messages of a page, as READY shows them.
const PAGE: u32 = 50;
/// Pages whose traces are read.
const TRACED: u64 = 10;
/// Entries written at once.
const BATCH: usize = 4_000;

#[tokio::main]
async fn main() {
    let metrics = PrometheusBuilder::new().install_recorder().expect("the only one");
    let (entries, channels) = (argument("--entries", 100_000), argument("--channels", 200));
    let (changes, pages) = (argument("--changes", 10_000), argument("--pages", 300));
    let settings = common::cassandra(false);
    let (world, shutdown) = (World::start().await, Shutdown::new());
    let people = Stores::embedded(&world.directory.path().join("people")).await.expect("opened");
    let authors = register(&world, &people, AUTHORS, &shutdown).await;
    let people = people.with_profiles_in(&redis()).expect("a Redis");
    let profiles = world.profiles(people, &shutdown).await;
    let directory = tempfile::tempdir().expect("a directory");
    let open = async |settings: &CassandraSettings, name: &str| {
        let stores = Stores::with_history_in(settings, &directory.path().join(name)).await;
        stores.expect("opened").history()
    };
    let store = open(&settings, "plain").await;
    store.migrate().await.expect("tables");
    let begun = Instant::now();
    let last = fill(&*store, &authors, entries, channels, changes).await;
    println!(
        "{entries} entries in one channel, {channels} channels of 100, {changes} edits and \
         deletions, written in {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    let traced = CassandraSettings { trace: true, ..settings.clone() };
    let bench = Bench {
        store,
        traced: open(&traced, "traced").await,
        session: session(&settings).await,
        profiles,
        metrics,
        pages,
    };
    let random = |n: u64| rand::random::<u64>() % n.max(1);
    let page =
        |conversation, anchor, older, newer| PageQuery { conversation, anchor, older, newer };
    // One more than is shown, as the service asks: to see whether there are more.
    let older = |conversation, at| page(conversation, Anchor::Seq(at), PAGE + 1, 0);
    bench.run("newest", || older(LONG, last + 1)).await;
    bench.run("in the middle", || older(LONG, random(entries))).await;
    bench.run("around a message", || page(LONG, Anchor::Seq(random(entries)), 26, 26)).await;
    bench.run("at a time", || page(LONG, Anchor::At(at(random(entries))), 26, 26)).await;
    if channels > 0 {
        let short = || older(ConversationId(1_000 + random(channels)), last + 1);
        bench.run("newest of a short one", short).await;
    }
    let cql = format!("DROP KEYSPACE {}", settings.keyspace);
    bench.session.query_unpaged(cql, ()).await.expect("dropped");
    shutdown.request();
}

/// Keys of its own, which end by themselves.
fn redis() -> RedisSettings {
    let key_prefix = format!("natter_bench_{:016x}:", rand::random::<u64>());
    RedisSettings { url: common::redis(), key_prefix, ..RedisSettings::default() }
}

/// The long channel and its changes, and the short ones between. The last sequence.
async fn fill(
    store: &dyn HistoryStore,
    authors: &[UserId],
    entries: u64,
    channels: u64,
    changes: u64,
) -> u64 {
    let by = |n: u64| authors[(n % AUTHORS) as usize];
    let short = channels * 100;
    let all = entries + changes + short;
    let mut batch = Vec::with_capacity(BATCH);
    let mut long = 0;
    for seq in 1..=all {
        let body = if seq == 1 {
            created(LONG)
        } else if seq <= entries {
            long = seq;
            said_by(by(seq), LONG, seq)
        } else if seq <= entries + changes {
            // Every other one is edited, the rest are deleted, spread over all.
            let n = seq - entries;
            let target = 2 + n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % (long - 2).max(1);
            if n.is_multiple_of(2) { edited(LONG, target) } else { deleted(LONG, target) }
        } else {
            let n = seq - entries - changes - 1;
            let channel = ConversationId(1_000 + n % channels);
            if n < channels { created(channel) } else { said_by(by(seq), channel, seq) }
        };
        batch.push(entry(seq, body));
        if batch.len() >= BATCH || seq == all {
            store.write_batch(STREAM, std::mem::take(&mut batch), seq).await.expect("written");
        }
    }
    all
}

/// The tables of traces are to be on two servers, and there is one: a quorum is never had.
async fn session(settings: &CassandraSettings) -> Session {
    let profile = ExecutionProfile::builder().consistency(Consistency::One).build();
    SessionBuilder::new()
        .known_node(&settings.url)
        .default_execution_profile_handle(profile.into_handle())
        .build()
        .await
        .expect("Cassandra is there")
}

struct Bench {
    store: Arc<dyn HistoryStore>,
    /// The same, leaving traces in the servers.
    traced: Arc<dyn HistoryStore>,
    session: Session,
    /// Where profiles are asked for.
    profiles: Bus,
    metrics: PrometheusHandle,
    pages: u64,
}

impl Bench {
    async fn run(&self, name: &str, query: impl Fn() -> PageQuery) {
        let (mut alone, mut both) = (Vec::new(), Vec::new());
        let (mut given, mut short) = (0, 0);
        // The first pages find cold caches and connections.
        for _ in 0..20 {
            let page = self.store.page(STREAM, query()).await.expect("a page").value;
            ask(&self.profiles, &authors(&page)).await;
        }
        let before = self.rows_given();
        for _ in 0..self.pages {
            let begun = Instant::now();
            let page = self.store.page(STREAM, query()).await.expect("a page").value;
            alone.push(begun.elapsed());
            let asked = authors(&page);
            let users = ask(&self.profiles, &asked).await.users;
            both.push(begun.elapsed());
            assert_eq!(users.len(), asked.len(), "somebody has no profile");
            let rows = page.older.rows.len() + page.newer.rows.len();
            given += rows;
            short += u64::from(rows < PAGE as usize);
        }
        let rows = (self.rows_given() - before) / self.pages as f64;
        let (mean, most) = self.traced(&query).await;
        println!(
            "{name}: p50 {:.2} ms, p99 {:.2} ms; with its profiles p50 {:.2} ms, p99 {:.2} ms; shown \
             {:.1}; rows given {rows:.1} a page, rows read by the server {mean:.1} a page, at most \
             {most} ({TRACED} traced); short {short}",
            ms(percentile(&mut alone, 0.5)),
            ms(percentile(&mut alone, 0.99)),
            ms(percentile(&mut both, 0.5)),
            ms(percentile(&mut both, 0.99)),
            given as f64 / self.pages as f64,
        );
        assert!(rows <= f64::from(4 * PAGE), "more than four times the page");
    }

    fn rows_given(&self) -> f64 {
        let said = self.metrics.render();
        let line = said.lines().find(|line| line.starts_with("natter_history_rows_read_total"));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0.0)
    }

    /// Rows that the servers say they read for a page: mean and most.
    async fn traced(&self, query: &impl Fn() -> PageQuery) -> (f64, u64) {
        let (mut all, mut most) = (0, 0);
        for _ in 0..TRACED {
            for table in ["sessions", "events"] {
                let cql = format!("TRUNCATE system_traces.{table}");
                self.session.query_unpaged(cql, ()).await.expect("truncated");
            }
            self.traced.page(STREAM, query()).await.expect("a page");
            // Traces are written behind the answers.
            let mut rows = self.rows_traced().await;
            loop {
                tokio::time::sleep(Duration::from_millis(500)).await;
                let again = self.rows_traced().await;
                if again == rows && again > 0 {
                    break;
                }
                rows = again;
            }
            all += rows;
            most = rows.max(most);
        }
        (all as f64 / TRACED as f64, most)
    }

    async fn rows_traced(&self) -> u64 {
        let cql = "SELECT activity FROM system_traces.events";
        let found = self.session.query_unpaged(cql, ()).await.expect("read");
        let rows = found.into_rows_result().expect("rows");
        let activities = rows.rows::<(String,)>().expect("texts");
        let read = activities.filter_map(|row| {
            let (activity,) = row.ok()?;
            let rest = activity.strip_prefix("Read ")?;
            rest.split(' ').next()?.parse::<u64>().ok()
        });
        read.sum()
    }
}

/// Whose profiles a page needs, each once.
fn authors(page: &PageRows) -> Vec<UserId> {
    let rows = page.older.rows.iter().chain(&page.newer.rows);
    let all: BTreeSet<UserId> = rows.map(|row| row.author).collect();
    all.into_iter().collect()
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}
