//! How fast the persister brings a full log into Cassandra, against a bare loop of the same driver
//! that writes the same rows in the same requests, with the same consistency and as many of them
//! under way.
//!
//! `cargo bench -p natter-workers --bench persister -- --entries 60000 --channels 40 --rounds 2`.
//! Needs `NATTER_NATS_SERVER` and a running Cassandra. The bare loop has no log to read, nothing to
//! decode and judge, and no floor; it writes what is prepared in memory.

#![expect(clippy::expect_used, clippy::cast_precision_loss, reason = "a benchmark, with rates")]

mod common;

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use bus_schema::entry::{Body, shown_deleted};
use bus_schema::ids::{ConversationId, StreamIndex};
use bus_schema::permissions::BusUser;
use bus_schema::runtime::bus::Bus;
use bus_schema::runtime::log;
use bus_schema::runtime::settings::BusSettings;
use bus_schema::runtime::shutdown::Shutdown;
use bus_schema::subjects::LogSubject;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use natter_workers::roles::persister::{self, PersisterSettings};
use natter_workers::roles::setup::{self, SetupSettings};
use natter_workers::store::Stores;
use natter_workers::store::cluster::cassandra::CassandraSettings;
use scylla::client::PoolSize;
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::statement::Consistency;
use scylla::statement::batch::{Batch, BatchType};
use scylla::statement::prepared::PreparedStatement;

use self::common::{Nats, argument, created, said};

/// Appends under way at once while the log is filled.
const FILLING: usize = 512;
/// Rows of one request, as the store has them.
const TOGETHER: usize = 100;
/// Stream sequences of one bucket, as the store has them.
const BUCKET: i64 = 1 << 18;

#[tokio::main]
async fn main() {
    let (entries, channels) = (argument("--entries", 60_000), argument("--channels", 40));
    let rounds = argument("--rounds", 2);
    println!("{entries} entries in {channels} channels, {rounds} rounds each");
    // The servers' first seconds are slower than all that follow.
    bare(entries / 4, channels, &common::cassandra(false)).await;
    for streams in [1, 2, 4] {
        let mut ratios = Vec::new();
        for round in 1..=rounds {
            let bare = bare(entries, channels, &common::cassandra(false)).await;
            let ours = ours(entries, channels, streams, &common::cassandra(false)).await;
            let ratio = ours / bare;
            println!(
                "streams {streams} round {round}: persister {ours:.0}/s, bare loop {bare:.0}/s, \
                 ratio {ratio:.2}"
            );
            ratios.push(ratio);
        }
        let mean = ratios.iter().sum::<f64>() / ratios.len() as f64;
        println!("streams {streams}: mean ratio {mean:.2}");
    }
}

/// What the log is filled with: channels in turn, each created first.
fn bodies(entries: u64, channels: u64) -> impl Iterator<Item = (ConversationId, Body)> {
    (0..entries).map(move |n| {
        // Spread over all partitions of the log, so over all streams.
        let channel = ConversationId(1 + (n % channels) * 257);
        (channel, if n < channels { created(channel) } else { said(channel, n) })
    })
}

async fn session(settings: &CassandraSettings) -> Session {
    let profile = ExecutionProfile::builder()
        .consistency(Consistency::LocalQuorum)
        .request_timeout(Some(Duration::from_secs(20)))
        .build();
    let connections = settings.connections.try_into().expect("not zero");
    SessionBuilder::new()
        .known_node(&settings.url)
        .default_execution_profile_handle(profile.into_handle())
        .pool_size(PoolSize::PerHost(connections))
        .build()
        .await
        .expect("Cassandra is there")
}

async fn forget(settings: &CassandraSettings) {
    let cql = format!("DROP KEYSPACE {}", settings.keyspace);
    session(settings).await.query_unpaged(cql, ()).await.expect("dropped");
}

/// Entries a second of the persister, from its start until all is stored.
async fn ours(entries: u64, channels: u64, streams: u64, cassandra: &CassandraSettings) -> f64 {
    let directory = tempfile::tempdir().expect("a directory");
    let nats = Nats::start(directory.path()).await;
    let settings = BusSettings { url: nats.url.clone(), ..BusSettings::default() };
    let stores = stores(cassandra, directory.path()).await;
    let setup = SetupSettings { streams, ..SetupSettings::default() };
    let bus = Bus::connect(&settings, BusUser::Setup).await.expect("connected");
    setup::run(bus.clone(), stores.clone(), &setup, Shutdown::new()).await.expect("set up");
    let layout = bus.layout().await.expect("a layout");
    let mut last: HashMap<StreamIndex, u64> = HashMap::new();
    // Channels must exist before anybody speaks in them; beyond that any order will do.
    let (first, rest): (Vec<_>, Vec<_>) = {
        let mut all: Vec<_> = bodies(entries, channels).enumerate().collect();
        let rest = all.split_off(usize::try_from(channels).expect("small"));
        (all, rest)
    };
    for part in [first, rest] {
        let bus = &bus;
        let appended = stream::iter(part).map(|(n, (channel, body))| async move {
            let place = LogSubject::Channel(channel);
            let (kind, id) = (body.kind().as_str(), format!("bench:{n}"));
            let stored = log::publish(bus, place, kind, body.encode(), &id).await;
            (place, stored.expect("appended").sequence)
        });
        let appended: Vec<_> = appended.buffer_unordered(FILLING).collect().await;
        for (place, sequence) in appended {
            let last = last.entry(layout.stream_of(place)).or_default();
            *last = sequence.max(*last);
        }
    }
    let history = stores.history();
    for stream in last.keys() {
        assert_eq!(history.floor(*stream).await.expect("connected"), 0);
    }
    let bus = Bus::connect(&settings, BusUser::Persister).await.expect("connected");
    let shutdown = Shutdown::new();
    let begun = Instant::now();
    let running = tokio::spawn({
        let (stores, shutdown) = (stores.clone(), shutdown.clone());
        async move { persister::run(bus, stores, &PersisterSettings::default(), shutdown).await }
    });
    for (stream, last) in &last {
        while history.floor(*stream).await.expect("answers") < *last {
            assert!(!running.is_finished(), "the persister ended");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    let rate = entries as f64 / begun.elapsed().as_secs_f64();
    shutdown.request();
    running.await.expect("not cancelled").expect("ended well");
    forget(cassandra).await;
    rate
}

async fn stores(cassandra: &CassandraSettings, directory: &Path) -> Stores {
    Stores::with_history_in(cassandra, &directory.join("embedded")).await.expect("opened")
}

type EntryRow = (i64, i64, i64, i64, i8, String, String, i64);
type MessageRow = (i64, i64, i64, i64, i64, String, String, i64);

/// The rows of one channel in a batch.
struct Request {
    entries: Vec<EntryRow>,
    messages: Vec<MessageRow>,
    first: (i64, i64, i64, i64),
    last: (i64, i64, i64, i64),
}

/// Entries a second of the bare loop.
async fn bare(entries: u64, channels: u64, settings: &CassandraSettings) -> f64 {
    let directory = tempfile::tempdir().expect("a directory");
    let stores = stores(settings, directory.path()).await;
    stores.history().migrate().await.expect("tables");
    let session = session(settings).await;
    let prepare = async |cql: &str| {
        let mut made =
            session.prepare(cql.replace("{k}", &settings.keyspace)).await.expect("valid");
        made.set_is_idempotent(true);
        made
    };
    let keep = prepare(
        "INSERT INTO {k}.log_entries (conversation, bucket, seq, at, kind, payload, emptied)
         VALUES (?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?",
    )
    .await;
    let create = prepare(
        "INSERT INTO {k}.messages (conversation, bucket, seq, at, author, nonce, content)
         VALUES (?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?",
    )
    .await;
    let first = prepare(
        "UPDATE {k}.buckets USING TIMESTAMP ? SET first_at = ? WHERE conversation = ? AND bucket = ?",
    )
    .await;
    let last = prepare(
        "UPDATE {k}.buckets USING TIMESTAMP ? SET last_seq = ? WHERE conversation = ? AND bucket = ?",
    )
    .await;
    let requests = requests(entries, channels);
    let (session, keep, create, first, last) = (&session, &keep, &create, &first, &last);
    let begun = Instant::now();
    let written = stream::iter(requests).map(|request| async move {
        let rows = async {
            let count = request.entries.len() + request.messages.len();
            let mut batch = Batch::new(BatchType::Unlogged);
            batch.set_is_idempotent(true);
            let mut values = Vec::with_capacity(count);
            for row in &request.entries {
                batch.append_statement(keep.clone());
                values.push(Row::Entry(row));
            }
            for row in &request.messages {
                batch.append_statement(create.clone());
                values.push(Row::Message(row));
            }
            session.batch(&batch, values).await
        };
        rows.await?;
        let mut batch = Batch::new(BatchType::Unlogged);
        batch.set_is_idempotent(true);
        append(&mut batch, [first, last]);
        session.batch(&batch, (request.first, request.last)).await
    });
    let () = written
        .buffer_unordered(settings.writes_at_once)
        .try_for_each(|_| async { Ok(()) })
        .await
        .expect("written");
    let rate = entries as f64 / begun.elapsed().as_secs_f64();
    forget(settings).await;
    rate
}

fn append(batch: &mut Batch, statements: [&PreparedStatement; 2]) {
    for statement in statements {
        batch.append_statement(statement.clone());
    }
}

enum Row<'a> {
    Entry(&'a EntryRow),
    Message(&'a MessageRow),
}

impl scylla::serialize::row::SerializeRow for Row<'_> {
    fn serialize(
        &self,
        ctx: &scylla::serialize::row::RowSerializationContext<'_>,
        writer: &mut scylla::serialize::writers::RowWriter<'_>,
    ) -> Result<(), scylla::serialize::SerializationError> {
        match self {
            Self::Entry(row) => row.serialize(ctx, writer),
            Self::Message(row) => row.serialize(ctx, writer),
        }
    }

    fn is_empty(&self) -> bool {
        false
    }
}

/// The rows that the persister writes for the same log: batches of a thousand entries, each cut by
/// channel and then by rows.
fn requests(entries: u64, channels: u64) -> Vec<Request> {
    let batch = PersisterSettings::default().batch_entries;
    let all: Vec<_> = (1i64..).zip(bodies(entries, channels)).collect();
    let mut requests = Vec::new();
    for batch in all.chunks(batch) {
        let mut of: HashMap<ConversationId, Vec<(i64, &Body)>> = HashMap::new();
        for (seq, (channel, body)) in batch {
            of.entry(*channel).or_default().push((*seq, body));
        }
        for (channel, rows) in of {
            for rows in rows.chunks(TOGETHER / 2) {
                requests.push(request(channel, rows));
            }
        }
    }
    requests
}

fn request(channel: ConversationId, rows: &[(i64, &Body)]) -> Request {
    let id = channel.0.cast_signed();
    let (mut entries, mut messages) = (Vec::new(), Vec::new());
    for (seq, body) in rows {
        let (bucket, at) = (seq / BUCKET, 1_700_000_000_000 + seq);
        let payload = body.encode();
        if let Body::MessageCreate(message) = body {
            let emptied = shown_deleted(&payload).expect("an object");
            let nonce = message.nonce.as_ref().expect("it has one").as_str().to_owned();
            let (author, content) = (message.author_id.0.cast_signed(), message.content.as_str());
            entries.push((id, bucket, *seq, at, 1, payload, emptied, *seq));
            messages.push((id, bucket, *seq, at, author, nonce, content.to_owned(), *seq));
        } else {
            entries.push((id, bucket, *seq, at, 4, payload, String::new(), *seq));
        }
    }
    let (low, high) = (rows[0].0, rows[rows.len() - 1].0);
    let first = ((1 << 62) - low, 1_700_000_000_000 + low, id, low / BUCKET);
    Request { entries, messages, first, last: (high, high, id, low / BUCKET) }
}
