//! What each NATS user may publish and subscribe to: the least its role needs.
//!
//! Invariant: nobody subscribes to `>`; nobody publishes to `ev.log.>`, which only the server does;
//! an edge cannot write a user's notices, manage a stream, or hear another role's requests; a bot
//! says and hears nothing but what is its own. `natter-workers secrets` signs what is in this table
//! into credentials, and from nowhere else.

use crate::ops::{self, Service};
use crate::streams::{BOTS, DEAD, LEASES};
use crate::subjects;

/// A NATS user of the platform. Its inbox prefix is `_INBOX_<name>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BusUser {
    /// Every edge.
    Edge,
    /// The auth role.
    Auth,
    /// The profiles role.
    Profiles,
    /// The channels role.
    Channels,
    /// The history role.
    History,
    /// The persister role.
    Persister,
    /// The bots role.
    Bots,
    /// The ingress role.
    Ingress,
    /// The delivery role.
    Delivery,
    /// The auditor role.
    Auditor,
    /// The setup role.
    Setup,
    /// A person who looks after the platform, with the `nats` command: looks, and changes nothing.
    Operator,
}

impl BusUser {
    /// Every user.
    pub const ALL: [Self; 12] = [
        Self::Edge,
        Self::Auth,
        Self::Profiles,
        Self::Channels,
        Self::History,
        Self::Persister,
        Self::Bots,
        Self::Ingress,
        Self::Delivery,
        Self::Auditor,
        Self::Setup,
        Self::Operator,
    ];

    /// Its name: of its credentials' file, in its inbox prefix.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Edge => "edge",
            Self::Auth => "auth",
            Self::Profiles => "profiles",
            Self::Channels => "channels",
            Self::History => "history",
            Self::Persister => "persister",
            Self::Bots => "bots",
            Self::Ingress => "ingress",
            Self::Delivery => "delivery",
            Self::Auditor => "auditor",
            Self::Setup => "setup",
            Self::Operator => "operator",
        }
    }

    /// Where its answers come.
    pub fn inbox_prefix(self) -> String {
        format!("_INBOX_{}", self.name())
    }

    const fn service(self) -> Option<Service> {
        match self {
            Self::Auth => Some(Service::Auth),
            Self::Profiles => Some(Service::Profiles),
            Self::Channels => Some(Service::Channels),
            Self::History => Some(Service::History),
            Self::Bots => Some(Service::Bots),
            Self::Auditor => Some(Service::Audit),
            Self::Edge
            | Self::Persister
            | Self::Ingress
            | Self::Delivery
            | Self::Setup
            | Self::Operator => None,
        }
    }

    /// Whether it answers requests: once each, where the answer is expected.
    pub const fn answers(self) -> bool {
        self.service().is_some() || matches!(self, Self::Ingress)
    }

    /// Subjects it may publish to, beside answers to requests it got.
    pub fn publish(self) -> Vec<String> {
        /// Reading the log with ordered consumers. A wildcard is a whole token in NATS, so these
        /// name every stream; [`BusUser::deny`] takes back those that are not the log's.
        const READ_LOG: [&str; 7] = [
            "$JS.API.INFO",
            "$JS.API.STREAM.INFO.*",
            "$JS.API.CONSUMER.CREATE.*",
            "$JS.API.CONSUMER.CREATE.*.>",
            "$JS.API.CONSUMER.MSG.NEXT.*.*",
            "$JS.API.CONSUMER.INFO.*.*",
            "$JS.API.CONSUMER.DELETE.*.*",
        ];
        let mut all: Vec<String> = Vec::new();
        let mut add = |subjects: &[&str]| all.extend(subjects.iter().map(|s| (*s).to_owned()));
        match self {
            Self::Edge => {
                add(&["log.*.c.*", "log.*.d.>", ops::ALL_REQUESTS]);
                // Not all of `ev.eph.>`: digests, floors and revocations are the workers' word.
                add(&["ev.eph.*.c.*", "ev.eph.*.d.>", "ev.eph.*.u.*"]);
                add(&[subjects::EDGES, subjects::POSITIONS]);
                add(&READ_LOG);
                add(&["$JS.FC.*.>"]);
            }
            Self::Auth => add(&[subjects::REVOKED, "svc.profiles.>"]),
            Self::Profiles => add(&[
                subjects::PROFILES,
                "ev.eph.*.c.*",
                "ev.eph.*.u.*",
                "svc.channels.>",
                "svc.auth.keys",
            ]),
            Self::Channels => add(&[
                "log.*.c.*",
                "log.*.u.*",
                "ev.eph.*.u.*",
                "svc.profiles.>",
                "svc.auth.keys",
                "$JS.API.INFO",
                "$JS.API.STREAM.INFO.*",
            ]),
            Self::History => {
                add(&READ_LOG);
                add(&["$JS.FC.*.>", "ev.eph.digest.*"]);
            }
            Self::Persister => {
                add(&READ_LOG);
                add(&["$JS.FC.*.>", "ev.eph.floor.*", subjects::DEAD_ALL]);
                add(&["$JS.API.STREAM.PURGE.*"]);
                all.push(format!("$JS.API.STREAM.INFO.{DEAD}"));
                all.extend(leases());
            }
            Self::Bots | Self::Ingress | Self::Delivery => {
                all.extend(self.publish_for_bots(&READ_LOG));
            }
            Self::Auditor => {
                add(&READ_LOG);
                add(&["$JS.FC.*.>"]);
                all.push(format!("$JS.API.STREAM.MSG.GET.{BOTS}"));
                all.extend(leases());
            }
            Self::Setup => add(&[
                "$JS.API.INFO",
                "$JS.API.STREAM.INFO.*",
                "$JS.API.STREAM.NAMES",
                "$JS.API.STREAM.LIST",
                "$JS.API.STREAM.CREATE.*",
                "$JS.API.STREAM.UPDATE.*",
            ]),
            Self::Operator => add(&[
                "$SRV.>",
                "svc.audit.>",
                "$JS.API.INFO",
                "$JS.API.STREAM.INFO.*",
                "$JS.API.STREAM.NAMES",
                "$JS.API.STREAM.LIST",
            ]),
        }
        if self.answers() {
            // Who leaves asks itself something: the answer comes behind the last request.
            let role = self.service().map_or(self.name(), Service::name);
            all.push(subjects::ping(&subjects::service(role), "*"));
        }
        all
    }

    /// [`BusUser::publish`] of the roles that serve bots.
    fn publish_for_bots(self, read_log: &[&str]) -> Vec<String> {
        let own = |subjects: &[&str]| subjects.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        match self {
            Self::Bots => {
                let mut all = own(&[subjects::PROFILES, "svc.channels.>", "svc.auth.keys"]);
                all.push(format!("$JS.API.CONSUMER.CREATE.{BOTS}.>"));
                all.push(format!("$JS.API.CONSUMER.DELETE.{BOTS}.*"));
                all.push(format!("$JS.API.STREAM.INFO.{BOTS}"));
                all.push(format!("$JS.API.STREAM.PURGE.{BOTS}"));
                all
            }
            Self::Ingress => own(&[
                "log.*.c.*",
                "log.*.d.>",
                // Nudges: an entry that is there already is not sent on again.
                "ev.eph.*.c.*",
                "ev.eph.*.d.>",
                "svc.channels.>",
                "svc.profiles.>",
                "svc.history.>",
                "svc.bots.>",
                "$JS.API.INFO",
                "$JS.API.STREAM.INFO.*",
            ]),
            Self::Delivery => {
                let mut all = own(read_log);
                let said = ["$JS.FC.*.>", subjects::BOT_EVENTS, subjects::DELIVERED, "svc.bots.>"];
                all.extend(own(&said));
                all.push(format!("$JS.API.STREAM.MSG.GET.{BOTS}"));
                all.extend(leases());
                all
            }
            _ => Vec::new(),
        }
    }

    /// Subjects it may not publish to although [`BusUser::publish`] covers them.
    pub fn deny(self) -> Vec<String> {
        if matches!(self, Self::Setup) {
            return Vec::new();
        }
        let mut all = Vec::new();
        let mut streams = vec![DEAD.to_owned(), format!("KV_{LEASES}")];
        match self {
            Self::Bots => {}
            // It looks at the bots' consumers, and no more.
            Self::Delivery => all.extend([
                format!("$JS.API.CONSUMER.CREATE.{BOTS}"),
                format!("$JS.API.CONSUMER.CREATE.{BOTS}.>"),
                format!("$JS.API.CONSUMER.DELETE.{BOTS}.>"),
                format!("$JS.API.CONSUMER.MSG.NEXT.{BOTS}.>"),
            ]),
            _ => streams.push(BOTS.to_owned()),
        }
        for stream in streams {
            all.push(format!("$JS.API.CONSUMER.*.{stream}"));
            all.push(format!("$JS.API.CONSUMER.*.{stream}.>"));
            all.push(format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.>"));
            all.push(format!("$JS.API.STREAM.PURGE.{stream}"));
        }
        all
    }

    /// Subjects it may subscribe to.
    pub fn subscribe(self) -> Vec<String> {
        let mut all = vec![format!("{}.>", self.inbox_prefix())];
        if let Some(service) = self.service() {
            all.push(ops::requests_to(service));
            all.push("$SRV.>".to_owned());
        }
        match self {
            Self::Edge => all.push(subjects::EVENTS_ALL.to_owned()),
            Self::Profiles => all.push(subjects::PROFILES.to_owned()),
            Self::History => all.push(subjects::FLOORS.to_owned()),
            Self::Auditor => all.push(subjects::POSITIONS.to_owned()),
            Self::Ingress => {
                for heard in [subjects::BOT_SENDS, subjects::BOT_APIS, "$SRV.>"] {
                    all.push(heard.to_owned());
                }
            }
            _ => {}
        }
        all
    }
}

/// Holding leases.
fn leases() -> [String; 4] {
    [
        format!("$JS.API.STREAM.INFO.KV_{LEASES}"),
        format!("$JS.API.STREAM.MSG.GET.KV_{LEASES}"),
        format!("$JS.API.DIRECT.GET.KV_{LEASES}.>"),
        format!("$KV.{LEASES}.>"),
    ]
}

/// What the bots' account may ask of the platform's: the subject, and whether the answer may be many
/// messages. Everything else ends at the border between the two accounts.
pub const BOTS_ASK: [(&str, bool); 4] = [
    (subjects::BOT_SENDS, false),
    (subjects::BOT_APIS, false),
    ("$JS.API.CONSUMER.MSG.NEXT.BOTS.*", true),
    ("$JS.ACK.BOTS.>", false),
];

/// Subjects a bot may publish to. The server puts its id in place of `{{name()}}`.
pub const BOT_PUBLISHES: [&str; 4] = [
    "bot.{{name()}}.send.*",
    "bot.{{name()}}.api.*.*",
    "$JS.API.CONSUMER.MSG.NEXT.BOTS.bot_{{name()}}",
    "$JS.ACK.BOTS.bot_{{name()}}.>",
];

/// Subjects a bot may subscribe to. The server puts its id in place of `{{name()}}`.
pub const BOT_SUBSCRIBES: [&str; 1] = ["_INBOX_{{name()}}.>"];

/// The user of the system account with which the bots role revokes: its name, of its file and in its
/// inbox prefix.
pub const SYSTEM: &str = "sys";

/// Where servers are told what an account says from now on.
pub const CLAIMS_UPDATE: &str = "$SYS.REQ.CLAIMS.UPDATE";

/// Where servers are asked what an account says, by its name, which is a public key.
pub fn claims_lookup(account: &str) -> String {
    format!("$SYS.REQ.ACCOUNT.{account}.CLAIMS.LOOKUP")
}

/// Subjects [`SYSTEM`] may publish to.
pub const SYSTEM_PUBLISHES: [&str; 2] = [CLAIMS_UPDATE, "$SYS.REQ.ACCOUNT.*.CLAIMS.LOOKUP"];

/// Subjects [`SYSTEM`] may subscribe to.
pub const SYSTEM_SUBSCRIBES: [&str; 1] = ["_INBOX_sys.>"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_hears_everything_or_speaks_for_the_server() {
        for user in BusUser::ALL {
            let heard = user.subscribe();
            assert!(!heard.iter().any(|s| s == ">" || s == "_INBOX.>"), "{user:?}");
            let said = user.publish();
            let forbidden = [">", "ev.>", "ev.log.>", "log.>", "$JS.API.>"];
            assert!(!said.iter().any(|s| forbidden.contains(&s.as_str())), "{user:?}");
        }
    }

    #[test]
    fn a_bot_names_itself_wherever_it_speaks_or_listens() {
        for subject in BOT_PUBLISHES.into_iter().chain(BOT_SUBSCRIBES) {
            assert!(subject.contains("{{name()}}"), "{subject}");
        }
    }

    #[test]
    fn edges_cannot_write_notices_or_manage_streams() {
        for subject in BusUser::Edge.publish() {
            assert!(!subject.starts_with("log.*.u"), "{subject}");
            for word in ["PURGE", "STREAM.DELETE", "STREAM.CREATE", "STREAM.UPDATE"] {
                assert!(!subject.contains(word), "{subject}");
            }
        }
    }
}
