//! Kills each store under traffic, brings it back, and tells what people saw and whether anything
//! was lost. See `natter_tests::outage`.

use std::process::ExitCode;

use clap::Parser;
use natter_tests::failure::ended;
use natter_tests::outage::{self, Options};

/// Kills the stores of a running platform one at a time, under traffic.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    options: Options,
}

#[tokio::main]
async fn main() -> ExitCode {
    ended("natter-outage", Box::pin(outage::run(Arguments::parse().options)).await)
}
