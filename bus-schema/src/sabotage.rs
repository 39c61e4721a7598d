//! Switching safeguards off, to see that `natter-check` notices.
//!
//! Invariant: without the feature `sabotage` a safeguard cannot be off: [`off`] is constant, so nothing
//! of this is in a build, and a build with optimizations cannot have the feature. With it, the safeguards
//! named in `NATTER_SABOTAGE` (separated by commas) are off from the start to the end of a process.
//!
//! Leaves out what each protects against: that stands where it is, and which others hide it in the
//! tests (`check/safeguards.rs`).

#[cfg(all(feature = "sabotage", not(debug_assertions)))]
compile_error!("the feature `sabotage` breaks promises: it is for the tests' debug builds alone");

/// Something without which a promise would be broken now and then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Safeguard {
    /// A live entry whose predecessor is not covered waits for what is between.
    Gap,
    /// An answer counts up to its `through`, and whoever has not read up to `min` does not answer.
    Coverage,
    /// Digests and `changes` tell of entries that nobody heard.
    Digest,
    /// A repeated entry, which is not republished, is told to all.
    Nudge,
    /// Entries carry message ids, under which the log keeps each once.
    Deduplication,
    /// IDENTIFY subscribes before it asks where conversations stand.
    Subscribe,
    /// After every reconnection to NATS and every dropped message everything is a gap.
    Reconnect,
    /// What somebody writes who is no member is void.
    Void,
    /// A channel's changes are published one after the other, each acknowledged by the log.
    Outbox,
    /// Changes that a crash left unpublished are found.
    Sweep,
    /// Nothing that the store does not hold is trimmed from the log.
    Floor,
}

impl Safeguard {
    /// Every safeguard.
    pub const ALL: [Self; 11] = [
        Self::Gap,
        Self::Coverage,
        Self::Digest,
        Self::Nudge,
        Self::Deduplication,
        Self::Subscribe,
        Self::Reconnect,
        Self::Void,
        Self::Outbox,
        Self::Sweep,
        Self::Floor,
    ];

    /// Its name in the environment.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gap => "gap",
            Self::Coverage => "coverage",
            Self::Digest => "digest",
            Self::Nudge => "nudge",
            Self::Deduplication => "deduplication",
            Self::Subscribe => "subscribe",
            Self::Reconnect => "reconnect",
            Self::Void => "void",
            Self::Outbox => "outbox",
            Self::Sweep => "sweep",
            Self::Floor => "floor",
        }
    }
}

/// What the environment may name beside settings: nothing, without the feature, so that a process
/// that is to be sabotaged and cannot be does not start.
pub const VARIABLES: &[&str] = if cfg!(feature = "sabotage") { &["sabotage"] } else { &[] };

/// Whether a safeguard is switched off. Never, in a build without the feature.
#[cfg(not(feature = "sabotage"))]
pub const fn off(_: Safeguard) -> bool {
    false
}

/// Whether a safeguard is switched off in this process.
#[cfg(feature = "sabotage")]
pub fn off(safeguard: Safeguard) -> bool {
    use std::sync::LazyLock;
    static NAMED: LazyLock<String> =
        LazyLock::new(|| std::env::var("NATTER_SABOTAGE").unwrap_or_default());
    NAMED.split(',').any(|name| name == safeguard.name())
}
