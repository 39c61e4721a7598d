//! `natter-workers secrets`: who is who on the bus.
//!
//! Invariant: without a further word it makes what is missing and changes no key, so that it can be
//! run at every start. Works on the directory alone; what it changed of an account, the bots role
//! tells the servers, or their next start does.

use std::io::Write;
use std::path::PathBuf;

use bus_schema::timestamp::Timestamp;
use clap::{Args, Subcommand};

use super::CommandError;
use crate::identity::directory::{self, IdentityError, Signer};

/// What to do about secrets.
#[derive(Debug, Args)]
pub struct SecretsCommand {
    /// Where they are kept (bus.secrets)
    #[arg(long, global = true, value_name = "DIR")]
    dir: Option<PathBuf>,
    #[command(subcommand)]
    change: Option<Change>,
}

/// A change of keys.
#[derive(Debug, Subcommand)]
enum Change {
    /// Sign with a new key; what the one before has signed holds until it is dropped
    Rotate {
        /// Whose
        #[arg(value_enum)]
        key: Signer,
    },
    /// Refuse whatever was signed with the key before this one
    DropOld {
        /// Whose
        #[arg(value_enum)]
        key: Signer,
    },
}

pub(super) fn execute(
    command: &SecretsCommand,
    out: &mut (dyn Write + Send),
) -> Result<(), CommandError> {
    let now = Timestamp::now();
    let Some(dir) = &command.dir else {
        return Err(CommandError::Refused("say where they are kept, with --dir".to_owned()));
    };
    match &command.change {
        None => directory::make(dir, now)?,
        Some(Change::Rotate { key }) => {
            directory::rotate(dir, *key, now)?;
            writeln!(out, "rotated; what was signed before holds until `secrets drop-old`")?;
        }
        Some(Change::DropOld { key }) => {
            if !directory::drop_old(dir, *key, now)? {
                return Err(CommandError::Refused("there is no older key".to_owned()));
            }
            writeln!(out, "dropped; what it signed is refused from now on")?;
        }
    }
    Ok(())
}

impl From<IdentityError> for CommandError {
    fn from(error: IdentityError) -> Self {
        match error {
            IdentityError::File(path, error) => Self::File(path, error),
            other => Self::Refused(other.to_string()),
        }
    }
}
