//! The keyspace and its tables, made and changed step by step by the setup role.
//!
//! Invariants: steps are append-only, and each may be done again, also by two at once: tables are
//! made with ids that follow from their names, so that servers which make the same table at the
//! same time make one table. Nobody else changes the schema; others wait until all steps they
//! know of are done.

use scylla::client::session::Session;
use scylla::value::CqlTimestamp;
use sha2::{Digest as _, Sha256};

use crate::store::StoreError;
use crate::store::cluster::cassandra::{
    CassandraSettings, Replication, connect, corrupt, failed, unavailable,
};

/// What is done already: a row for each step.
const STEPS_TABLE: &str = "schema_steps";
/// Whose steps these are.
const PART: &str = "history";

/// A step: a table and the rest of the statement that makes it.
struct Step {
    table: &'static str,
    columns: &'static str,
    options: &'static str,
}

/// What rows are kept as. Rows come in the order of their clustering and seldom change, so tiers
/// of runs overlap little, few are read for a page, and each row is rewritten seldom: T4.
/// `gc_grace_seconds` stays as it is though nothing is deleted: hints live no longer than it.
const APPENDED: &str =
    "compaction = {'class': 'UnifiedCompactionStrategy', 'scaling_parameters': 'T4'}";
/// Small rows written over and over and read one by one: levels keep few versions of each.
const UPDATED: &str =
    "compaction = {'class': 'UnifiedCompactionStrategy', 'scaling_parameters': 'L4'}";

const STEPS: &[Step] = &[
    // The log as it was, valid entries of all kinds (`entries` is a word of CQL). A message's `payload` is empty once it is
    // deleted; `emptied` is what is shown then, written with the message so that deleting need not
    // read. Seldom read once it is old, and the largest: compressed best.
    Step {
        table: "log_entries",
        columns: "conversation bigint, bucket bigint, seq bigint, at bigint, kind tinyint,
            payload text, emptied text, PRIMARY KEY ((conversation, bucket), seq)",
        options: "compression = {'class': 'ZstdCompressor', 'chunk_length_in_kb': 16}",
    },
    // Final state. An edit or a deletion that comes before its message leaves a row without author,
    // which is nobody's message until the message comes. Pages are mostly read from the newest
    // down, so that is the order on disk. A page of 50 is one or two chunks.
    Step {
        table: "messages",
        columns: "conversation bigint, bucket bigint, seq bigint, at bigint, author bigint,
            nonce text, content text, edited_at bigint, edit_seq bigint, deleted_seq bigint,
            PRIMARY KEY ((conversation, bucket), seq)",
        options: "CLUSTERING ORDER BY (seq DESC)
            AND compression = {'class': 'LZ4Compressor', 'chunk_length_in_kb': 16}",
    },
    // Which buckets a conversation has, the time of the first entry in each, and the last.
    Step {
        table: "buckets",
        columns: "conversation bigint, bucket bigint, first_at bigint, last_seq bigint,
            PRIMARY KEY (conversation, bucket)",
        options: "CLUSTERING ORDER BY (bucket DESC)",
    },
    Step {
        table: "membership",
        columns: "conversation bigint, seq bigint, kind tinyint, user bigint, revision bigint,
            PRIMARY KEY (conversation, seq)",
        options: "",
    },
    Step { table: "floors", columns: "stream int PRIMARY KEY, seq bigint", options: "" },
    Step {
        table: "read_markers",
        columns: "user bigint, conversation bigint, entry bigint,
            PRIMARY KEY (user, conversation)",
        options: "",
    },
];

/// Tables whose rows are appended.
const APPENDED_TO: [&str; 3] = ["log_entries", "messages", "membership"];

impl Step {
    fn cql(&self, keyspace: &str) -> String {
        let Self { table, columns, options } = self;
        let id = table_id(keyspace, table);
        let compaction = if APPENDED_TO.contains(table) { APPENDED } else { UPDATED };
        let and = if options.is_empty() { "" } else { " AND " };
        format!(
            "CREATE TABLE IF NOT EXISTS {keyspace}.{table} ({columns})
             WITH ID = {id} AND {compaction}{and}{options}"
        )
    }
}

/// The id of a table, from its name.
fn table_id(keyspace: &str, table: &str) -> String {
    let hash = Sha256::digest(format!("natter:{keyspace}.{table}"));
    let mut bytes = [0; 16];
    for (byte, hashed) in bytes.iter_mut().zip(hash) {
        *byte = hashed;
    }
    // Marked as an id of one's own making (RFC 9562, version 8), never a time.
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    scylla_uuid(bytes)
}

fn scylla_uuid(bytes: [u8; 16]) -> String {
    let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let hex = hex.concat();
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

/// Makes what is missing.
pub(super) async fn migrate(settings: &CassandraSettings) -> Result<(), StoreError> {
    let keyspace = settings.keyspace()?;
    let replication: Replication = settings.replication.parse().map_err(unavailable)?;
    let session = connect(settings).await?;
    let run = async |cql: String| session.query_unpaged(cql, ()).await.map_err(failed);
    let with = replication.cql();
    run(format!("CREATE KEYSPACE IF NOT EXISTS {keyspace} WITH replication = {with}")).await?;
    report(&session, keyspace, &replication).await?;
    let table = Step {
        table: STEPS_TABLE,
        columns: "part text, step int, applied_at timestamp, PRIMARY KEY (part, step)",
        options: "",
    };
    run(table.cql(keyspace)).await?;
    let done = applied(&session, keyspace).await?;
    for (number, step) in (1i32..).zip(STEPS) {
        if done.contains(&number) {
            continue;
        }
        // The driver waits until all servers agree on the schema.
        run(step.cql(keyspace)).await?;
        let note = format!(
            "INSERT INTO {keyspace}.{STEPS_TABLE} (part, step, applied_at) VALUES (?, ?, ?)"
        );
        let now = bus_schema::timestamp::Timestamp::now().as_millis().cast_signed();
        session.query_unpaged(note, (PART, number, CqlTimestamp(now))).await.map_err(failed)?;
        tracing::info!(keyspace, step = number, table = step.table, "changed the schema");
    }
    tracing::info!(keyspace, steps = STEPS.len(), "the tables of history are there");
    Ok(())
}

/// That setup has done all steps this program knows of.
pub(super) async fn check(session: &Session, keyspace: &str) -> Result<(), StoreError> {
    let done = applied(session, keyspace).await?;
    let missing = (1i32..).zip(STEPS).filter(|(number, _)| !done.contains(number)).count();
    if missing == 0 {
        return Ok(());
    }
    Err(unavailable(format!("keyspace {keyspace}: {missing} steps are not done; run setup")))
}

async fn applied(session: &Session, keyspace: &str) -> Result<Vec<i32>, StoreError> {
    let cql = format!("SELECT step FROM {keyspace}.{STEPS_TABLE} WHERE part = ?");
    // Before setup ran there is no such table: that passes by itself, unlike other refusals.
    let found = session.query_unpaged(cql, (PART,)).await.map_err(unavailable)?;
    let rows = found.into_rows_result().map_err(corrupt)?;
    rows.rows::<(i32,)>().map_err(corrupt)?.map(|row| Ok(row.map_err(corrupt)?.0)).collect()
}

/// Says when the keyspace is kept otherwise than the settings say. Changing it moves data and needs
/// a repair, so that is the operator's to do.
async fn report(session: &Session, keyspace: &str, wanted: &Replication) -> Result<(), StoreError> {
    let cql = "SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = ?";
    let found = session.query_unpaged(cql, (keyspace,)).await.map_err(failed)?;
    let rows = found.into_rows_result().map_err(corrupt)?;
    type Options = std::collections::BTreeMap<String, String>;
    let (mut have,) = rows.first_row::<(Options,)>().map_err(corrupt)?;
    if let Some(class) = have.get_mut("class") {
        *class = class.rsplit('.').next().unwrap_or_default().to_owned();
    }
    let want = wanted.options();
    if have != want {
        tracing::warn!(
            keyspace,
            ?have,
            ?want,
            "replication differs from the setting; left as it is"
        );
    }
    Ok(())
}
