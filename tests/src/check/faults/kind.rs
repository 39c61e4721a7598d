//! The kinds of faults, as data: what each is called, what must be well meanwhile, how long it lasts.
//!
//! Invariant: every kind has one family; a match that leaves one out does not compile.
//!
//! Leaves out how they are brought about.

use std::fmt;
use std::ops::RangeInclusive;

use clap::ValueEnum;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, ValueEnum)]
pub enum Kind {
    /// SIGKILL of an edge.
    KillEdge,
    /// SIGSTOP of an edge, then SIGCONT.
    PauseEdge,
    /// SIGKILL of a worker.
    KillWorker,
    /// SIGSTOP of a worker, then SIGCONT.
    PauseWorker,
    /// SIGKILL of every persister.
    PersisterAway,
    /// SIGKILL of the node that leads a log stream.
    KillLeader,
    /// SIGKILL of a node that follows.
    KillFollower,
    /// The leading node hears no other, then dies: what it took meanwhile the others have stored, and
    /// nobody has acknowledged it.
    DeafLeader,
    /// SIGSTOP of the leading node.
    PauseLeader,
    /// SIGSTOP of a following node.
    PauseFollower,
    /// The leader of a log stream is told to step down.
    StepDown,
    /// A node is told to send its clients away.
    LameDuck,
    /// A node sees no other node, and all its clients.
    IsolateNode,
    /// One node is not heard by another.
    OneWayRoute,
    /// Nodes hear each other late.
    SlowRoutes,
    /// Nodes hear each other late, then every route breaks: what was on its way is lost, copies of
    /// what is stored and acknowledgements alike, and no client is told. The leader of a log stream is
    /// one that no edge is connected to, where there is such a node.
    CutRoutes,
    /// An edge's connections to one node break, and no new ones are made.
    CutEdge,
    /// An edge and all nodes: nothing passes, and nobody is told.
    PartitionEdge,
    /// An edge is heard, and hears nothing.
    DeafEdge,
    /// An edge hears, and is not heard.
    MuteEdge,
    /// An edge hears and is heard late.
    SlowEdge,
    /// The connection of an edge breaks, and comes back, every second.
    FlapEdge,
    /// The same of all edges at once, so that what is published then is heard by none of them.
    FlapEdges,
    /// A worker and all nodes: nothing passes, and nobody is told.
    PartitionWorker,
    /// A worker hears and is heard late.
    SlowWorker,
    /// More comes at once than an edge's subscriptions hold.
    Overflow,
    /// A client takes a few bytes a second.
    SlowClient,
    /// A client and all edges: nothing passes, and nobody is told.
    PartitionClient,
    /// Every client breaks its connection and comes back, at once.
    ReconnectAll,
    /// A log stream takes nothing more.
    DiskFull,
    /// The workers' way to a store is dead. Only with the cluster stores.
    StoreAway,
    /// SIGKILL of a store. Only with the cluster stores.
    KillStore,
    /// SIGSTOP of a store, then SIGCONT. Only with the cluster stores.
    PauseStore,
    /// Every process is stopped and started, as an operator would.
    Rolling,
}

/// What may not go wrong twice at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// Edges, and their ways to the bus.
    Edge,
    /// Workers, and theirs.
    Worker,
    /// The NATS nodes and the streams.
    Nats,
    /// Clients.
    Client,
    /// Stores.
    Store,
    /// Everything.
    All,
}

impl Kind {
    /// What it is called on the command line and in records.
    pub fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// What must be well while it lasts.
    pub fn family(self) -> Family {
        match self {
            Self::KillEdge
            | Self::PauseEdge
            | Self::CutEdge
            | Self::PartitionEdge
            | Self::DeafEdge
            | Self::MuteEdge
            | Self::SlowEdge
            | Self::FlapEdge
            | Self::FlapEdges
            | Self::Overflow => Family::Edge,
            Self::KillWorker
            | Self::PauseWorker
            | Self::PersisterAway
            | Self::PartitionWorker
            | Self::SlowWorker => Family::Worker,
            Self::KillLeader
            | Self::DeafLeader
            | Self::KillFollower
            | Self::PauseLeader
            | Self::PauseFollower
            | Self::StepDown
            | Self::LameDuck
            | Self::IsolateNode
            | Self::OneWayRoute
            | Self::SlowRoutes
            | Self::CutRoutes
            | Self::DiskFull => Family::Nats,
            Self::SlowClient | Self::PartitionClient | Self::ReconnectAll => Family::Client,
            Self::StoreAway | Self::KillStore | Self::PauseStore => Family::Store,
            Self::Rolling => Family::All,
        }
    }

    /// How long it lasts, in milliseconds.
    pub fn lasts(self) -> RangeInclusive<u64> {
        match self {
            Self::StepDown | Self::ReconnectAll | Self::Rolling => 0..=0,
            Self::KillEdge | Self::KillWorker => 200..=4_000,
            Self::PauseEdge | Self::PauseWorker | Self::Overflow => 2_000..=8_000,
            Self::PersisterAway => 10_000..=20_000,
            Self::KillLeader | Self::KillFollower | Self::LameDuck => 1_000..=8_000,
            // Shorter than it takes to give up leading (10 s), or to elect another (4 s).
            Self::DeafLeader | Self::CutRoutes => 1_000..=3_000,
            Self::FlapEdge
            | Self::FlapEdges
            | Self::SlowWorker
            | Self::SlowEdge
            | Self::SlowRoutes => 5_000..=10_000,
            _ => 3_000..=12_000,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.name())
    }
}
