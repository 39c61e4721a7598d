//! Nothing started by a test outlives it, however it ends.
//!
//! Invariant: every process handed to [`watch`] is killed and every directory handed to [`sweep`] is
//! removed once this program is gone, also when it was killed itself or kept them in a `static`,
//! which Rust never drops. A shell reads our pipe; the system closes the pipe when we end, and the
//! shell acts then. It is the net below the `Drop` of the owners, not a replacement for it.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::{Context as _, Failure, Outcome};

/// Reads `+ pid`, `- pid` and `d directory` lines until the pipe closes, then acts.
const SCRIPT: &str = r#"
trap '' INT TERM HUP
pids=
while read -r word value; do
  case $word in
    +) pids="$pids $value" ;;
    -) kept=
       for pid in $pids; do [ "$pid" = "$value" ] || kept="$kept $pid"; done
       pids=$kept ;;
    d) set -- "$@" "$value" ;;
  esac
done
for pid in $pids; do kill -9 "$pid" 2>/dev/null; done
for directory; do
  rm -rf -- "$directory" 2>/dev/null || { sleep 1; rm -rf -- "$directory"; }
done
"#;

static WARDEN: OnceLock<Result<Mutex<ChildStdin>, String>> = OnceLock::new();

/// Kills the process when this program ends, unless it is [`release`]d before.
pub fn watch(pid: u32) -> Outcome {
    tell(&format!("+ {pid}\n"))
}

/// Forgets a process that has been waited for: its number may soon be another's.
pub fn release(pid: u32) {
    // Without a warden nothing was watched.
    let _ = tell(&format!("- {pid}\n"));
}

/// Removes the directory when this program ends.
pub fn sweep(directory: &Path) -> Outcome {
    let text = directory.to_str().during("a directory whose name is no text")?;
    crate::ensure!(!text.contains('\n'), "a directory with a line break in its name: {text:?}");
    tell(&format!("d {text}\n"))
}

fn tell(line: &str) -> Outcome {
    let warden = WARDEN.get_or_init(|| start().map_err(|failure| failure.to_string()));
    let pipe = warden.as_ref().map_err(|text| Failure::new(text.clone()))?;
    let mut pipe = pipe.lock().unwrap_or_else(PoisonError::into_inner);
    pipe.write_all(line.as_bytes()).during("telling the warden")
}

fn start() -> Outcome<Mutex<ChildStdin>> {
    let mut child = Command::new("sh")
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Its own group: a Ctrl-C meant for us must not reach it.
        .process_group(0)
        .spawn()
        .during("starting a shell")?;
    let pipe = child.stdin.take().during("a shell without a pipe")?;
    Ok(Mutex::new(pipe))
}
