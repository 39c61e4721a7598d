//! One process of a platform, and how it is started, again and again.

use std::process::Command;

use crate::process::{Log, Process};
use crate::{Outcome, locate};

/// A worker or edge: how it is started, where it answers, what runs of it.
pub(super) struct Member {
    pub(super) name: String,
    pub(super) roles: String,
    pub(super) binary: &'static str,
    pub(super) arguments: Vec<String>,
    pub(super) settings: Vec<(String, String)>,
    /// Addresses whose `/readyz` must answer.
    pub(super) ready: Vec<String>,
    pub(super) log: Log,
    pub(super) process: Option<Process>,
}

impl Member {
    pub(super) fn launch(&mut self) -> Outcome {
        let mut command = self.command()?;
        command.args(&self.arguments);
        self.process = Some(Process::start(&self.name, command, &self.log)?);
        Ok(())
    }

    /// The binary with its settings, and nothing that it is to do.
    pub(super) fn command(&self) -> Outcome<Command> {
        let mut command = Command::new(locate::binary(self.binary)?);
        // What the tester's own shell sets must not reach the product.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("NATTER_") {
                command.env_remove(name);
            }
        }
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        Ok(command)
    }
}
