//! Replays days of a real channel through the public protocol while clients disconnect and edges
//! die, and proves that nothing was lost, doubled or reordered. See `natter_tests::replay`.

use std::process::ExitCode;

use clap::Parser;
use natter_tests::replay::{self, Options};

/// Replays days of a real channel and compares what everyone saw.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    options: Options,
}

#[tokio::main]
async fn main() -> ExitCode {
    let options = Arguments::parse().options;
    match Box::pin(replay::run(options)).await {
        Ok(report) => {
            println!("{report}");
            if report.good() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(failure) => {
            eprintln!("natter-replay: {failure}");
            ExitCode::FAILURE
        }
    }
}
