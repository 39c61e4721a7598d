//! Proves, or disproves, that nothing is lost, nothing comes twice and nothing out of order, under
//! faults. See `natter_tests::check`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use natter_tests::check::run::{self, Options};
use natter_tests::check::soak;
use natter_tests::failure::ended;

/// Drives a platform of its own under faults, and judges what clients saw.
#[derive(Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Judges a record that was kept.
    Judge {
        /// The record.
        file: PathBuf,
    },
    /// A long run at a share of what the platform can take, with a fault at even intervals.
    Soak(Box<soak::Options>),
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.command {
        Some(Command::Judge { file }) => run::judge_file(&file),
        Some(Command::Soak(options)) => Box::pin(soak::run(&options)).await,
        None => Box::pin(run::run(&arguments.options)).await,
    };
    ended("natter-check", outcome)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
