//! `natter-workers invite …`: invitations to register.

use std::fmt::Write as _;
use std::io::Write;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bus_schema::timestamp::Timestamp;
use clap::Subcommand;

use super::CommandError;
use crate::roles::auth::hash_invite;
use crate::store::invites::{InviteRecord, InviteStore};

/// Invitations listed.
const LIST_MAX: u32 = 10_000;
/// Bytes of the hash that name an invitation.
const NAME_BYTES: usize = 5;

/// Invitations.
#[derive(Debug, Subcommand)]
pub enum InviteCommand {
    /// Make an invitation and print it
    Create {
        /// How many accounts can be made with it
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        uses: u32,
    },
    /// List the invitations that have uses left
    List,
    /// Make an invitation useless
    Revoke {
        /// Its name in the list
        name: String,
    },
}

pub(super) async fn execute(
    command: InviteCommand,
    invites: &dyn InviteStore,
    out: &mut (dyn Write + Send),
) -> Result<(), CommandError> {
    match command {
        InviteCommand::Create { uses } => {
            let text = random_text::<16>();
            let hash = hash_invite(&text);
            let name = hash[..NAME_BYTES].iter().fold(String::new(), |mut name, byte| {
                // Writing to a String cannot fail.
                let _ = write!(name, "{byte:02x}");
                name
            });
            let created_at = Timestamp::now();
            invites.create(InviteRecord { hash, name, uses_left: uses, created_at }).await?;
            Ok(writeln!(out, "{text}")?)
        }
        InviteCommand::List => {
            writeln!(out, "{:<12} {:<24} USES LEFT", "NAME", "MADE")?;
            for invite in invites.list(LIST_MAX).await? {
                let made = invite.created_at.to_string();
                writeln!(out, "{:<12} {made:<24} {}", invite.name, invite.uses_left)?;
            }
            Ok(())
        }
        InviteCommand::Revoke { name } => {
            if invites.revoke(&name).await? {
                return Ok(writeln!(out, "{name} is revoked")?);
            }
            Err(CommandError::Refused(format!("there is no invitation {name}")))
        }
    }
}

/// Random text of `N` bytes that nobody can guess.
pub(super) fn random_text<const N: usize>() -> String {
    let bytes: [u8; N] = std::array::from_fn(|_| rand::random());
    URL_SAFE_NO_PAD.encode(bytes)
}
