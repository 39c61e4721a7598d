//! Measures what a sign-in and a page of history cost, by stage and in look-ups. See
//! `natter_tests::measure`.

use std::process::ExitCode;

use clap::Parser;
use natter_tests::failure::ended;
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
    let outcome = Box::pin(measure::run(Arguments::parse().options)).await;
    let good = outcome.map(|report| {
        println!("{report}");
        report.faults().is_empty()
    });
    ended("natter-measure", good)
}
