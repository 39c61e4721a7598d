//! Copies of embedded stores, by the command itself.

use std::path::Path;

use clap::Parser as _;
use proptest::prelude::*;
use rusqlite::Connection;

use super::*;
use crate::cli::{Arguments, execute as run};
use crate::store::Stores;
use crate::store::conformance::transfer::{Content, any_content, everything, fill};

/// What a command printed, and how it ended.
pub(crate) async fn say(settings: &Settings, line: &str) -> (String, Result<(), CommandError>) {
    let words = std::iter::once("natter-workers").chain(line.split(' '));
    let mut out = Vec::new();
    let ended = run(Arguments::parse_from(words).command.unwrap(), settings, &mut out).await;
    (String::from_utf8(out).unwrap(), ended)
}

fn line(from: &Path, to: &Path) -> String {
    format!("copy --from embedded:{} --to embedded:{}", from.display(), to.display())
}

/// A directory with two stores, the first one filled.
async fn filled(content: &Content) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let stores = Stores::embedded(&dir.path().join("a")).await.unwrap();
    fill(&stores, content).await;
    dir
}

/// Content with something in every table.
fn sample() -> Content {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    any_content().new_tree(&mut runner).unwrap().current()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_copy_holds_the_same(content in any_content()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let dir = filled(&content).await;
            let [a, b] = ["a", "b"].map(|name| dir.path().join(name));
            let settings = Settings::default();
            let (printed, ended) = say(&settings, &line(&a, &b)).await;
            assert!(ended.is_ok(), "{ended:?}: {printed}");
            let a = EmbeddedTransfer::open(&a).await.unwrap();
            let b = EmbeddedTransfer::open(&b).await.unwrap();
            let all = everything(&a, 1_000).await;
            assert_eq!(everything(&a, content.page).await, all, "whatever the size of a page");
            assert_eq!(everything(&b, 1_000).await, all);
            assert_eq!(b.state().await.unwrap().unwrap().stage, Stage::Finished);
        });
    }
}
