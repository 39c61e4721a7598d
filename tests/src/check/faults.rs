//! What can go wrong, as data: kinds of faults, and how each is brought about and undone.
//!
//! Invariant: a fault that was injected can be healed, in any order and whatever else happened; when
//! all are healed every process runs and every link is whole ([`World::calm`]). A majority of the
//! NATS nodes lives and is connected at every moment outside of a single fault's window: the schedule
//! never lets two faults of one [`Family`] overlap.

pub mod bus;
pub mod disk;
pub mod link;
pub mod node;
pub mod process;
pub mod rolling;
pub mod schedule;
pub mod store;

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use tokio::process::Child;
use tokio::sync::watch;
use tokio::time::sleep;

use self::bus::Bus;
use super::proxy::{Link, Network, Weather};
use crate::stack::Stack;
use crate::{Context as _, Outcome};

/// Everything runs again by then.
const CALM_WITHIN: Duration = Duration::from_mins(2);
/// How long links that break are cut: so that every connection notices.
const BROKEN_FOR: Duration = Duration::from_millis(100);

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

/// What clients do because a fault says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Orders {
    /// How many times as much as else is sent; 0 counts as 1.
    pub burst: u32,
    /// Changes when everybody must reconnect.
    pub reconnect: u64,
}

/// What can be hurt.
pub struct World {
    /// The platform.
    pub stack: Stack,
    /// What is between its parts.
    pub network: Arc<Network>,
    /// The streams.
    pub bus: Bus,
    /// The clients.
    pub orders: watch::Sender<Orders>,
    /// How many clients.
    pub clients: usize,
    /// Stores that are being started.
    pub starting: Vec<Child>,
}

/// A fault that was injected.
pub struct Wound {
    /// What it hit, in words.
    pub target: String,
    /// How it is undone.
    pub heal: Heal,
}

/// What has to be undone.
pub enum Heal {
    /// Nothing: it was over at once.
    Nothing,
    /// Processes have to be started.
    Launch(Vec<String>),
    /// Processes have to be continued; and clients are calm again.
    Continue(Vec<u32>),
    /// A node has to be started, dead or not.
    Node(usize),
    /// Links are whole again.
    Links(Vec<Arc<Link>>),
    /// Links have to break before they are whole again.
    Break(Vec<Arc<Link>>),
    /// A node has to be killed and started, and its links are whole again.
    Deaf(usize, Vec<Arc<Link>>),
    /// A stream may grow as before.
    Stream(disk::Full),
    /// A store has to be started.
    Store(&'static str),
}

impl World {
    /// Brings a fault about; `pick` says which of the parts that it may hit. None: there is nothing
    /// that it could hit now.
    pub async fn inject(&mut self, kind: Kind, pick: u64) -> Outcome<Option<Wound>> {
        let wound = match kind {
            Kind::KillEdge
            | Kind::PauseEdge
            | Kind::KillWorker
            | Kind::PauseWorker
            | Kind::PersisterAway
            | Kind::Overflow => process::inject(self, kind, pick)?,
            Kind::KillLeader
            | Kind::DeafLeader
            | Kind::KillFollower
            | Kind::PauseLeader
            | Kind::PauseFollower
            | Kind::StepDown
            | Kind::CutRoutes
            | Kind::LameDuck => node::inject(self, kind, pick).await?,
            Kind::DiskFull => disk::inject(self, pick).await?,
            Kind::ReconnectAll => {
                self.orders.send_modify(|orders| orders.reconnect += 1);
                Some(Wound { target: "all clients".to_owned(), heal: Heal::Nothing })
            }
            Kind::Rolling => Some(rolling::inject(self).await?),
            Kind::KillStore | Kind::PauseStore => store::inject(kind, pick).await?,
            _ => link::inject(self, kind, pick),
        };
        Ok(wound)
    }

    /// Undoes a fault.
    pub async fn heal(&mut self, heal: Heal) -> Outcome {
        match heal {
            Heal::Nothing => {}
            Heal::Launch(names) => process::launch(self, &names)?,
            Heal::Continue(pids) => process::unpause(self, &pids),
            Heal::Node(index) => node::revive(self, index)?,
            Heal::Links(links) => link::set_all(&links, Weather::default()),
            Heal::Break(links) => {
                link::set_all(&links, Weather::CUT);
                sleep(BROKEN_FOR).await;
                link::set_all(&links, Weather::default());
            }
            Heal::Deaf(index, links) => {
                node::kill(self, index)?;
                link::set_all(&links, Weather::default());
                node::revive(self, index)?;
            }
            Heal::Stream(full) => disk::heal(self, full).await?,
            Heal::Store(store) => self.starting.push(store::start(store)?),
        }
        Ok(())
    }

    /// Starts whatever does not run, and waits until everything says that it is ready.
    pub async fn calm(&mut self) -> Outcome {
        self.network.clear();
        self.orders.send_modify(|orders| orders.burst = 1);
        for node in self.stack.nodes() {
            if node.ended() {
                node.revive()?;
            }
        }
        for name in self.stack.names() {
            if self.stack.pid(&name)?.is_none() {
                self.stack.launch(&name)?;
            }
        }
        store::served(&mut self.starting).await?;
        let ready = async {
            for node in self.stack.nodes() {
                node.ready().await?;
            }
            for name in self.stack.names() {
                self.stack.await_ready(&name).await?;
            }
            Ok(())
        };
        tokio::time::timeout(CALM_WITHIN, ready).await.during("everything runs again")?
    }

    /// One of several, or none of none.
    fn choose<T: Clone>(pick: u64, of: &[T]) -> Option<T> {
        let count = u64::try_from(of.len()).ok().filter(|&count| count > 0)?;
        usize::try_from(pick % count).ok().and_then(|index| of.get(index)).cloned()
    }

    /// The names of all edges, or of all workers, that run.
    fn running(&self, prefix: &str) -> Outcome<Vec<String>> {
        let mut names = self.stack.names();
        names.retain(|name| name.starts_with(prefix));
        let mut running = Vec::new();
        for name in names {
            if self.stack.pid(&name)?.is_some() {
                running.push(name);
            }
        }
        Ok(running)
    }
}
