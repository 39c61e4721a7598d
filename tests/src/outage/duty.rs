//! What must go on while a store is down, as data: the promises that a run is held to.
//!
//! Invariant: whatever is not listed as something that may be refused must go on, each single time.
//! What may be refused must be refused clearly: with a code that says to come again. Pure.

use std::fmt;

use clap::ValueEnum;

use super::kind::Kind;

/// What is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
pub enum Store {
    /// Nothing: what the others are compared with.
    None,
    /// History.
    Cassandra,
    /// People and channels.
    Mongo,
    /// The cache of profiles.
    Redis,
}

impl Store {
    /// All, the reference first.
    pub const ALL: [Self; 4] = [Self::None, Self::Cassandra, Self::Mongo, Self::Redis];

    /// What `./deploy/services` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Cassandra => "cassandra",
            Self::Mongo => "mongo",
            Self::Redis => "redis",
        }
    }
}

impl fmt::Display for Store {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

/// What people are promised while a store is down.
#[derive(Clone, Copy, Debug)]
pub struct Duty {
    /// The promise in words.
    pub promise: &'static str,
    /// What may be refused meanwhile. All else must go on.
    pub may_refuse: &'static [Kind],
    /// What must be refused at least once, for else the outage has not reached what it should.
    pub reached_by: &'static [Kind],
}

/// Clear refusals: "come again", over HTTP or the bus, and as a close code.
pub const CLEAR: [&str; 2] = ["unavailable", "4000"];
/// Refusals of what was under way when the store died: nobody can know.
pub const UNSURE: [&str; 2] = ["timeout", "unknown_outcome"];
/// How long after the death of a store refusals may be unsure, in seconds.
pub const NOTICED_WITHIN_S: u64 = 10;
/// How long after a store serves again everything works again, in seconds.
pub const RECOVERED_WITHIN_S: u64 = 30;
/// Connections to a store after its return, as multiples of those before its death: those open at
/// once, and those opened in any one second.
pub const STORM: usize = 2;
/// A few connections of others: whoever starts the store asks it whether it serves.
pub const STORM_SPARE: usize = 8;

/// The promises.
pub fn duty(store: Store) -> Duty {
    match store {
        Store::None => Duty { promise: "everything works", may_refuse: &[], reached_by: &[] },
        Store::Cassandra => Duty {
            promise: "chat, resume and recent history go on; old pages answer unavailable",
            may_refuse: &[Kind::ReadOld, Kind::Mark],
            reached_by: &[Kind::ReadOld],
        },
        Store::Mongo => Duty {
            promise: "connected people go on; IDENTIFY elsewhere gets 4000; changes answer \
                      unavailable",
            may_refuse: &[
                Kind::LookUp,
                Kind::LookUpName,
                Kind::Profile,
                Kind::ChannelGet,
                Kind::ChannelCreate,
                Kind::MemberAdd,
                Kind::MemberRemove,
                Kind::ChannelRename,
                Kind::SignIn,
                Kind::Refresh,
                Kind::SignOut,
                Kind::IdentifyElsewhere,
                Kind::ResumeElsewhere,
            ],
            reached_by: &[Kind::Profile, Kind::SignIn],
        },
        Store::Redis => Duty { promise: "slower only", may_refuse: &[], reached_by: &[] },
    }
}

impl Duty {
    /// Whether an operation must go on.
    pub fn must(&self, kind: Kind) -> bool {
        !self.may_refuse.contains(&kind)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_must_be_refused_may_be() {
        for store in Store::ALL {
            let duty = duty(store);
            assert!(duty.reached_by.iter().all(|&kind| !duty.must(kind)), "{store}");
        }
    }

    #[test]
    fn sending_always_goes_on() {
        for store in Store::ALL {
            for kind in [Kind::Send, Kind::Edit, Kind::ReadRecent, Kind::Resume] {
                assert!(duty(store).must(kind), "{store}: {kind:?}");
            }
        }
    }
}
