//! 10,000 random changes to valid frames.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use natter_tests::client::{Heard, Socket, nonce};
use natter_tests::json::Look as _;
use natter_tests::{Context as _, Outcome, ensure};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::bystanders::Bystanders;
use super::mutate;
use crate::support::{Person, World, play_within};

/// Changes in all.
const MUTATIONS: usize = 10_000;
/// People who send them, so that none of them comes near the rates.
const SENDERS: usize = 40;
/// How a connection may end by a frame that is wrong.
const CODES: [u16; 8] = [1007, 4001, 4002, 4003, 4004, 4005, 4008, 4011];
/// How a frame may be refused.
const REFUSALS: [&str; 6] =
    ["bad_request", "not_found", "not_a_member", "too_large", "conflict", "rate_limited"];

/// One who sends nonsense, at a pace that is allowed.
struct Sender {
    person: Person,
    channel: u64,
    pace: Interval,
    random: StdRng,
    endings: BTreeMap<String, usize>,
}

#[test]
fn changed_frames_are_refused_as_documented_and_nobody_else_notices() {
    play_within(Duration::from_mins(5), async |world| {
        let bystanders = Bystanders::new(&world).await?;
        let mut senders = Vec::new();
        for seed in 0..SENDERS {
            senders.push(Sender::new(&world, seed, &bystanders).await?);
        }
        let sent = senders.iter_mut().map(|sender| sender.send(MUTATIONS / SENDERS));
        join_all(sent).await.into_iter().collect::<Outcome<Vec<()>>>()?;
        let mut endings = BTreeMap::<&str, usize>::new();
        for (ending, count) in senders.iter().flat_map(|sender| &sender.endings) {
            *endings.entry(ending).or_default() += count;
        }
        println!("{MUTATIONS} changed frames: {endings:?}");
        ensure!(endings.len() > 2, "they all ended alike, so little was tried: {endings:?}");
        bystanders.undisturbed().await
    });
}

impl Sender {
    async fn new(world: &World, seed: usize, bystanders: &Bystanders) -> Outcome<Self> {
        let person = world.person_on(seed % 2, "fuzz").await?;
        let channel = person.channel("fuzz").await?;
        person.post(channel, "first").await?;
        let rate = person.ready(&person.edge).await?.number("limits/send_per_s")?;
        // Ten times the rate closes: two frames a tick at a fifth of that.
        let mut pace = interval(Duration::from_secs(1) / u32::try_from(rate.clamp(1, 1000))?);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let random = StdRng::seed_from_u64(seed as u64 ^ 0x006e_6174_7465_7200);
        // What belongs to others is among what is tried.
        let channel = if seed.is_multiple_of(4) { bystanders.channel } else { channel };
        Ok(Self { person, channel, pace, random, endings: BTreeMap::new() })
    }

    /// A valid frame of any kind.
    fn frame(&mut self) -> Value {
        let conversation = self.channel.to_string();
        match self.random.random_range(0..10) {
            0 => json!({ "op": 1 }),
            1..6 => json!({ "op": 20, "d": {
                "conversation_id": conversation, "content": "hello \u{e9}\u{1f9a6}", "nonce": nonce(),
            } }),
            6 => json!({ "op": 21, "d": { "conversation_id": conversation } }),
            7 => json!({ "op": 22, "d": { "conversation_id": conversation, "id": "1" } }),
            _ => json!({ "op": 2, "d": {
                "token": self.person.token(), "cursors": { conversation: "0" },
            } }),
        }
    }

    fn changed(&mut self) -> Vec<u8> {
        let frame = self.frame();
        if self.random.random_bool(0.5) {
            mutate::value(&frame, &mut self.random).to_string().into_bytes()
        } else {
            mutate::bytes(&frame.to_string(), &mut self.random)
        }
    }

    async fn send(&mut self, count: usize) -> Outcome {
        let mut socket: Option<Socket> = None;
        for _ in 0..count {
            self.pace.tick().await;
            let mut open = match socket.take() {
                Some(socket) => socket,
                None => self.connect().await?,
            };
            let bytes = self.changed();
            let shown = String::from_utf8_lossy(&bytes).into_owned();
            // It may have closed already; then the answer is the close code.
            let _ = open.send_bytes_as_text(bytes).await;
            let _ = open.send(&json!({ "op": 1 })).await;
            let ending = self.ending(&mut open).await.during(&shown)?;
            if ending == "open" {
                socket = Some(open);
            }
            *self.endings.entry(ending).or_default() += 1;
        }
        Ok(())
    }

    async fn connect(&mut self) -> Outcome<Socket> {
        let mut socket = Socket::open(&self.person.edge).await?;
        // Some stay unknown: frames before IDENTIFY are tried too.
        if self.random.random_bool(0.8) {
            socket.identify(self.person.token()).await?;
        }
        Ok(socket)
    }

    /// Reads up to the answer to the heartbeat, or the end.
    async fn ending(&mut self, socket: &mut Socket) -> Outcome<String> {
        loop {
            match socket.next().await? {
                Heard::Frame(frame) if frame["op"] == 11 => return Ok("open".to_owned()),
                Heard::Frame(frame) if frame["t"] == "NACK" => {
                    let code = frame.text("d/code")?;
                    ensure!(REFUSALS.contains(&code), "refused with {frame}");
                }
                Heard::Frame(frame) => ensure!(
                    frame["op"] == 10 || frame["op"] == 0,
                    "not a frame that a server sends: {frame}"
                ),
                Heard::Closed(Some(code)) if CODES.contains(&code) => return Ok(code.to_string()),
                Heard::Closed(code) => natter_tests::fail!("closed with {code:?}"),
            }
        }
    }
}
