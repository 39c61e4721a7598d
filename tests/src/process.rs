//! One real process of the product, and what it wrote.
//!
//! Invariant: a process is waited for as soon as it is killed, and is dead when its owner is dropped.
//! Its output goes to a file, never to a pipe somebody would have to empty. Waiting until it is
//! ready belongs to whoever knows what ready means.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::{Context as _, Outcome, warden};

/// The most of a log that is shown at once.
const TAIL: u64 = 16 * 1024;

/// A running (or ended, but not yet replaced) process.
pub struct Process {
    name: String,
    child: Child,
    ended: Option<ExitStatus>,
    log: Log,
}

impl Process {
    /// Starts the command with its output added to `log`.
    pub fn start(name: &str, mut command: Command, log: &Log) -> Outcome<Self> {
        let out = log.writer()?;
        let child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .process_group(0)
            .spawn()
            .during(format_args!("starting {name}"))?;
        let mut process = Self { name: name.to_owned(), child, ended: None, log: log.clone() };
        if let Err(failure) = warden::watch(process.pid()) {
            process.kill();
            return Err(failure);
        }
        Ok(process)
    }

    /// Its number in the system.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none()
            && let Ok(Some(status)) = self.child.try_wait()
        {
            warden::release(self.pid());
            self.ended = Some(status);
        }
        self.ended
    }

    /// Fails with the end of its log when it is no longer running.
    pub fn must_run(&mut self) -> Outcome {
        if let Some(status) = self.ended() {
            let tail = self.log.tail(0);
            crate::fail!("{} ended ({status}); its log ends:\n{tail}", self.name);
        }
        Ok(())
    }

    /// Kills it with SIGKILL and waits until it is gone.
    pub fn kill(&mut self) {
        if self.ended().is_some() {
            return;
        }
        // Both fail only when it is already gone.
        let _ = self.child.kill();
        if let Ok(status) = self.child.wait() {
            self.ended = Some(status);
        }
        warden::release(self.pid());
    }

    /// Asks it to leave with SIGTERM; [`Process::ended`] tells when it has.
    pub fn terminate(&mut self) -> Outcome {
        signal(self.pid(), "TERM")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether a process ended because of a panic or a crash rather than by our signals.
pub fn crashed(status: ExitStatus) -> bool {
    match (status.code(), status.signal()) {
        (Some(code), _) => code != 0,
        (None, Some(signal)) => signal != 9 && signal != 15,
        (None, None) => true,
    }
}

/// Sends a signal, named as in `kill -TERM`, to a process that need not be ours.
pub fn signal(pid: u32, name: &str) -> Outcome {
    let status = Command::new("kill")
        .args([format!("-{name}"), pid.to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .during("running kill")?;
    crate::ensure!(status.success(), "kill -{name} {pid}: {status}");
    Ok(())
}

/// A number of what the system says of a process, as in `VmRSS:`; none of one that has ended.
pub fn status(pid: u32, name: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Bytes of a process in memory.
pub fn memory(pid: u32) -> Option<u64> {
    status(pid, "VmRSS:")?.checked_mul(1024)
}

/// The file that one process, or its successors of the same name, write to.
#[derive(Clone)]
pub struct Log {
    path: PathBuf,
}

impl Log {
    /// The log of `name` in `directory`; created by the first writer.
    pub fn new(directory: &Path, name: &str) -> Self {
        Self { path: directory.join(format!("{name}.log")) }
    }

    /// Bytes written so far.
    pub fn length(&self) -> u64 {
        std::fs::metadata(&self.path).map_or(0, |meta| meta.len())
    }

    /// What was written after `from`, cut to its end where it is long.
    pub fn tail(&self, from: u64) -> String {
        let start = from.max(self.length().saturating_sub(TAIL));
        let mut bytes = Vec::new();
        let read = File::open(&self.path).and_then(|mut file| {
            file.seek(SeekFrom::Start(start))?;
            file.take(TAIL).read_to_end(&mut bytes)
        });
        match read {
            Ok(_) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) => format!("(no log: {error})"),
        }
    }

    fn writer(&self) -> Outcome<File> {
        let file = OpenOptions::new().create(true).append(true).open(&self.path);
        file.during(format_args!("opening {}", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn output_is_kept_and_the_end_is_seen() {
        let directory = tempfile::tempdir().unwrap();
        let log = Log::new(directory.path(), "echo");
        let mut process = Process::start("echo", shell("echo hello; exit 3"), &log).unwrap();
        let status = process.child.wait().unwrap();
        assert!(crashed(status));
        let failure = process.must_run().unwrap_err().to_string();
        assert!(failure.contains("hello"), "{failure}");
    }

    #[test]
    fn a_dropped_process_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let log = Log::new(directory.path(), "wait");
        let process = Process::start("wait", shell("while :; do read x; done"), &log).unwrap();
        let pid = process.pid();
        drop(process);
        assert!(signal(pid, "0").is_err(), "still there");
    }
}
