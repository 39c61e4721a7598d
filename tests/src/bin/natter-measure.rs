//! Measures what a sign-in and a page of history cost, by stage and in look-ups. See
//! `natter_tests::measure`.

use std::process::ExitCode;

use clap::Parser;
use natter_tests::measure::{self, Options};

/// Measures what a sign-in and a page of history cost.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    options: Options,
}

#[tokio::main]
async fn main() -> ExitCode {
    match Box::pin(measure::run(Arguments::parse().options)).await {
        Ok(report) => {
            println!("{report}");
            if report.faults().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(failure) => {
            eprintln!("natter-measure: {failure}");
            ExitCode::FAILURE
        }
    }
}
