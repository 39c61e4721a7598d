//! Kills an edge under thousands of sessions, has all of them come back at once, and tells how long
//! that took and what it cost. See `natter_tests::storm`.

use std::process::ExitCode;

use clap::Parser;
use natter_tests::storm::{self, Options};

/// Starts a platform, kills an edge under many sessions, and has them come back at once.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    options: Options,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Arguments::parse().options;
    match Box::pin(storm::run(options)).await {
        Ok(report) => {
            println!("{report}");
            if report.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(failure) => {
            eprintln!("natter-storm: {failure}");
            ExitCode::FAILURE
        }
    }
}
