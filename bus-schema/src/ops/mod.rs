//! Every operation that workers offer on the bus: one row, one request and one reply type each.
//!
//! Invariant: an operation's subject, caller rule and repeatability stand in its row and nowhere
//! else; services, callers, permissions and documents all read them here.
//!
//! A new operation is a row and its types here, a handler file in its role, a route file in the
//! edge if it is offered over HTTP, and a test file.

pub mod audit;
pub mod auth;
pub mod bots;
pub mod channels;
pub mod history;
pub mod profiles;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Failure;
use crate::ids::StreamIndex;

/// A worker role that answers requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Service {
    /// Accounts, sessions, tokens.
    Auth,
    /// Profiles.
    Profiles,
    /// Channels, DMs, membership.
    Channels,
    /// Entries, messages, markers.
    History,
    /// Bots and their credentials.
    Bots,
    /// What of the log is not accounted for.
    Audit,
}

impl Service {
    /// Every service.
    pub const ALL: [Self; 6] =
        [Self::Auth, Self::Profiles, Self::Channels, Self::History, Self::Bots, Self::Audit];

    /// Its name: in subjects, in `$SRV` discovery, as a role.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::Profiles => "profiles",
            Self::Channels => "channels",
            Self::History => "history",
            Self::Bots => "bots",
            Self::Audit => "audit",
        }
    }
}

/// On whose behalf a request is made, and how the worker knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallerRule {
    /// Nobody's: registration, sign-in, public keys.
    Nobody,
    /// A person's: the request carries their access token, which the worker verifies.
    Token,
    /// A person's, as asserted by the edge (or a worker role), whose NATS identity vouches for it.
    Asserted,
    /// A part of the platform asks for itself.
    Platform,
}

/// Whether a request whose answer was lost may be made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// Asking twice is asking once.
    Safe,
    /// It might be done twice: a lost answer is `unknown_outcome`.
    Unsafe,
}

impl Repeat {
    /// What is said where nobody knows whether it was done.
    pub fn unknown(self) -> Failure {
        match self {
            Self::Safe => Failure::timeout(),
            Self::Unsafe => Failure::unknown_outcome(),
        }
    }
}

/// One operation.
pub trait Operation: Send + Sync + 'static {
    /// Who answers.
    const SERVICE: Service;
    /// Its name in the service.
    const NAME: &'static str;
    /// Who may ask.
    const CALLER: CallerRule;
    /// Whether it may be repeated.
    const REPEAT: Repeat;
    /// What is asked.
    type Request: Serialize + DeserializeOwned + Send + Sync + 'static;
    /// What is answered.
    type Reply: Serialize + DeserializeOwned + Send + Sync + 'static;
}

/// A row of the table of operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Who answers.
    pub service: Service,
    /// Its name in the service.
    pub name: &'static str,
    /// Who may ask.
    pub caller: CallerRule,
    /// Whether it may be repeated.
    pub repeat: Repeat,
}

/// The subject of an operation; history's and the audit's are per stream, so that workers can own a
/// subset.
pub fn subject<O: Operation>(stream: Option<StreamIndex>) -> String {
    let (service, name) = (O::SERVICE.name(), O::NAME);
    match stream {
        Some(stream) => format!("svc.{service}.{stream}.{name}"),
        None => format!("svc.{service}.{name}"),
    }
}

/// All requests, for permissions.
pub const ALL_REQUESTS: &str = "svc.>";

/// All requests to one service, for permissions.
pub fn requests_to(service: Service) -> String {
    format!("svc.{}.>", service.name())
}

macro_rules! operations {
    ($service:ident: $($(#[$doc:meta])* $op:ident, $name:literal, $caller:ident, $repeat:ident, $request:ty => $reply:ty;)*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy)]
            pub struct $op;

            impl $crate::ops::Operation for $op {
                const SERVICE: $crate::ops::Service = $crate::ops::Service::$service;
                const NAME: &'static str = $name;
                const CALLER: $crate::ops::CallerRule = $crate::ops::CallerRule::$caller;
                const REPEAT: $crate::ops::Repeat = $crate::ops::Repeat::$repeat;
                type Request = $request;
                type Reply = $reply;
            }
        )*

        /// This service's rows of the table.
        pub const ROWS: &[$crate::ops::Row] = &[$($crate::ops::Row {
            service: $crate::ops::Service::$service,
            name: $name,
            caller: $crate::ops::CallerRule::$caller,
            repeat: $crate::ops::Repeat::$repeat,
        }),*];
    };
}
pub(crate) use operations;

/// The table of all operations.
pub fn table() -> impl Iterator<Item = &'static Row> {
    [auth::ROWS, profiles::ROWS, channels::ROWS, history::ROWS, bots::ROWS, audit::ROWS]
        .into_iter()
        .flatten()
}

/// An empty request or reply.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, serde::Deserialize, schemars::JsonSchema,
)]
pub struct Empty {}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_tokens_and_unique() {
        let mut seen = HashSet::new();
        for row in table() {
            assert!(row.name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{row:?}");
            assert!(seen.insert((row.service, row.name)), "{row:?}");
        }
    }

    #[test]
    fn subjects() {
        assert_eq!(subject::<auth::Register>(None), "svc.auth.register");
        assert_eq!(subject::<history::Range>(Some(StreamIndex(3))), "svc.history.3.range");
    }
}
