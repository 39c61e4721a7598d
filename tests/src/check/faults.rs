//! What can go wrong, and how each is brought about and undone.
//!
//! Invariant: a fault that was injected can be healed, in any order and whatever else happened; when
//! all are healed every process runs and every link is whole ([`World::calm`]). A majority of the
//! NATS nodes lives and is connected at every moment outside of a single fault's window: the schedule
//! never lets two faults of one [`Family`] overlap.

pub mod bus;
pub mod disk;
pub mod kind;
pub mod link;
pub mod node;
pub mod process;
pub mod rolling;
pub mod schedule;
pub mod store;

use std::sync::Arc;
use std::time::Duration;

use tokio::process::Child;
use tokio::sync::watch;
use tokio::time::sleep;

use self::bus::Bus;
pub use self::kind::{Family, Kind};
use super::proxy::{Link, Network, Weather};
use crate::stack::Stack;
use crate::{Context as _, Outcome};

/// Everything runs again by then.
const CALM_WITHIN: Duration = Duration::from_mins(2);
/// How long links that break are cut: so that every connection notices.
const BROKEN_FOR: Duration = Duration::from_millis(100);

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
            Ok::<_, crate::Failure>(())
        };
        tokio::time::timeout(CALM_WITHIN, ready).await.during("everything runs again")??;
        store::reached(&self.stack).await
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
