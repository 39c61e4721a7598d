//! `[auth]`.

use bus_schema::runtime::service::ServiceSettings;
use serde::{Deserialize, Serialize};

/// Who may make an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Registration {
    /// Everybody.
    Open,
    /// Whoever has an invitation.
    Invite,
    /// Nobody.
    Closed,
}

/// `[auth]`: accounts, passwords, sessions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthSettings {
    /// Who may make an account.
    pub registration: Registration,
    /// Days without use after which a session ends.
    pub refresh_idle_days: u64,
    /// Memory of one password hash, in KiB.
    pub argon2_memory_kib: u32,
    /// Passes over that memory.
    pub argon2_passes: u32,
    /// Lanes of it.
    pub argon2_lanes: u32,
    /// Passwords hashed at once; 0 means one for each core.
    pub hash_threads: usize,
    /// Passwords that may wait for that; beyond, the answer is `unavailable`.
    pub hash_queue: usize,
    /// Whether registration and sign-in are limited per address, and failed sign-ins per name.
    pub limits_per_address: bool,
    /// Registrations from one address in an hour.
    pub registrations_per_hour: u32,
    /// Sign-ins from one address in a minute.
    pub sign_ins_per_minute: u32,
    /// Failed sign-ins for one name in a minute, from wherever.
    pub failures_per_minute: u32,
    /// How it serves.
    pub service: ServiceSettings,
}

impl Default for AuthSettings {
    /// The hash's costs are OWASP's first choice for argon2id.
    fn default() -> Self {
        Self {
            registration: Registration::Open,
            refresh_idle_days: 60,
            argon2_memory_kib: 19_456,
            argon2_passes: 2,
            argon2_lanes: 1,
            hash_threads: 0,
            hash_queue: 128,
            limits_per_address: true,
            registrations_per_hour: 20,
            sign_ins_per_minute: 30,
            failures_per_minute: 10,
            service: ServiceSettings::default(),
        }
    }
}
