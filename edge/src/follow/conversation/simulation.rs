//! Whole edges in virtual time, with the devices that come to them: one log, republishing that loses,
//! repeats and delays, history workers that lag, answer in part or not at all, edges that are cut off or
//! restarted, sockets that are slow, devices that go to another edge with their cursors.
//!
//! Everything that decides is what people run: the conversation with its follower, ring, pages, flights and
//! sockets' queues, the digest's `Seen`, where a replay begins and what becomes a GAP, the verdict, and on
//! the other side the cursors of the tests' own client. Only bus, history and time are made up here.
//!
//! Invariant: once faults have stopped, every device has had every valid entry since its start exactly
//! once, in order within what was sent, without anything left to page; edges are at rest and ask for
//! nothing more. Everything is drawn from a seed: `NATTER_SEED=n` runs that one alone, `NATTER_SEEDS=n` that
//! many. The tests at the end switch off what the promise rests on, and see some seed break it.
//!
//! Leaves out DMs, being added to or removed from a channel, the list of conversations, and sending.

mod bus;
#[path = "../../../../tests/src/client/cursors.rs"]
#[allow(dead_code, unreachable_pub, reason = "written for another crate, with more uses there")]
mod cursors;
mod device;
mod edge;
mod log;
mod sockets;
mod world;

use std::thread;

use world::World;

use crate::ws::replays::Bounds;

const EDGES: usize = 3;
const HISTORIES: usize = 2;
const DEVICES: usize = 4;
/// Entries of a ring.
const RING: usize = 8;
/// Frames queued for a socket.
const QUEUE: usize = 16;
/// Small, so that a few entries are too many.
const BOUNDS: Bounds = Bounds { conversation: 10, total: 20, batch: 4, newest: 3 };
/// Ticks of 10 ms in which there are faults, and in which everybody must have caught up.
const ACTIVE: u64 = 1_500;
const REST: u64 = 2_000;
/// The last part of these, in which nothing may be asked for any more.
const STILL: u64 = 500;
const SECOND: u64 = 100;
const SEEDS: u64 = 3_000;
const THREADS: usize = 4;
/// Seeds among which one must break without a safeguard.
const FEW: u64 = 1_000;

/// What holds in a world; all of it in the real one.
#[derive(Debug, Clone, Copy)]
struct Rules {
    /// Digests, and asking what changed, tell of entries that nobody heard.
    digests: bool,
    /// Who has not read up to `min` does not answer.
    coverage: bool,
    /// Headers tell the true predecessor.
    gaps: bool,
    /// A ring knows how far it reaches back.
    ring: bool,
    /// An edge accounts from where the log ended when it started.
    begins: bool,
    /// Devices remember GAPs that they have not paged yet.
    gaps_kept: bool,
}

const REAL: Rules =
    Rules { digests: true, coverage: true, gaps: true, ring: true, begins: true, gaps_kept: true };

/// What happened in a world, to see that it has what it is there for.
#[derive(Debug, Default, Clone, Copy)]
struct Sum {
    entries: u64,
    fetches: u64,
    restarts: u64,
    cuts: u64,
    connections: u64,
    gaps: u64,
    lags: u64,
    read_back: u64,
}

fn run(seed: u64, rules: Rules) -> Result<Sum, String> {
    // Clocks of what is simulated follow the world's.
    let mut clock = tokio::runtime::Builder::new_current_thread();
    let clock = clock.enable_time().start_paused(true).build().unwrap();
    let _inside = clock.enter();
    World::new(seed, rules).run(&clock)
}

/// A world in which nothing may go wrong.
fn good(seed: u64) -> Sum {
    let sum = run(seed, REAL).unwrap_or_else(|why| panic!("NATTER_SEED={seed}: {why}"));
    // Each entry may be missed at each edge, and what is missed be asked for in parts.
    let Sum { entries, fetches, .. } = sum;
    let bound = 2 * entries * EDGES as u64;
    assert!(fetches <= bound, "NATTER_SEED={seed}: {fetches} fetches for {entries} entries");
    sum
}

#[test]
fn every_device_has_every_entry_once() {
    if let Ok(seed) = std::env::var("NATTER_SEED") {
        println!("{:?}", good(seed.parse().unwrap()));
        return;
    }
    let seeds = std::env::var("NATTER_SEEDS").map_or(SEEDS, |seeds| seeds.parse().unwrap());
    let sums: Vec<Sum> = thread::scope(|scope| {
        let part = move |first: u64| (first..seeds).step_by(THREADS).map(good).collect::<Vec<_>>();
        let threads = (0..THREADS as u64).map(|first| scope.spawn(move || part(first)));
        let threads: Vec<_> = threads.collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let all = |what: fn(&Sum) -> u64| sums.iter().map(what).sum::<u64>();
    for (what, count) in [
        ("entries", all(|sum| sum.entries)),
        ("fetches", all(|sum| sum.fetches)),
        ("restarts", all(|sum| sum.restarts)),
        ("cuts", all(|sum| sum.cuts)),
        ("connections", all(|sum| sum.connections)),
        ("GAPs", all(|sum| sum.gaps)),
        ("slow sockets", all(|sum| sum.lags)),
        ("readings of the log itself", all(|sum| sum.read_back)),
    ] {
        println!("{count} {what}");
        assert!(count >= seeds, "{count} {what} are too few to show anything");
    }
}

fn breaks_without(rules: Rules) {
    let broken = (0..FEW).find_map(|seed| Some((seed, run(seed, rules).err()?)));
    println!("{broken:?}");
    assert!(broken.is_some(), "nobody noticed: {rules:?}");
}

#[test]
fn without_digests_something_is_lost() {
    breaks_without(Rules { digests: false, ..REAL });
}

#[test]
fn without_coverage_something_is_lost() {
    breaks_without(Rules { coverage: false, ..REAL });
}

#[test]
fn without_predecessors_something_is_lost() {
    breaks_without(Rules { gaps: false, ..REAL });
}

#[test]
fn without_a_beginning_something_is_lost() {
    breaks_without(Rules { begins: false, ..REAL });
}

#[test]
fn with_a_ring_that_claims_too_much_something_is_lost() {
    breaks_without(Rules { ring: false, ..REAL });
}

#[test]
fn with_devices_that_forget_gaps_something_is_lost() {
    breaks_without(Rules { gaps_kept: false, ..REAL });
}
