//! How the examples of a language are run.

use std::path::{Path, PathBuf};
use std::process::Command;

use natter_tests::{Outcome, ensure, locate};

/// One of the languages that there are examples in.
#[derive(Debug, Clone, Copy)]
pub(super) enum Language {
    Shell,
    Python,
    JavaScript,
    Go,
    Rust,
}

impl Language {
    /// The command that runs an example.
    pub(super) fn command(self, example: &str, arguments: &[&str]) -> Outcome<Command> {
        let sources = locate::repository()?.join("deploy/examples");
        let (program, script) = match self {
            Self::Shell => {
                ("bash".into(), Some(sources.join("shell").join(format!("{example}.sh"))))
            }
            Self::Python => {
                let script = sources.join("python").join(format!("{example}.py"));
                (made("examples/python/bin/python")?, Some(script))
            }
            Self::JavaScript => {
                there(&sources.join("javascript/node_modules"))?;
                let script = sources.join("javascript").join(format!("{example}.js"));
                ("node".into(), Some(script))
            }
            Self::Go => (made(&format!("examples/go/{example}"))?, None),
            Self::Rust => (locate::binary(example)?, None),
        };
        let mut command = Command::new(program);
        if matches!(self, Self::Shell) {
            command.env("PATH", path_with(&nats_command()?)?);
        }
        command.args(script).args(arguments);
        Ok(command)
    }
}

/// Where the `nats` command is.
pub(super) fn nats_command() -> Outcome<PathBuf> {
    let tools = locate::repository()?.join(".natter/tools");
    let entries = std::fs::read_dir(tools).into_iter().flatten().flatten();
    let mut found = entries.map(|entry| entry.path().join("nats")).filter(|path| path.is_file());
    found.next().map_or_else(|| made("nats"), Ok)
}

/// The search path with the directory of a program before it.
pub(super) fn path_with(program: &Path) -> Outcome<std::ffi::OsString> {
    let search = std::env::var_os("PATH").unwrap_or_default();
    let own = program.parent().map(Path::to_owned);
    Ok(std::env::join_paths(own.into_iter().chain(std::env::split_paths(&search)))?)
}

/// What `./deploy/examples/prepare` made.
pub(super) fn made(path: &str) -> Outcome<PathBuf> {
    let path = locate::repository()?.join(".natter/tools").join(path);
    there(&path)?;
    Ok(path)
}

fn there(path: &Path) -> Outcome {
    ensure!(path.exists(), "no {}: run ./deploy/examples/prepare", path.display());
    Ok(())
}
