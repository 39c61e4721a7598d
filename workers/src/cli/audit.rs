//! `natter-workers audit`: asks the running auditor what is not accounted for.
//!
//! Invariant: asks as the operator, who may change nothing. What cannot be asked is never taken for
//! being in order.

use std::io::Write;

use bus_schema::ops::Empty;
use bus_schema::ops::audit::{Account, Report};
use bus_schema::permissions::BusUser;
use bus_schema::runtime::bus::Bus;
use bus_schema::runtime::call::Call;
use clap::Args;

use super::CommandError;
use crate::config::Settings;

/// Seconds to wait for NATS, and for the streams.
const WAIT_S: u64 = 5;

/// What to show.
#[derive(Debug, Args)]
pub struct AuditCommand {
    /// Print what the auditor says as JSON, one object a stream
    #[arg(long)]
    pub json: bool,
}

pub(super) async fn execute(
    command: &AuditCommand,
    settings: &Settings,
    out: &mut (dyn Write + Send),
) -> Result<(), CommandError> {
    let accounts = ask(settings).await?;
    if command.json {
        for account in &accounts {
            let line = serde_json::to_string(account).map_err(std::io::Error::other)?;
            writeln!(out, "{line}")?;
        }
    } else {
        show(&accounts, out)?;
    }
    if accounts.iter().any(Account::is_troubled) {
        return Err(CommandError::Unaccounted);
    }
    Ok(())
}

async fn ask(settings: &Settings) -> Result<Vec<Account>, CommandError> {
    let mut bus = settings.bus.clone();
    bus.start_wait_s = bus.start_wait_s.min(WAIT_S);
    let failed = |error: &dyn std::fmt::Display| CommandError::NoAuditor(error.to_string());
    let bus = Bus::connect(&bus, BusUser::Operator).await.map_err(|e| failed(&e))?;
    let layout = bus.layout().await.map_err(|e| failed(&e))?;
    let mut accounts = Vec::new();
    for stream in layout.all() {
        let asked = bus.call::<Report>(&Call::platform().stream(stream), &Empty {}).await;
        accounts.push(asked.map_err(|failure| {
            CommandError::NoAuditor(format!("stream {stream}: {}", failure.code.as_str()))
        })?);
    }
    Ok(accounts)
}

fn show(accounts: &[Account], out: &mut (dyn Write + Send)) -> std::io::Result<()> {
    writeln!(out, "{:<7} {:<6} {:>12} {:>8}  WHERE", "STREAM", "PLACE", "UNACCOUNTED", "OLDEST")?;
    for account in accounts {
        for standing in &account.places {
            let age = match standing.unaccounted {
                0 => "-".to_owned(),
                _ => format!("{} s", standing.oldest_s),
            };
            let (stream, place) = (account.stream, standing.place.name());
            write!(out, "{stream:<7} {place:<6} {:>12} {age:>8}", standing.unaccounted)?;
            if let Some(who) = &standing.who {
                write!(out, "  {who}")?;
            }
            if let Some(first) = standing.examples.first() {
                write!(out, "  conversation {}, entry {}", first.conversation_id, first.id)?;
            }
            writeln!(out)?;
        }
    }
    for account in accounts {
        let stream = account.stream;
        for edge in &account.edges {
            if let (Some(unaccounted @ 1..), Some(id)) = (edge.unaccounted, edge.conversation_id) {
                let name = &edge.edge;
                writeln!(out, "stream {stream}: {name} lacks {unaccounted}, also of {id}")?;
            }
        }
        if account.wrong_rows > 0 {
            writeln!(out, "stream {stream}: {} rows are not as the log says:", account.wrong_rows)?;
            for wrong in &account.examples {
                writeln!(out, "  {wrong}")?;
            }
        }
        match account.sweep {
            Some(sweep) => writeln!(
                out,
                "stream {stream}: the last pass over all ended {} s ago, went over {} entries",
                sweep.ended_s, sweep.entries
            )?,
            None => writeln!(out, "stream {stream}: the first pass over all has not ended yet")?,
        }
    }
    Ok(())
}
