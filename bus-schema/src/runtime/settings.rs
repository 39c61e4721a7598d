//! Settings: defaults, then a TOML file, then `NATTER_SECTION__KEY`, then flags.
//!
//! Invariant: a later source overrides single keys of an earlier one; a key nobody knows is an
//! error, so that a typing mistake cannot pass for a setting.

use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::sabotage;

/// A setting is missing, unknown or of the wrong kind; the text names it and its source.
#[derive(Debug, thiserror::Error)]
#[error("settings: {0}")]
pub struct SettingsError(#[from] Box<figment::Error>);

/// Reads settings. `flags` is anything that serializes to the same sections; its nulls are left out
/// by the caller.
pub fn load<T>(file: Option<&Path>, flags: impl Serialize) -> Result<T, SettingsError>
where
    T: DeserializeOwned + Serialize + Default,
{
    let mut figment = Figment::from(Serialized::defaults(T::default()));
    if let Some(file) = file {
        figment = figment.merge(Toml::file_exact(file));
    }
    figment
        .merge(
            Env::prefixed("NATTER_")
                .split("__")
                .ignore(&["nats_server"])
                .ignore(sabotage::VARIABLES),
        )
        .merge(Serialized::defaults(flags))
        .extract()
        .map_err(|e| SettingsError(Box::new(e)))
}

/// `[bus]`: how to reach NATS.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BusSettings {
    /// Server addresses, separated by commas.
    pub url: String,
    /// Directory with `<user>.nk`, one seed for each NATS user. Empty: connect without a key.
    pub secrets: PathBuf,
    /// PEM file with the authority of the servers' certificates. Empty: the system's, or no TLS.
    pub tls_ca: PathBuf,
    /// Seconds to wait at start for NATS and its streams.
    pub start_wait_s: u64,
    /// Messages a subscription buffers before it drops (and the follower fetches) them.
    pub subscription_buffer: usize,
    /// Milliseconds a request may take in all.
    pub request_timeout_ms: u64,
}

impl Default for BusSettings {
    fn default() -> Self {
        Self {
            url: "nats://127.0.0.1:4222".to_owned(),
            secrets: PathBuf::new(),
            tls_ca: PathBuf::new(),
            start_wait_s: 60,
            subscription_buffer: 4_096,
            request_timeout_ms: 5_000,
        }
    }
}

/// `[log]`: what is logged, and how.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogSettings {
    /// `text` for people, `json` for machines.
    pub format: LogFormat,
    /// As in `RUST_LOG`.
    pub filter: String,
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: "info".to_owned() }
    }
}
