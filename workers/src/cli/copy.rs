//! `natter-workers copy`: everything from one store to another, while the platform is stopped.
//!
//! Invariants: nothing is copied while somebody uses a store, as far as can be seen: an embedded one
//! is locked against everybody else, and for a cluster the bus is asked who is there, before and
//! after. Nothing is copied into a store that holds anything but the beginning of the same copy.
//! Until both stores were found to be the same, the target cannot be used. A copy that was killed,
//! wherever it was, goes on when it is started again.
//!
//! Leaves out the log: it stays in NATS, and the floors that are copied say from where on the
//! target's persister reads it.

mod compare;
mod digest;
mod moving;
mod progress;
mod stopped;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use clap::Args;

use self::compare::{Judgement, Outcome};
use self::progress::Progress;
use super::CommandError;
use crate::config::Settings;
use crate::store::embedded::people;
use crate::store::embedded::transfer::EmbeddedTransfer;
use crate::store::transfer::{CopyState, Stage, Transfer};
use crate::store::{StoreError, cluster};

/// From where to where.
#[derive(Debug, Args)]
pub struct CopyCommand {
    /// What to copy: `embedded` (the directory store.embedded), `embedded:DIR`, or `cluster` (the
    /// servers of store.cassandra and store.mongodb)
    #[arg(long, value_name = "STORE")]
    from: Place,
    /// Where to, in the same words; it must be empty, or hold the beginning of the same copy
    #[arg(long, value_name = "STORE")]
    to: Place,
    /// Copy nothing, only compare the two
    #[arg(long)]
    verify_only: bool,
    /// Do not ask NATS whether workers run: I know that none does
    #[arg(long)]
    assume_stopped: bool,
}

/// A store, as it is named on the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Embedded(Option<PathBuf>),
    Cluster,
}

impl FromStr for Place {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            None if text == "embedded" => Ok(Self::Embedded(None)),
            None if text == "cluster" => Ok(Self::Cluster),
            Some(("embedded", directory)) if !directory.is_empty() => {
                Ok(Self::Embedded(Some(directory.into())))
            }
            _ => Err("say embedded, embedded:DIR or cluster"),
        }
    }
}

impl Place {
    /// The directory of an embedded one.
    fn directory<'a>(&'a self, settings: &'a Settings) -> Option<&'a Path> {
        match self {
            Self::Embedded(given) => Some(given.as_ref().unwrap_or(&settings.store.embedded)),
            Self::Cluster => None,
        }
    }

    fn describe(&self, settings: &Settings) -> String {
        let store = &settings.store;
        match self.directory(settings) {
            Some(directory) => format!("the directory {}", directory.display()),
            None => format!("the cluster {}, {}", store.cassandra.url, store.mongodb.url),
        }
    }

    /// Opens it; one to be read must be there already.
    async fn open(
        &self,
        settings: &Settings,
        to_be_read: bool,
    ) -> Result<Arc<dyn Transfer>, CommandError> {
        let Some(directory) = self.directory(settings) else {
            return Ok(cluster::transfer::open(&settings.store, to_be_read).await?);
        };
        if to_be_read && !directory.join(people::FILE).is_file() {
            return Err(CommandError::NoStore(directory.to_owned()));
        }
        Ok(Arc::new(EmbeddedTransfer::open(directory).await?))
    }
}

pub(super) async fn execute(
    command: CopyCommand,
    settings: &Settings,
    out: &mut (dyn Write + Send),
) -> Result<(), CommandError> {
    let CopyCommand { from, to, verify_only, assume_stopped } = command;
    if same(&from, &to, settings) {
        return refused("both are the same store");
    }
    let ask_bus = (from == Place::Cluster || to == Place::Cluster) && !assume_stopped;
    let layout = if ask_bus { stopped::look(settings).await? } else { None };
    let source = from.open(settings, true).await?;
    let target = to.open(settings, verify_only).await?;
    CopyState::usable(source.state().await?.as_ref())?;
    let (from, to) = (from.describe(settings), to.describe(settings));
    let mut progress = Progress::new(out);
    if verify_only {
        progress.say(&format!("comparing {from} with {to}"))?;
        let outcome = compare::run(&*source, &*target, layout, &mut progress).await?;
        return judge(&outcome, &mut progress);
    }
    progress.say(&format!("copying {from} to {to}"))?;
    let state = moving::run(&*source, &*target, &mut progress).await?;
    progress.say("comparing")?;
    let outcome = compare::run(&*source, &*target, layout, &mut progress).await?;
    judge(&outcome, &mut progress)?;
    if ask_bus {
        // Whoever came in between may have written to either side after it was read.
        stopped::look(settings).await?;
    }
    target.keep_state(CopyState { stage: Stage::Finished, ..state }).await?;
    progress.say("done: start the platform on the new store, and keep the old one until it runs")
}

/// Whether two names mean one store.
fn same(from: &Place, to: &Place, settings: &Settings) -> bool {
    match (from.directory(settings), to.directory(settings)) {
        (None, None) => true,
        (Some(a), Some(b)) => {
            let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
            real(a) == real(b)
        }
        _ => false,
    }
}

/// The end of the command, if the stores differ.
fn judge(outcome: &Outcome, progress: &mut Progress<'_>) -> Result<(), CommandError> {
    if outcome.unsettled > 0 {
        progress.say(&format!(
            "{} rows were being changed by entries above the floor when the platform stopped; the \
             log still holds those, and the platform finishes them when it starts",
            outcome.unsettled
        ))?;
    }
    match outcome.judgement {
        Judgement::Same => progress.say("both hold the same"),
        Judgement::Different { at_least } => {
            refused(format!("the stores differ in {at_least} records, perhaps more"))
        }
    }
}

fn refused<T>(why: impl Into<String>) -> Result<T, CommandError> {
    Err(CommandError::Refused(why.into()))
}

/// Repeats what a server that is away for a moment refuses.
async fn patiently<T, F>(mut work: impl FnMut() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    use crate::store::StoreErrorKind::Unavailable;
    let mut waits = progress::WAITS.into_iter();
    loop {
        match work().await {
            Err(error) if error.kind == Unavailable => match waits.next() {
                Some(wait) => tokio::time::sleep(wait).await,
                None => return Err(error),
            },
            other => return other,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
