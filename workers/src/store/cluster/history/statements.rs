//! Every statement of history, prepared once for a session.
//!
//! Invariants: all are idempotent and answered by a quorum. Reads name a partition, and a bound of
//! rows unless the partition itself is bounded. Writes bring their own time stamps.

use std::sync::Arc;
use std::time::Duration;

use scylla::client::execution_profile::ExecutionProfileHandle;
use scylla::client::session::Session;
use scylla::policies::speculative_execution::SimpleSpeculativeExecutionPolicy;
use scylla::statement::prepared::PreparedStatement;

use crate::store::StoreError;
use crate::store::cluster::cassandra::{CassandraSettings, unavailable};

/// Rows of one page of those reads that have several.
const PAGE_ROWS: i32 = 1_000;

macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident: $kind:ident $cql:expr;)*) => {
        /// See the module.
        pub(super) struct Statements {
            $($(#[$doc])* pub(super) $name: PreparedStatement,)*
        }

        impl Statements {
            /// Prepares all of them.
            pub(super) async fn prepare(
                session: &Session,
                settings: &CassandraSettings,
            ) -> Result<Self, StoreError> {
                let make = Making::new(session, settings)?;
                Ok(Self { $($name: make.$kind($cql).await?,)* })
            }
        }
    };
}

/// The rows of one bucket within bounds of sequence.
const WITHIN: &str = "WHERE conversation = ? AND bucket = ? AND seq >= ? AND seq <= ?";
const MESSAGE: &str = "seq, at, author, nonce, content, edited_at, edit_seq, deleted_seq";

statements! {
    keep_message: write "INSERT INTO {k}.log_entries (conversation, bucket, seq, at, kind, payload, emptied)
        VALUES (?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?";
    keep_other: write "INSERT INTO {k}.log_entries (conversation, bucket, seq, at, kind, payload)
        VALUES (?, ?, ?, ?, ?, ?) USING TIMESTAMP ?";
    empty_entry: write "UPDATE {k}.log_entries USING TIMESTAMP ? SET payload = ''
        WHERE conversation = ? AND bucket = ? AND seq = ?";
    create: write "INSERT INTO {k}.messages (conversation, bucket, seq, at, author, nonce, content)
        VALUES (?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?";
    edit: write "UPDATE {k}.messages USING TIMESTAMP ? SET content = ?, edited_at = ?, edit_seq = ?
        WHERE conversation = ? AND bucket = ? AND seq = ?";
    delete: write "UPDATE {k}.messages USING TIMESTAMP ? SET content = '', deleted_seq = ?
        WHERE conversation = ? AND bucket = ? AND seq = ?";
    first_in_bucket: write "UPDATE {k}.buckets USING TIMESTAMP ? SET first_at = ?
        WHERE conversation = ? AND bucket = ?";
    last_in_bucket: write "UPDATE {k}.buckets USING TIMESTAMP ? SET last_seq = ?
        WHERE conversation = ? AND bucket = ?";
    remember: write "INSERT INTO {k}.membership (conversation, seq, kind, user, revision)
        VALUES (?, ?, ?, ?, ?) USING TIMESTAMP ?";
    raise_floor: write "UPDATE {k}.floors USING TIMESTAMP ? SET seq = ? WHERE stream = ?";
    advance_marker: write "UPDATE {k}.read_markers USING TIMESTAMP ? SET entry = ?
        WHERE user = ? AND conversation = ?";

    floor: read "SELECT seq FROM {k}.floors WHERE stream = ?";
    events: read "SELECT seq, kind, user, revision FROM {k}.membership WHERE conversation = ?";
    targets: read "SELECT seq, author, deleted_seq FROM {k}.messages
        WHERE conversation = ? AND bucket = ? AND seq IN ?";
    entries_up: read &format!("SELECT seq, at, kind, payload, emptied FROM {{k}}.log_entries
        {WITHIN} ORDER BY seq ASC LIMIT ?");
    entries_down: read &format!("SELECT seq, at, kind, payload, emptied FROM {{k}}.log_entries
        {WITHIN} ORDER BY seq DESC LIMIT ?");
    messages_up: read &format!("SELECT {MESSAGE} FROM {{k}}.messages
        {WITHIN} ORDER BY seq ASC LIMIT ?");
    messages_down: read &format!("SELECT {MESSAGE} FROM {{k}}.messages
        {WITHIN} ORDER BY seq DESC LIMIT ?");
    authors_up: read &format!("SELECT seq, at, author, deleted_seq FROM {{k}}.messages
        {WITHIN} ORDER BY seq ASC LIMIT ?");
    buckets_up: read "SELECT bucket, first_at, last_seq FROM {k}.buckets
        WHERE conversation = ? AND bucket >= ? AND bucket <= ? ORDER BY bucket ASC LIMIT ?";
    buckets_down: read "SELECT bucket, first_at, last_seq FROM {k}.buckets
        WHERE conversation = ? AND bucket >= ? AND bucket <= ? ORDER BY bucket DESC LIMIT ?";
    markers: read "SELECT conversation, entry FROM {k}.read_markers WHERE user = ?";
    markers_of: read "SELECT conversation, entry FROM {k}.read_markers
        WHERE user = ? AND conversation IN ?";
}

struct Making<'a> {
    session: &'a Session,
    keyspace: &'a str,
    reading: ExecutionProfileHandle,
    trace: bool,
}

impl<'a> Making<'a> {
    fn new(session: &'a Session, settings: &'a CassandraSettings) -> Result<Self, StoreError> {
        let mut reading = session
            .get_default_execution_profile_handle()
            .pointee_to_builder()
            .request_timeout(Some(settings.read_timeout()));
        if settings.speculate_after_ms > 0 {
            let policy = SimpleSpeculativeExecutionPolicy {
                max_retry_count: 1,
                retry_interval: Duration::from_millis(settings.speculate_after_ms),
            };
            reading = reading.speculative_execution_policy(Some(Arc::new(policy)));
        }
        let reading = reading.build().into_handle();
        Ok(Self { session, keyspace: settings.keyspace()?, reading, trace: settings.trace })
    }

    async fn write(&self, cql: &str) -> Result<PreparedStatement, StoreError> {
        let cql = cql.replace("{k}", self.keyspace);
        let mut prepared = self.session.prepare(cql).await.map_err(unavailable)?;
        prepared.set_is_idempotent(true);
        Ok(prepared)
    }

    async fn read(&self, cql: &str) -> Result<PreparedStatement, StoreError> {
        let mut prepared = self.write(cql).await?;
        prepared.set_execution_profile_handle(Some(self.reading.clone()));
        prepared.set_page_size(PAGE_ROWS);
        prepared.set_tracing(self.trace);
        // Columns are named, so what comes back never changes: not to be described each time.
        prepared.set_use_cached_result_metadata(true);
        Ok(prepared)
    }
}
