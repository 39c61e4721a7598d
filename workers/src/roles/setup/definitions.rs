//! `nats-config/streams.toml`, and the stream configurations that it means.
//!
//! Invariant: names that code relies on are checked against bus-schema, so that the file cannot say
//! one thing and the program do another. Unknown keys are errors.

use std::collections::HashMap;
use std::time::Duration;

use async_nats::jetstream::stream::{Config, DiscardPolicy, Republish, StorageType};
use bus_schema::ids::StreamIndex;
use bus_schema::streams::{BOTS, DEAD, LEASES, Layout, LogStream, METADATA_STREAMS};
use serde::Deserialize;

use super::SetupSettings;
use crate::roles::RoleError;

/// The file as it was when this program was built.
const BUILT_IN: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../nats-config/streams.toml"));

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Definitions {
    log: Log,
    dead: Dead,
    bots: Bots,
    leases: Leases,
}

/// What all streams have.
#[derive(Debug, Clone, Deserialize)]
struct Common {
    replicas: usize,
    storage: Storage,
    max_bytes: i64,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Storage {
    File,
    Memory,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Discard {
    New,
    Old,
}

/// What streams of messages have.
#[derive(Debug, Clone, Deserialize)]
struct Keeping {
    max_age_s: u64,
    discard: Discard,
    max_msg_bytes: i32,
    duplicate_window_s: u64,
    deny_delete: bool,
    deny_purge: bool,
    allow_direct: bool,
}

#[derive(Debug, Clone, Deserialize)]
struct Log {
    name: String,
    streams: u64,
    allow_atomic: bool,
    republish: RepublishTo,
    #[serde(flatten)]
    common: Common,
    #[serde(flatten)]
    keeping: Keeping,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RepublishTo {
    source: String,
    destination: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Dead {
    name: String,
    subjects: Vec<String>,
    #[serde(flatten)]
    common: Common,
    #[serde(flatten)]
    keeping: Keeping,
}

#[derive(Debug, Clone, Deserialize)]
struct Bots {
    name: String,
    subjects: Vec<String>,
    max_msgs_per_subject: i64,
    allow_atomic: bool,
    #[serde(flatten)]
    common: Common,
    #[serde(flatten)]
    keeping: Keeping,
}

#[derive(Debug, Clone, Deserialize)]
struct Leases {
    bucket: String,
    history: i64,
    ttl_s: u64,
    #[serde(flatten)]
    common: Common,
}

impl Definitions {
    /// Reads the file that the settings name.
    pub(super) fn load(settings: &SetupSettings) -> Result<Self, RoleError> {
        let path = &settings.definitions;
        let text = if path.as_os_str().is_empty() {
            BUILT_IN.to_owned()
        } else {
            std::fs::read_to_string(path)
                .map_err(|e| RoleError::new(format!("cannot read {}: {e}", path.display())))?
        };
        let mut read = Self::parse(&text)?;
        if settings.streams > 0 {
            read.log.streams = settings.streams;
        }
        if settings.replicas > 0 {
            let Self { log, dead, bots, leases } = &mut read;
            let all = [&mut log.common, &mut dead.common, &mut bots.common, &mut leases.common];
            for common in all {
                common.replicas = settings.replicas;
            }
        }
        Ok(read)
    }

    fn parse(text: &str) -> Result<Self, RoleError> {
        let read: Self =
            toml::from_str(text).map_err(|e| RoleError::new(format!("streams.toml: {e}")))?;
        let names = [
            ("log.name", read.log.name.as_str(), "LOG_{index}"),
            ("log.republish.source", &read.log.republish.source, bus_schema::subjects::LOG_ALL),
            (
                "log.republish.destination",
                &read.log.republish.destination,
                bus_schema::subjects::LIVE_ALL,
            ),
            ("dead.name", &read.dead.name, DEAD),
            ("bots.name", &read.bots.name, BOTS),
            ("leases.bucket", &read.leases.bucket, LEASES),
        ];
        if let Some((key, said, needed)) = names.into_iter().find(|(_, said, must)| said != must) {
            let why = format!("streams.toml: {key} must be {needed}, not {said}");
            return Err(RoleError::new(why));
        }
        Ok(read)
    }

    /// The layout of the log.
    pub(super) fn layout(&self) -> Result<Layout, RoleError> {
        Layout::new(self.log.streams).map_err(RoleError::new)
    }

    /// A log stream.
    pub(super) fn log(&self, layout: Layout, stream: StreamIndex) -> Config {
        let log = &self.log;
        let to = &log.republish;
        let config = Config {
            subjects: layout.subjects(stream),
            republish: Some(Republish {
                source: to.source.clone(),
                destination: to.destination.clone(),
                headers_only: false,
            }),
            allow_atomic_publish: log.allow_atomic,
            metadata: HashMap::from([(METADATA_STREAMS.to_owned(), layout.count().to_string())]),
            description: Some("Natter: the log of conversations".to_owned()),
            ..log.common.config(LogStream(stream).to_string())
        };
        log.keeping.keep(config)
    }

    /// The stream of dead letters.
    pub(super) fn dead(&self) -> Config {
        let config = Config {
            subjects: self.dead.subjects.clone(),
            description: Some("Natter: entries that could not be decoded".to_owned()),
            ..self.dead.common.config(self.dead.name.clone())
        };
        self.dead.keeping.keep(config)
    }

    /// The stream of what bots are to receive.
    pub(super) fn bots(&self) -> Config {
        let bots = &self.bots;
        let config = Config {
            subjects: bots.subjects.clone(),
            max_messages_per_subject: bots.max_msgs_per_subject,
            allow_atomic_publish: bots.allow_atomic,
            description: Some("Natter: what bots are to receive".to_owned()),
            ..bots.common.config(bots.name.clone())
        };
        bots.keeping.keep(config)
    }

    /// The stream behind the bucket of leases.
    pub(super) fn leases(&self) -> Config {
        let Leases { bucket, history, ttl_s, common } = &self.leases;
        let ttl = Duration::from_secs(*ttl_s);
        Config {
            subjects: vec![format!("$KV.{bucket}.>")],
            description: Some("Natter: who works on which stream".to_owned()),
            max_messages_per_subject: *history,
            max_age: ttl,
            duplicate_window: ttl,
            discard: DiscardPolicy::New,
            allow_rollup: true,
            deny_delete: true,
            allow_direct: true,
            ..common.config(format!("KV_{bucket}"))
        }
    }
}

impl Common {
    fn config(&self, name: String) -> Config {
        Config {
            name,
            num_replicas: self.replicas,
            storage: match self.storage {
                Storage::File => StorageType::File,
                Storage::Memory => StorageType::Memory,
            },
            max_bytes: if self.max_bytes > 0 { self.max_bytes } else { -1 },
            max_messages: -1,
            max_messages_per_subject: -1,
            max_message_size: -1,
            max_consumers: -1,
            ..Config::default()
        }
    }
}

impl Keeping {
    fn keep(&self, config: Config) -> Config {
        Config {
            max_age: Duration::from_secs(self.max_age_s),
            discard: match self.discard {
                Discard::New => DiscardPolicy::New,
                Discard::Old => DiscardPolicy::Old,
            },
            max_message_size: if self.max_msg_bytes > 0 { self.max_msg_bytes } else { -1 },
            duplicate_window: Duration::from_secs(self.duplicate_window_s),
            deny_delete: self.deny_delete,
            deny_purge: self.deny_purge,
            allow_direct: self.allow_direct,
            ..config
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_the_repository_can_be_read() {
        let read = Definitions::parse(BUILT_IN).unwrap();
        let layout = read.layout().unwrap();
        let log = read.log(layout, StreamIndex(0));
        assert_eq!((log.name.as_str(), log.duplicate_window.as_secs()), ("LOG_0", 300));
        assert!(log.allow_atomic_publish && log.deny_delete && !log.deny_purge);
        assert_eq!(log.discard, DiscardPolicy::New);
    }

    #[test]
    fn a_name_that_code_does_not_know_is_refused() {
        let changed = BUILT_IN.replace("\"DEAD\"", "\"GONE\"");
        let error = Definitions::parse(&changed).unwrap_err().to_string();
        assert!(error.contains("dead.name must be DEAD, not GONE"), "{error}");
    }
}
