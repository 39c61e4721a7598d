//! `natter-workers`: reads settings, then runs roles or an operator's command.

use std::process::ExitCode;

use bus_schema::runtime::shutdown::Shutdown;
use bus_schema::runtime::{settings, telemetry};
use clap::Parser as _;
use natter_workers::cli::{self, Arguments, CommandError};
use natter_workers::config::Settings;

type Failed = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    match start(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("natter-workers: {error}");
            error.downcast_ref::<CommandError>().map_or(ExitCode::FAILURE, |e| e.status().into())
        }
    }
}

async fn start(arguments: Arguments) -> Result<(), Failed> {
    let settings: Settings = settings::load(arguments.config.as_deref(), arguments.flags())?;
    if let Some(command) = arguments.command {
        return Ok(cli::execute(command, &settings, &mut std::io::stdout()).await?);
    }
    telemetry::init(&settings.log);
    let shutdown = Shutdown::new();
    shutdown.on_signals()?;
    Ok(natter_workers::run(&settings, telemetry::metrics()?, shutdown).await?)
}
