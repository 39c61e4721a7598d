//! What the benchmarks share: where the servers are, sizes from the command line, entries to write.

#![allow(
    dead_code,
    clippy::expect_used,
    reason = "each benchmark uses a part, and ends when there is no server"
)]

pub(crate) mod world;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bus_schema::entry::{Body, Entry, MemberChange, MessageCreate, MessageDelete, MessageUpdate};
use bus_schema::ids::{ConversationId, EntryId, StreamIndex, UserId};
use bus_schema::text::{Content, Nonce};
use bus_schema::timestamp::Timestamp;
use natter_workers::store::cluster::cassandra::CassandraSettings;

/// The value of `--name value`, or a default.
pub(crate) fn argument(name: &str, default: u64) -> u64 {
    let mut arguments = std::env::args().skip_while(|argument| argument != name).skip(1);
    arguments.next().map_or(default, |value| value.parse().expect("a number"))
}

/// Settings for a keyspace of its own.
pub(crate) fn cassandra(trace: bool) -> CassandraSettings {
    let running = || running("cassandra");
    let url = std::env::var("NATTER_TEST_CASSANDRA").ok().or_else(running).expect(
        "no Cassandra: run `./deploy/services up cassandra`, or name one in NATTER_TEST_CASSANDRA",
    );
    CassandraSettings {
        url,
        keyspace: format!("natter_bench_{:08x}", rand::random::<u32>()),
        // A loaded machine is slow, not broken.
        read_timeout_ms: 20_000,
        write_timeout_ms: 20_000,
        trace,
        ..CassandraSettings::default()
    }
}

/// Where Redis is.
pub(crate) fn redis() -> String {
    let running = || running("redis");
    std::env::var("NATTER_TEST_REDIS")
        .ok()
        .or_else(running)
        .expect("no Redis: run `./deploy/services up redis`, or name one in NATTER_TEST_REDIS")
}

fn running(name: &str) -> Option<String> {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../.natter/services/services.json");
    let said: serde_json::Value =
        serde_json::from_slice(&std::fs::read(Path::new(file)).ok()?).ok()?;
    said[name]["url"].as_str().map(str::to_owned)
}

/// A nats-server of its own, without users, killed when dropped.
pub(crate) struct Nats {
    process: Child,
    pub(crate) url: String,
}

impl Drop for Nats {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Nats {
    pub(crate) async fn start(directory: &Path) -> Self {
        let binary = std::env::var_os("NATTER_NATS_SERVER").unwrap_or("nats-server".into());
        let process = Command::new(binary)
            .args(["-a", "127.0.0.1", "-p", "-1", "-js", "-sd"])
            .arg(directory.join("nats"))
            .arg("--ports_file_dir")
            .arg(directory)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nats-server starts; name it in NATTER_NATS_SERVER");
        let ports = directory.join(format!("nats-server_{}.ports", process.id()));
        let mut server = Self { process, url: String::new() };
        for _ in 0..500 {
            let said = std::fs::read(&ports)
                .ok()
                .and_then(|said| serde_json::from_slice::<serde_json::Value>(&said).ok());
            if let Some(url) = said.and_then(|said| Some(said["nats"][0].as_str()?.to_owned())) {
                server.url = url;
                return server;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        unreachable!("nats-server does not listen")
    }
}

/// The creator of every channel.
pub(crate) const OWNER: UserId = UserId(1);

/// The first entry of a channel.
pub(crate) fn created(conversation_id: ConversationId) -> Body {
    Body::MemberAdd(MemberChange { conversation_id, user_id: OWNER, author_id: OWNER, revision: 1 })
}

/// A message as long as most are.
pub(crate) fn said(conversation_id: ConversationId, n: u64) -> Body {
    said_by(OWNER, conversation_id, n)
}

/// The same, by somebody.
pub(crate) fn said_by(author_id: UserId, conversation_id: ConversationId, n: u64) -> Body {
    let text = format!("{n}: a line of some sixty bytes, as people write them in a channel");
    Body::MessageCreate(MessageCreate {
        conversation_id,
        author_id,
        content: Content::parse(&text).expect("within the rules"),
        edited_at: None,
        nonce: Some(Nonce::parse(&format!("nonce-{n}")).expect("within the rules")),
    })
}

pub(crate) fn edited(conversation_id: ConversationId, target: u64) -> Body {
    Body::MessageUpdate(MessageUpdate {
        conversation_id,
        message_id: EntryId::new(target, StreamIndex(0)),
        content: Content::parse("changed my mind").expect("within the rules"),
        author_id: OWNER,
    })
}

pub(crate) fn deleted(conversation_id: ConversationId, target: u64) -> Body {
    Body::MessageDelete(MessageDelete {
        conversation_id,
        message_id: EntryId::new(target, StreamIndex(0)),
        author_id: OWNER,
    })
}

/// The time of the entry at a sequence.
pub(crate) fn at(seq: u64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + seq * 10)
}

pub(crate) fn entry(seq: u64, body: Body) -> Entry {
    let payload = body.encode();
    Entry { id: EntryId::new(seq, StreamIndex(0)), at: at(seq), body, payload }
}

/// The value below which `part` of all are.
pub(crate) fn percentile(all: &mut [Duration], part: f64) -> Duration {
    all.sort_unstable();
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let at = ((all.len().max(1) - 1) as f64 * part) as usize;
    all[at]
}
