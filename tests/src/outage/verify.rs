//! The comparison at the end: what was acknowledged = log = history, both ways = what every client
//! received; and channels, markers and names as acknowledged.
//!
//! Invariant: everything is compared in full, also after a difference has been found, and read anew
//! from the platform once all stores are back.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::Value;

use super::record::{Entry, Record};
use super::scene::Scene;
use super::truth::{Channel, Message};
use crate::client::{Api, paging};
use crate::json::Look as _;
use crate::replay::compare::{Item, Tally, Wrong, compare};
use crate::{Context as _, Outcome};

/// Conversations fetched at the same time.
const AT_ONCE: usize = 4;
/// How long a question of the comparison is repeated: what people saw has been noted already.
const PATIENCE: Duration = Duration::from_mins(1);

/// All differences.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// By what was compared.
    pub tallies: BTreeMap<&'static str, Tally>,
    /// In words.
    pub list: Vec<String>,
}

/// What one conversation is on the platform.
struct Fetched {
    entries: Vec<(Entry, Value)>,
    forwards: Vec<Value>,
    backwards: Vec<Value>,
    deleted: BTreeSet<u64>,
}

/// The last entry of every conversation of a scene.
pub async fn last_entries(scene: &Scene) -> Outcome<BTreeMap<u64, u64>> {
    let mut targets = BTreeMap::new();
    for (conversation, api) in places(scene) {
        let after = scene.truth.newest_in(conversation).map_or(0, |id| id - 1);
        let after = if conversation == scene.old.conversation {
            scene.old.said.last().map_or(0, |said| said.0)
        } else {
            after
        };
        let entries = paging::all_entries(&api, conversation, after).await?;
        if let Some(last) = entries.last() {
            targets.insert(conversation, last.id("d/id")?);
        }
    }
    Ok(targets)
}

/// Compares everything.
pub async fn all(scene: &Scene, records: &[(u64, Record)]) -> Outcome<Findings> {
    let mut findings = Findings::default();
    let fetching = places(scene).into_iter().map(async |(conversation, api)| {
        let fetched = fetch(&api, conversation).await;
        Ok::<_, crate::Failure>((conversation, fetched.during(format_args!("{conversation}"))?))
    });
    let fetched: BTreeMap<u64, Fetched> =
        stream::iter(fetching).buffer_unordered(AT_ONCE).try_collect().await?;
    let messages = scene.truth.messages();
    let unsettled = scene.truth.unsettled();
    for (&conversation, fetched) in &fetched {
        if conversation == scene.old.conversation {
            findings.old(scene, fetched);
        } else {
            let acked = messages.iter().filter(|(_, m)| m.conversation == conversation);
            findings.messages(conversation, &acked.collect(), &unsettled, fetched)?;
        }
        for (user, record) in records {
            findings.received(conversation, *user, record, fetched);
        }
    }
    for (id, channel) in scene.truth.channels() {
        if let Some(fetched) = fetched.get(&id) {
            findings.channel(scene, id, &channel, fetched).await?;
        }
    }
    super::standing::compare(scene, &mut findings).await?;
    Ok(findings)
}

/// Every conversation, and who may read it.
fn places(scene: &Scene) -> Vec<(u64, Api)> {
    let channels = scene.truth.channels();
    let all = channels.iter().map(|(&id, channel)| (id, scene.owner(channel.owner).clone()));
    let mut all: Vec<_> = all.chain([(scene.old.conversation, scene.keeper.clone())]).collect();
    for (turn, (_, api)) in all.iter_mut().enumerate() {
        *api = api.at(&scene.edges[turn % scene.edges.len()]).patient(&scene.edges, PATIENCE);
    }
    all
}

async fn fetch(api: &Api, conversation: u64) -> Outcome<Fetched> {
    let entries = paging::all_entries(api, conversation, 0).await?;
    let mut fetched = Fetched {
        entries: Vec::new(),
        forwards: paging::forwards(api, conversation, paging::PAGE).await?,
        backwards: paging::backwards(api, conversation, paging::PAGE).await?,
        deleted: BTreeSet::new(),
    };
    for entry in entries {
        let (name, data) = (entry.text("t")?, entry.at("d")?);
        let read = Entry::read(name, data)?;
        if let (true, Some(about)) = (name == "MESSAGE_DELETE", read.about) {
            fetched.deleted.insert(about);
        }
        fetched.entries.push((read, data.clone()));
    }
    Ok(fetched)
}

impl Findings {
    fn messages(
        &mut self,
        conversation: u64,
        acked: &Vec<(&u64, &Message)>,
        unsettled: &BTreeMap<String, u64>,
        fetched: &Fetched,
    ) -> Outcome {
        let created = fetched.entries.iter().filter(|(entry, _)| entry.name == "MESSAGE_CREATE");
        let mut nonces: HashMap<&str, u64> = HashMap::new();
        let mut got = Vec::new();
        for (entry, data) in created {
            let nonce = data["nonce"].as_str().unwrap_or_default();
            *nonces.entry(nonce).or_default() += 1;
            // Nobody was told of these, so they may be there.
            if !unsettled.contains_key(nonce) {
                got.push(entry.id);
            }
        }
        let plain = |ids: Vec<u64>| ids.into_iter().map(|id| Item { id, digest: 0 }).collect();
        let wanted: Vec<Item> = plain(acked.iter().map(|(id, _)| **id).collect());
        self.compare("log = acknowledged", conversation, &wanted, &plain(got), "");
        for (nonce, count) in nonces.into_iter().filter(|(_, count)| *count > 1) {
            self.note(conversation, &format!("{count} messages have the nonce {nonce}"));
        }
        let mut changes: HashMap<(u64, &str), u64> = HashMap::new();
        for (entry, _) in &fetched.entries {
            if let Some(about) = entry.about {
                *changes.entry((about, entry.name.as_str())).or_default() += 1;
            }
        }
        for (id, message) in acked {
            let count = |name| changes.get(&(**id, name)).copied().unwrap_or(0);
            let (edits, deletes) = (count("MESSAGE_UPDATE"), count("MESSAGE_DELETE"));
            let (acked, perhaps) = (message.edits, message.perhaps_edits);
            if edits < acked || edits > acked + perhaps {
                let what = format!(
                    "{id} was edited {acked} times (perhaps {perhaps} more), the log has {edits}"
                );
                self.note(conversation, &what);
            }
            if deletes > 1 || !message.deleted.allows(&(deletes == 1)) {
                let sure = message.deleted.sure();
                self.note(
                    conversation,
                    &format!("{id}: deleted {sure}, the log has {deletes} deletions"),
                );
            }
        }
        let known: HashMap<u64, &Message> = acked.iter().map(|(id, m)| (**id, *m)).collect();
        self.pages(conversation, &known, unsettled, fetched)
    }

    /// The final state, read in both directions.
    fn pages(
        &mut self,
        conversation: u64,
        known: &HashMap<u64, &Message>,
        unsettled: &BTreeMap<String, u64>,
        fetched: &Fetched,
    ) -> Outcome {
        let directions = [
            ("history forwards = acknowledged", &fetched.forwards),
            ("history backwards = acknowledged", &fetched.backwards),
        ];
        for (name, page) in directions {
            let mut got = Vec::new();
            for message in page {
                let (id, content) = (message.id("id")?, message.text("content")?.to_owned());
                let nonce = message["nonce"].as_str().unwrap_or_default();
                if unsettled.contains_key(nonce) {
                    continue;
                }
                let says = known.get(&id).is_some_and(|m| m.content.allows(&content));
                got.push(Item { id, digest: u64::from(says) });
            }
            let there: BTreeSet<u64> = got.iter().map(|item| item.id).collect();
            let mut wanted: Vec<_> = known
                .iter()
                .filter(|(id, message)| {
                    let perhaps = !message.deleted.is_settled() && there.contains(*id);
                    perhaps || (message.deleted.is_settled() && !message.deleted.sure())
                })
                .map(|(&id, _)| Item { id, digest: 1 })
                .collect();
            wanted.sort_unstable_by_key(|item| item.id);
            self.compare(name, conversation, &wanted, &got, "");
        }
        Ok(())
    }

    fn old(&mut self, scene: &Scene, fetched: &Fetched) {
        let item = |(id, content): &(u64, String)| {
            let digest = super::standing::digest(content);
            Item { id: *id, digest }
        };
        let wanted: Vec<_> = scene.old.said.iter().map(item).collect();
        let directions = [
            ("old history forwards", &fetched.forwards),
            ("old history backwards", &fetched.backwards),
        ];
        for (name, page) in directions {
            let got = page.iter().filter_map(|message| {
                Some(item(&(message.id("id").ok()?, message["content"].as_str()?.to_owned())))
            });
            self.compare(name, scene.old.conversation, &wanted, &got.collect::<Vec<_>>(), "");
        }
    }

    /// Each stretch that a client had of a conversation, against the log.
    fn received(&mut self, conversation: u64, user: u64, record: &Record, fetched: &Fetched) {
        for segment in record.segments.get(&conversation).into_iter().flatten() {
            let got: Vec<_> =
                segment.entries.iter().map(|entry| entry.item(&fetched.deleted)).collect();
            let newest = got.iter().map(|item| item.id).max().unwrap_or(segment.from);
            let to = if segment.closed { newest } else { u64::MAX };
            let within = |entry: &Entry| entry.id > segment.from && entry.id <= to;
            let wanted: Vec<_> = fetched
                .entries
                .iter()
                .filter(|(entry, _)| within(entry))
                .map(|(entry, _)| entry.item(&fetched.deleted))
                .collect();
            self.compare("received = log", conversation, &wanted, &got, &format!(" by {user}"));
        }
    }

    async fn channel(
        &mut self,
        scene: &Scene,
        id: u64,
        channel: &Channel,
        fetched: &Fetched,
    ) -> Outcome {
        let (mut name, mut members) = (String::new(), BTreeSet::new());
        for (entry, data) in &fetched.entries {
            match entry.name.as_str() {
                "MEMBER_ADD" => drop(members.insert(data.id("user_id")?)),
                "MEMBER_REMOVE" => drop(members.remove(&data.id("user_id")?)),
                "CHANNEL_UPDATE" => data.text("name")?.clone_into(&mut name),
                _ => {}
            }
        }
        for edge in &scene.edges {
            let api = scene.owner(channel.owner).at(edge);
            let document = api.get(&format!("/channels/{id}")).await?.ok(200)?;
            let shown: BTreeSet<u64> = document.ids("member_ids")?.into_iter().collect();
            let called = document.text("name")?.to_owned();
            if shown != members || !(name.is_empty() || called == name) {
                self.note(id, "the channel's document is not the replay of its log");
            }
            let tally = self.tallies.entry("channels = acknowledged").or_default();
            tally.wanted += 1 + channel.members.len() as u64;
            let mut wrongs = Vec::new();
            if !channel.name.allows(&called) {
                wrongs.push(format!("is called {called:?}, not {:?}", channel.name.sure()));
            }
            for (user, member) in &channel.members {
                let is = shown.contains(user);
                if !member.allows(&is) {
                    wrongs.push(format!("{user} was acknowledged as member: {}, is: {is}", !is));
                }
            }
            let strangers = shown.iter().filter(|user| !channel.members.contains_key(user));
            wrongs.extend(strangers.map(|user| format!("{user} is a member by nobody's doing")));
            tally.changed += wrongs.len() as u64;
            for wrong in wrongs {
                self.note(id, &wrong);
            }
        }
        Ok(())
    }

    fn compare(
        &mut self,
        name: &'static str,
        conversation: u64,
        wanted: &[Item],
        got: &[Item],
        whom: &str,
    ) {
        let (tally, first) = compare(wanted, got);
        *self.tallies.entry(name).or_default() += tally;
        if let Some((entry, wrong)) = first {
            let wrong = match wrong {
                Wrong::Lost => "lost",
                Wrong::Twice => "there twice",
                Wrong::Disordered => "out of order",
                Wrong::Changed => "changed",
                Wrong::Strange => "of nobody's making",
            };
            self.note(conversation, &format!("entry {entry} {wrong}{whom} ({name})"));
        }
    }

    /// Adds a difference in words.
    pub fn note(&mut self, conversation: u64, what: &str) {
        self.list.push(format!("in {conversation}: {what}"));
    }
}
