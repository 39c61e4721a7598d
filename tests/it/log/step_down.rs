//! The leader of a log stream steps down while many append.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::time::Duration;

use bus_schema::ids::{ConversationId, StreamIndex};
use bus_schema::permissions::BusUser;
use bus_schema::runtime::bus::Bus;
use bus_schema::runtime::log::Reader;
use bus_schema::runtime::log::group::{Group, GroupSettings};
use bus_schema::runtime::settings::BusSettings;
use bus_schema::streams::Layout;
use bus_schema::subjects::LogSubject;
use futures::future::join_all;
use natter_tests::check::faults::bus::Bus as Streams;
use natter_tests::eventually::{Seen, eventually};
use natter_tests::nats::NatsServer;
use natter_tests::stack::{Plan, Stack};
use natter_tests::{Context as _, Outcome, ensure};
use tokio::time::timeout;

use crate::support::alone;

const LIMIT: Duration = Duration::from_mins(4);
const LOG: &str = "LOG_0";
const LED_WITHIN: Duration = Duration::from_secs(15);
/// A leader that steps down drops what reaches it then, without a word. Less than the 5 s for which an
/// answer is listened for: nobody waits that out.
const APPENDED_WITHIN: Duration = Duration::from_secs(4);
/// Of each number of people.
const STEPS: usize = 6;

/// People who say one thing after the other, until they are told to stop.
struct Talk {
    group: Group,
    people: usize,
    stopped: Cell<bool>,
    /// By whom and which, where it is, in the order in which it was answered.
    said: RefCell<Vec<Vec<u64>>>,
}

impl Talk {
    fn new(bus: &Bus, people: usize) -> Outcome<Self> {
        let layout = Layout::new(1).during("one stream")?;
        Ok(Self {
            group: Group::start(bus, layout, GroupSettings { members: 128, queue: 4_096 }),
            people,
            stopped: Cell::new(false),
            said: RefCell::new(vec![Vec::new(); people]),
        })
    }

    fn name(&self, person: usize, which: usize) -> String {
        format!("{}:{person}:{which}", self.people)
    }

    async fn one(&self, person: usize) -> Outcome {
        let place = LogSubject::Channel(ConversationId(person as u64 % 7));
        for which in 0.. {
            if self.stopped.get() {
                break;
            }
            let name = self.name(person, which);
            let append = self.group.publish(place, "MESSAGE_CREATE", format!("\"{name}\""), &name);
            let published = timeout(APPENDED_WITHIN, append).await.during(&name)?.during(&name)?;
            self.said.borrow_mut()[person].push(published.sequence);
        }
        Ok(())
    }

    async fn all(&self) -> Outcome {
        join_all((0..self.people).map(|person| self.one(person))).await.into_iter().collect()
    }

    /// Everybody has said more since.
    async fn go_on(&self) -> Outcome {
        let count = || self.said.borrow().iter().map(Vec::len).collect::<Vec<_>>();
        let before = count();
        eventually("everybody goes on", LED_WITHIN, async || {
            let now = count();
            let more = before.iter().zip(&now).filter(|(before, now)| *now > &(**before + 1));
            let more = more.count();
            Ok(Seen::when(more == self.people, format_args!("{more} of {}", self.people)))
        })
        .await
    }

    async fn disturb(&self, streams: &Streams) -> Outcome {
        for _ in 0..STEPS {
            self.go_on().await?;
            let led = async || streams.leader(LOG).await;
            let old = led().await?;
            streams.step_down(LOG, None).await?;
            eventually("another leads", LED_WITHIN, async || {
                let new = led().await?;
                Ok(Seen::when(new.is_some() && new != old, format_args!("{new:?} after {old:?}")))
            })
            .await?;
            self.go_on().await?;
        }
        self.stopped.set(true);
        Ok(())
    }
}

async fn connect(stack: &mut Stack) -> Outcome<Bus> {
    let urls: Vec<String> = stack.nodes().iter().map(NatsServer::url).collect();
    let secrets = stack.directory().join("secrets");
    let settings = BusSettings { url: urls.join(","), secrets, ..BusSettings::default() };
    Bus::connect(&settings, BusUser::Edge).await.during("connecting")
}

#[test]
fn a_leader_that_steps_down_holds_nobody_up_and_nothing_is_there_twice() {
    let plan = Plan::default().edges(0).workers(&["setup,persister"]).clustered();
    alone(LIMIT, plan, async |stack, _| {
        let bus = connect(stack).await?;
        let streams = Streams::find(stack).await?;
        let mut said = HashMap::new();
        // Each by itself, and so many that they go in batches.
        for people in [16, 160] {
            let talk = Talk::new(&bus, people)?;
            let (appended, disturbed) = tokio::join!(talk.all(), talk.disturb(&streams));
            appended?;
            disturbed?;
            for (person, places) in talk.said.borrow().iter().enumerate() {
                ensure!(places.is_sorted(), "out of order: {places:?}");
                let named = (0..).zip(places).map(|(n, place)| (*place, talk.name(person, n)));
                said.extend(named);
            }
        }
        let info = streams.info(LOG).await?.during("the log")?;
        let last = info.pointer("/state/last_seq").and_then(serde_json::Value::as_u64);
        let mut reader = Reader::open(&bus, StreamIndex(0), 0);
        let mut stored = 0;
        while Some(reader.last()) < last {
            let entry = timeout(LED_WITHIN, reader.next()).await.during("reading")?;
            let entry = entry.during("reading")?;
            let name = said.get(&entry.sequence).map(|name| format!("\"{name}\""));
            ensure!(name.is_some_and(|name| entry.payload == name), "{entry:?} is there as well");
            stored += 1;
        }
        assert_eq!(stored, said.len());
        Ok(())
    });
}
