//! Kills an edge under thousands of sessions, has all of them come back at once, and tells how long
//! that took and what it cost. See `natter_tests::storm`.

use std::process::ExitCode;

use clap::Parser;
use natter_tests::failure::ended;
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
    let outcome = Box::pin(storm::run(Arguments::parse().options)).await;
    let good = outcome.map(|report| {
        println!("{report}");
        report.is_good()
    });
    ended("natter-storm", good)
}
