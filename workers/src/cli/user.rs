//! `natter-workers user …`: looking after accounts.
//!
//! Running auth workers announce the sessions that a command ends within seconds.

use std::io::{Read as _, Write};

use bus_schema::text::{Password, Username};
use bus_schema::timestamp::Timestamp;
use clap::Subcommand;

use super::{CommandError, open};
use crate::config::Settings;
use crate::roles::auth::passwords::Passwords;
use crate::store::Stores;
use crate::store::users::Account;

/// Accounts read from the store at once.
const PAGE: u32 = 500;
/// Bytes of standard input that can be a password.
const INPUT_BYTES: u64 = 2_048;

/// Accounts.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// List all accounts
    List,
    /// End an account's sessions and refuse new ones
    Disable {
        /// Whose
        username: String,
    },
    /// Let a disabled account sign in again
    Enable {
        /// Whose
        username: String,
    },
    /// Set a new password, which is printed, and end the account's sessions
    ResetPassword {
        /// Whose
        username: String,
        /// Read the new password from standard input instead of making one up
        #[arg(long)]
        stdin: bool,
    },
}

pub(super) async fn execute(
    command: UserCommand,
    settings: &Settings,
    out: &mut (dyn Write + Send),
) -> Result<(), CommandError> {
    let stores = open(settings).await?;
    match command {
        UserCommand::List => list(&stores, out).await,
        UserCommand::Disable { username } => {
            let account = find(&stores, &username).await?;
            stores.users.set_disabled(account.id(), true).await?;
            let ended = end_sessions(&stores, &account).await?;
            Ok(writeln!(out, "{username} is disabled; sessions ended: {ended}")?)
        }
        UserCommand::Enable { username } => {
            let account = find(&stores, &username).await?;
            stores.users.set_disabled(account.id(), false).await?;
            Ok(writeln!(out, "{username} may sign in")?)
        }
        UserCommand::ResetPassword { username, stdin } => {
            let account = find(&stores, &username).await?;
            if account.profile.user.bot {
                return Err(CommandError::Refused(format!(
                    "{username} is a bot: it has no password"
                )));
            }
            let given = if stdin { Some(read_password()?) } else { None };
            reset(&stores, settings, &account, given, out).await
        }
    }
}

async fn find(stores: &Stores, username: &str) -> Result<Account, CommandError> {
    let unknown = || CommandError::Refused(format!("there is no account {username}"));
    let name = Username::parse(username).map_err(|_| unknown())?;
    stores.users.by_username(&name).await?.ok_or_else(unknown)
}

async fn end_sessions(stores: &Stores, account: &Account) -> Result<usize, CommandError> {
    Ok(stores.sessions.end_others(account.id(), None, Timestamp::now()).await?.len())
}

async fn list(stores: &Stores, out: &mut (dyn Write + Send)) -> Result<(), CommandError> {
    writeln!(out, "{:<20} {:<32} {:<9} {:<24} DISPLAY NAME", "ID", "USERNAME", "STATE", "SINCE")?;
    let mut after = None;
    loop {
        let page = stores.users.list(after, PAGE).await?;
        for account in &page {
            let user = &account.profile.user;
            let state = match (account.disabled, user.bot) {
                _ if account.is_retired() => "deleted",
                (true, _) => "disabled",
                (false, true) => "bot",
                (false, false) => "active",
            };
            let (id, since) = (user.id.to_string(), account.created_at.to_string());
            let (name, shown) = (user.username.as_str(), &user.display_name);
            writeln!(out, "{id:<20} {name:<32} {state:<9} {since:<24} {shown}")?;
        }
        match page.last() {
            Some(last) if page.len() == PAGE as usize => after = Some(last.id()),
            _ => return Ok(()),
        }
    }
}

async fn reset(
    stores: &Stores,
    settings: &Settings,
    account: &Account,
    given: Option<String>,
    out: &mut (dyn Write + Send),
) -> Result<(), CommandError> {
    let refused = |why: &dyn std::fmt::Display| CommandError::Refused(why.to_string());
    let made_up = given.is_none();
    let text = given.unwrap_or_else(super::invite::random_text::<15>);
    let password = Password::parse(&text).map_err(|e| refused(&e.message))?;
    let passwords = Passwords::new(&settings.auth).await.map_err(|e| refused(&e))?;
    let hash = passwords.hash(password).await.map_err(|e| refused(&e))?;
    stores.users.set_password(account.id(), None, hash).await?;
    let ended = end_sessions(stores, account).await?;
    let name = &account.profile.user.username;
    writeln!(out, "{name} has a new password; sessions ended: {ended}")?;
    if made_up {
        writeln!(out, "{text}")?;
    }
    Ok(())
}

fn read_password() -> Result<String, CommandError> {
    let mut text = String::new();
    std::io::stdin().lock().take(INPUT_BYTES).read_to_string(&mut text)?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
