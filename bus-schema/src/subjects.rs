//! Every NATS subject, built and parsed here and nowhere else.
//!
//! Invariant: a subject is made of typed ids and fixed words only, so nothing a person types can
//! become a token, a wildcard or another subject. The place of a conversation in the log never
//! changes: its partition is `id mod 256`, for ever.

mod bots;
mod discovery;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub use self::bots::*;
pub use self::discovery::*;
use crate::ids::{ConversationId, StreamIndex, UserId};

/// Partitions of the log, for ever.
pub const PARTITIONS: u64 = 256;

/// What RePublish takes from the log streams.
pub const LOG_ALL: &str = "log.>";
/// Where RePublish sends it.
pub const LIVE_ALL: &str = "ev.log.>";
/// Everything edges listen to, for permissions.
pub const EVENTS_ALL: &str = "ev.>";
/// Everything that is not durable.
pub const EPHEMERAL_ALL: &str = "ev.eph.>";
/// Profile changes, for in-process caches.
pub const PROFILES: &str = "ev.eph.profiles";
/// Edges announce themselves.
pub const EDGES: &str = "ev.eph.edges";
/// How far edges are, for the auditor.
pub const POSITIONS: &str = "ev.eph.positions";
/// Revoked sessions.
pub const REVOKED: &str = "ev.eph.sessions";
/// What the persister could not decode.
pub const DEAD_ALL: &str = "dead.>";

/// A place in the log: one conversation, or the notices of one user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LogSubject {
    /// `log.<p>.c.<channel>`
    Channel(ConversationId),
    /// `log.<p>.d.<low>.<high>.<dm>`
    Dm(DmSubject),
    /// `log.<p>.u.<user>`
    User(UserId),
}

/// The place of a DM, whose subject names both people, so that each can follow all of theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DmSubject {
    low: UserId,
    high: UserId,
    id: ConversationId,
}

impl DmSubject {
    /// The place of DM `id` between two people; `None` with oneself.
    pub fn new(a: UserId, b: UserId, id: ConversationId) -> Option<Self> {
        (a != b).then(|| Self { low: a.min(b), high: a.max(b), id })
    }

    /// Both people, the lower id first.
    pub const fn people(self) -> [UserId; 2] {
        [self.low, self.high]
    }

    /// The other one; `None` if `user` is neither.
    pub fn partner_of(self, user: UserId) -> Option<UserId> {
        match user {
            u if u == self.low => Some(self.high),
            u if u == self.high => Some(self.low),
            _ => None,
        }
    }

    /// The DM's id.
    pub const fn id(self) -> ConversationId {
        self.id
    }
}

/// The text is not a subject of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a log subject")]
pub struct BadSubject;

impl LogSubject {
    /// The number whose remainder is the partition.
    const fn key(self) -> u64 {
        match self {
            Self::Channel(id) => id.0,
            Self::Dm(dm) => dm.id.0,
            Self::User(id) => id.0,
        }
    }

    /// `id mod 256`.
    pub const fn partition(self) -> u64 {
        self.key() % PARTITIONS
    }

    /// The conversation, unless these are a user's notices.
    pub const fn conversation(self) -> Option<ConversationId> {
        match self {
            Self::Channel(id) => Some(id),
            Self::Dm(dm) => Some(dm.id),
            Self::User(_) => None,
        }
    }

    /// Where the stored entries of this place are sent live: `ev.log.<tail>`.
    pub fn live(self) -> String {
        format!("ev.log.{}", Tail(self))
    }

    /// Where this place's undurable events go: `ev.eph.<tail>`.
    pub fn ephemeral(self) -> String {
        format!("ev.eph.{}", Tail(self))
    }

    /// Subscription to both.
    pub fn events(self) -> String {
        format!("ev.*.{}", Tail(self))
    }

    /// Splits the subject of an event into its kind and place.
    pub fn parse_event(subject: &str) -> Result<(EventKind, Self), BadSubject> {
        let (kind, tail) = if let Some(tail) = subject.strip_prefix("ev.log.") {
            (EventKind::Log, tail)
        } else if let Some(tail) = subject.strip_prefix("ev.eph.") {
            (EventKind::Ephemeral, tail)
        } else {
            return Err(BadSubject);
        };
        Ok((kind, Self::parse_tail(tail)?))
    }

    fn parse_tail(tail: &str) -> Result<Self, BadSubject> {
        let mut tokens = tail.split('.');
        let mut next = || tokens.next().ok_or(BadSubject);
        let (partition, kind) = (next()?, next()?);
        let place = match kind {
            "c" => Self::Channel(number(next()?)?),
            "u" => Self::User(number(next()?)?),
            "d" => {
                let (low, high): (UserId, UserId) = (number(next()?)?, number(next()?)?);
                if low >= high {
                    return Err(BadSubject);
                }
                Self::Dm(DmSubject { low, high, id: number(next()?)? })
            }
            _ => return Err(BadSubject),
        };
        let whole = tokens.next().is_none() && partition == place.partition().to_string();
        whole.then_some(place).ok_or(BadSubject)
    }
}

fn number<T: FromStr>(token: &str) -> Result<T, BadSubject> {
    token.parse().map_err(|_| BadSubject)
}

/// What kind of event a live subject carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// A stored entry, sent by the server itself.
    Log,
    /// Something that is not durable.
    Ephemeral,
}

struct Tail(LogSubject);

impl fmt::Display for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let p = self.0.partition();
        match self.0 {
            LogSubject::Channel(id) => write!(f, "{p}.c.{id}"),
            LogSubject::Dm(DmSubject { low, high, id }) => write!(f, "{p}.d.{low}.{high}.{id}"),
            LogSubject::User(id) => write!(f, "{p}.u.{id}"),
        }
    }
}

impl fmt::Display for LogSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "log.{}", Tail(*self))
    }
}

impl FromStr for LogSubject {
    type Err = BadSubject;

    fn from_str(subject: &str) -> Result<Self, BadSubject> {
        Self::parse_tail(subject.strip_prefix("log.").ok_or(BadSubject)?)
    }
}

impl Serialize for LogSubject {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LogSubject {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// What an edge subscribes to for a connected user, beside the user's channels: the user's own
/// notices and events, and every DM in which they are the lower or the higher id.
pub fn of_user(user: UserId) -> [String; 3] {
    [
        LogSubject::User(user).events(),
        format!("ev.*.*.d.{user}.*.*"),
        format!("ev.*.*.d.*.{user}.*"),
    ]
}

/// Which entries a stream has got, each second, from every history worker.
pub fn digest(stream: StreamIndex) -> String {
    format!("ev.eph.digest.{stream}")
}

/// Up to where the store holds a stream, each second, from its persister.
pub fn floor(stream: StreamIndex) -> String {
    format!("ev.eph.floor.{stream}")
}

/// The digests of all streams.
pub const DIGESTS: &str = "ev.eph.digest.*";
/// The floors of all streams.
pub const FLOORS: &str = "ev.eph.floor.*";

/// Where an undecodable entry of a stream is kept.
pub fn dead(stream: StreamIndex) -> String {
    format!("dead.{stream}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_place() -> impl Strategy<Value = LogSubject> {
        prop_oneof![
            any::<u64>().prop_map(|n| LogSubject::Channel(ConversationId(n))),
            any::<u64>().prop_map(|n| LogSubject::User(UserId(n))),
            (any::<u64>(), any::<u64>(), any::<u64>()).prop_filter_map(
                "with oneself",
                |(a, b, d)| {
                    DmSubject::new(UserId(a), UserId(b), ConversationId(d)).map(LogSubject::Dm)
                }
            ),
        ]
    }

    #[test]
    fn frozen_forms() {
        let channel = LogSubject::Channel(ConversationId(513));
        assert_eq!(channel.to_string(), "log.1.c.513");
        assert_eq!(channel.events(), "ev.*.1.c.513");
        let dm = DmSubject::new(UserId(9), UserId(4), ConversationId(258)).unwrap();
        assert_eq!(LogSubject::Dm(dm).live(), "ev.log.2.d.4.9.258");
        assert_eq!(LogSubject::User(UserId(255)).ephemeral(), "ev.eph.255.u.255");
    }

    #[test]
    fn refuses_what_is_not_canonical() {
        for bad in [
            "log.2.c.513",
            "log.1.c.0513",
            "log.1.c.513.x",
            "log.1.c",
            "log.1.x.513",
            "log.2.d.9.4.258",
            "log.2.d.4.4.258",
            "log.1.c.*",
            "log.>",
            "ev.log.1.c.513",
            "",
        ] {
            assert!(bad.parse::<LogSubject>().is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn round_trips(place in any_place()) {
            prop_assert_eq!(place.to_string().parse(), Ok(place));
            prop_assert_eq!(LogSubject::parse_event(&place.live()), Ok((EventKind::Log, place)));
            prop_assert_eq!(
                LogSubject::parse_event(&place.ephemeral()),
                Ok((EventKind::Ephemeral, place))
            );
        }

        #[test]
        fn any_text_parses_to_itself_or_not_at_all(text in "(log|ev)?[.0-9cdu*>]{0,40}") {
            if let Ok(place) = text.parse::<LogSubject>() {
                prop_assert_eq!(place.to_string(), text);
            }
        }
    }
}
