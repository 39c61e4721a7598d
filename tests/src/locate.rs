//! Where things are: the repository, the built binaries, a NATS server, free ports.
//!
//! Invariant: what cannot be found is one clear line saying how to get it. Nothing is downloaded or
//! built from here.

use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use rand::seq::SliceRandom as _;

use crate::{Context as _, Failure, Outcome};

/// Names the NATS server to use, before any that is found by looking.
pub const NATS_SERVER: &str = "NATTER_NATS_SERVER";

/// Below the ports that systems hand to outgoing connections, so nobody takes one by chance.
const PORTS: std::ops::Range<u16> = 20_000..32_000;
/// Ports of one block. A program takes ports only from blocks of its own: a server that was killed, to
/// be started again at its port, must not find there what another program has started meanwhile.
const BLOCK: u16 = 400;

/// The blocks of this program, held by locks on files until it ends, and the next port to try.
static BLOCKS: Mutex<Blocks> = Mutex::new(Blocks { held: Vec::new(), next: 0 });

struct Blocks {
    held: Vec<(u16, File)>,
    /// Counts through the ports of all blocks that are held.
    next: usize,
}

/// The root of the repository this crate was built in.
pub fn repository() -> Outcome<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.parent().during("the tests have no parent directory")?;
    Ok(root.to_owned())
}

/// A binary of the workspace, from the directory the running program was built into.
pub fn binary(name: &str) -> Outcome<PathBuf> {
    let here = std::env::current_exe()?;
    let mut directory = here.parent().during("this program has no directory")?;
    if directory.ends_with("deps") {
        directory = directory.parent().during("deps has no parent directory")?;
    }
    let path = directory.join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    if path.is_file() {
        return Ok(path);
    }
    let place = directory.display();
    Err(Failure::new(format!("no {name} in {place}: run `cargo build --workspace` first")))
}

/// A `nats-server`: from [`NATS_SERVER`], else from `PATH`, else fetched by `./deploy/dev`.
pub fn nats_server() -> Outcome<PathBuf> {
    if let Some(given) = std::env::var_os(NATS_SERVER) {
        let path = PathBuf::from(given);
        crate::ensure!(path.is_file(), "{NATS_SERVER} names {}: no such file", path.display());
        return Ok(path);
    }
    let name = format!("nats-server{}", std::env::consts::EXE_SUFFIX);
    let search = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&search).map(|directory| directory.join(&name));
    if let Some(path) = on_path.into_iter().find(|path| path.is_file()) {
        return Ok(path);
    }
    let fetched = find_below(&repository()?.join(".natter"), &name, 4);
    fetched.during(format_args!(
        "no nats-server: put one (2.12 or newer) on PATH, name it in {NATS_SERVER}, \
         or run ./deploy/dev once, which fetches one"
    ))
}

/// The first file of that name at most `depth` directories down, nearest first.
fn find_below(directory: &Path, name: &str, depth: usize) -> Option<PathBuf> {
    let direct = directory.join(name);
    if direct.is_file() {
        return Some(direct);
    }
    if depth == 0 {
        return None;
    }
    let mut inner: Vec<PathBuf> = std::fs::read_dir(directory)
        .ok()?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.is_dir())
        .collect();
    inner.sort();
    inner.iter().find_map(|path| find_below(path, name, depth - 1))
}

/// Ports of the loopback address that nobody listens on, all different, and none that this program or
/// another one has been given lately.
pub fn free_ports(count: usize) -> Outcome<Vec<u16>> {
    let mut blocks = BLOCKS.lock().unwrap_or_else(PoisonError::into_inner);
    let mut held = Vec::with_capacity(count);
    for _ in PORTS {
        if held.len() == count {
            break;
        }
        let port = blocks.next()?;
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            held.push((port, listener));
        }
    }
    crate::ensure!(held.len() == count, "no {count} free ports in {PORTS:?}");
    Ok(held.into_iter().map(|(port, _)| port).collect())
}

impl Blocks {
    /// The next port. Once all were given, another block is taken; the first ports come again when
    /// there is none.
    fn next(&mut self) -> Outcome<u16> {
        let block = usize::from(BLOCK);
        if self.next / block >= self.held.len() {
            match take_block()? {
                Some(taken) => self.held.push(taken),
                None => self.next = 0,
            }
        }
        let (first, _) = self.held.get(self.next / block).during(format_args!(
            "no ports: every block of {PORTS:?} is held by another program"
        ))?;
        let port = first + u16::try_from(self.next % block)?;
        self.next += 1;
        Ok(port)
    }
}

/// A block that nobody holds, and the lock that holds it; none if there is none left.
fn take_block() -> Outcome<Option<(u16, File)>> {
    let directory = std::env::temp_dir().join("natter-test-ports");
    std::fs::create_dir_all(&directory)?;
    let mut firsts: Vec<u16> = PORTS.step_by(usize::from(BLOCK)).collect();
    firsts.shuffle(&mut rand::rng());
    for first in firsts {
        let file = File::create(directory.join(first.to_string()))?;
        match file.try_lock() {
            Ok(()) => return Ok(Some((first, file))),
            Err(std::fs::TryLockError::WouldBlock) => {}
            Err(std::fs::TryLockError::Error(error)) => return Err(error.into()),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_differ() {
        let mut ports = free_ports(20).unwrap();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 20);
    }

    #[test]
    fn what_was_given_is_not_given_again_soon() {
        let given = free_ports(30).unwrap();
        let more = free_ports(30).unwrap();
        assert!(given.iter().all(|port| !more.contains(port)), "{given:?} {more:?}");
    }

    #[test]
    fn a_block_that_is_held_is_nobody_elses() {
        let first = take_block().unwrap().unwrap();
        let second = take_block().unwrap().unwrap();
        assert_ne!(first.0, second.0);
        let again =
            File::create(std::env::temp_dir().join(format!("natter-test-ports/{}", first.0)));
        assert!(again.unwrap().try_lock().is_err());
    }

    #[test]
    fn a_missing_binary_says_what_to_run() {
        let failure = binary("natter-nothing").unwrap_err().to_string();
        assert!(failure.contains("cargo build --workspace"), "{failure}");
    }

    #[test]
    fn the_repository_holds_this_crate() {
        assert!(repository().unwrap().join("tests").join("Cargo.toml").is_file());
    }
}
