//! The command line: flags of the process, and commands for operators.
//!
//! Invariant: a command works on the store alone, so it also works while nothing else runs (but for
//! `audit`, which asks who runs); what running processes must know of it they read from the store. What a command prints once (a
//! password, an invitation) is printed nowhere else.

mod audit;
pub(crate) mod copy;
mod invite;
mod secrets;
mod user;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use serde::Serialize;

pub use self::audit::AuditCommand;
pub use self::copy::CopyCommand;
pub use self::invite::InviteCommand;
pub use self::secrets::SecretsCommand;
pub use self::user::UserCommand;
use crate::config::Settings;
use crate::roles::Role;
use crate::store::{StoreError, Stores};

/// Natter's workers: with no command, runs the roles.
#[derive(Debug, Parser)]
#[command(name = "natter-workers", version, about, subcommand_negates_reqs = true)]
pub struct Arguments {
    /// TOML file with settings; see deploy/config.default.toml
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Directory of the embedded store (store.embedded)
    #[arg(long, global = true, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// What to run, separated by commas (workers.roles)
    #[arg(long, value_enum, value_delimiter = ',', value_name = "ROLES")]
    pub roles: Option<Vec<Role>>,
    /// Where operators find health and metrics (workers.admin_listen)
    #[arg(long, value_name = "ADDRESS")]
    pub admin_listen: Option<SocketAddr>,
    /// What to do instead of running.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What an operator does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Accounts
    #[command(subcommand)]
    User(UserCommand),
    /// Invitations to register
    #[command(subcommand)]
    Invite(InviteCommand),
    /// Copy everything to another store, while the platform is stopped
    Copy(CopyCommand),
    /// Make what is missing of who is who on the bus: keys, accounts, credentials
    Secrets(SecretsCommand),
    /// Ask the running auditor what is not accounted for; exit status 1 if that is trouble, 2 if there
    /// is no auditor
    Audit(AuditCommand),
}

/// The settings that flags override.
#[derive(Debug, Serialize)]
pub struct Flags {
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<StoreFlags>,
    workers: WorkersFlags,
}

#[derive(Debug, Serialize)]
struct StoreFlags {
    embedded: PathBuf,
}

#[derive(Debug, Serialize)]
struct WorkersFlags {
    #[serde(skip_serializing_if = "Option::is_none")]
    roles: Option<Vec<Role>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    admin_listen: Option<SocketAddr>,
}

impl Arguments {
    /// The flags as settings.
    pub fn flags(&self) -> Flags {
        Flags {
            store: self.store.clone().map(|embedded| StoreFlags { embedded }),
            workers: WorkersFlags { roles: self.roles.clone(), admin_listen: self.admin_listen },
        }
    }
}

/// Why a command came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// There is no store to work on.
    #[error("no store in {0}: name its directory with --store or store.embedded")]
    NoStore(PathBuf),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file could not be read or written.
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
    /// The output could not be written, or the input not be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// What was named or given does not fit.
    #[error("{0}")]
    Refused(String),
    /// Entries are missing somewhere, or late.
    #[error("the log is not accounted for")]
    Unaccounted,
    /// Nobody answers for a stream.
    #[error("no auditor answers: {0}")]
    NoAuditor(String),
}

impl CommandError {
    /// The exit status of the process.
    pub const fn status(&self) -> u8 {
        match self {
            Self::NoAuditor(_) => 2,
            _ => 1,
        }
    }
}

/// Does what a command says; its output goes to `out`. Boxed like [`crate::run`].
pub fn execute<'a>(
    command: Command,
    settings: &'a Settings,
    out: &'a mut (dyn Write + Send),
) -> futures::future::BoxFuture<'a, Result<(), CommandError>> {
    Box::pin(execute_command(command, settings, out))
}

async fn execute_command(
    command: Command,
    settings: &Settings,
    out: &mut (dyn Write + Send),
) -> Result<(), CommandError> {
    match command {
        Command::User(command) => user::execute(command, settings, out).await,
        Command::Invite(command) => {
            invite::execute(command, &*open(settings).await?.invites, out).await
        }
        Command::Copy(command) => copy::execute(command, settings, out).await,
        Command::Secrets(command) => secrets::execute(&command, out),
        Command::Audit(command) => audit::execute(&command, settings, out).await,
    }
}

/// The store, which a mistyped directory must not bring into being.
async fn open(settings: &Settings) -> Result<Stores, CommandError> {
    let directory = &settings.store.embedded;
    if !settings.store.is_cluster() && !directory.join("people.db").is_file() {
        return Err(CommandError::NoStore(directory.clone()));
    }
    Ok(Stores::open(&settings.store).await?)
}

#[cfg(test)]
mod tests;
