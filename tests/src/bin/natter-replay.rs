//! Replays days of a real channel through the public protocol while clients disconnect and edges
//! die, and proves that nothing was lost, doubled or reordered. See `natter_tests::replay`.

use std::process::ExitCode;

use clap::Parser;
use natter_tests::failure::ended;
use natter_tests::replay::bots::bot;
use natter_tests::replay::{self, Options};

/// Replays days of a real channel and compares what everyone saw.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(flatten)]
    options: Options,
}

/// One bot of a replay, which starts this program again for each.
#[derive(Parser)]
struct BotArguments {
    #[command(flatten)]
    options: bot::Options,
}

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let outcome = if arguments.next().is_some_and(|first| first == "bot") {
        // One thread is enough for one bot, and there may be hundreds.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let options = BotArguments::parse_from(std::env::args_os().skip(1)).options;
        runtime
            .map_err(Into::into)
            .and_then(|runtime| runtime.block_on(Box::pin(bot::run(options))).map(|()| true))
    } else {
        let options = Arguments::parse().options;
        let runtime = tokio::runtime::Runtime::new();
        runtime.map_err(Into::into).and_then(|runtime| {
            let report = runtime.block_on(Box::pin(replay::run(options)))?;
            println!("{report}");
            Ok(report.good())
        })
    };
    ended("natter-replay", outcome)
}
