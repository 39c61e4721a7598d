//! The comparison: input = log = history, both ways = what each observer received, and each bot.
//!
//! Invariant: every channel is compared in full with everything, also after a difference has been
//! found; nothing read here was kept from the play but the acknowledgements.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::Value;

use super::Run;
use super::bots::{Bots, journal};
use super::cast::Cast;
use super::channel::Played;
use super::compare::{Item, Tally, Wrong, compare};
use super::ledger::{Ledger, item, message_digest};
use super::progress::Quantiles;
use crate::client::{Api, paging};
use crate::json::Look as _;
use crate::{Context as _, Outcome};

/// Channels fetched at the same time.
const AT_ONCE: usize = 4;

/// One difference, in words.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// The day.
    pub channel: String,
    /// The entry, or 0 where there is none to name.
    pub entry: u64,
    /// What is wrong with it, and where.
    pub what: String,
}

/// All differences.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// By what was compared.
    pub tallies: BTreeMap<&'static str, Tally>,
    /// In the order of channels and entries.
    pub list: Vec<Finding>,
    /// Live delivery, from the first send to the socket of each observer.
    pub live: Quantiles,
    /// Events that bots were given again, because nobody had acknowledged them.
    pub given_again: u64,
}

/// What one channel is on the platform.
struct Fetched {
    log: Vec<Item>,
    messages: Vec<Item>,
    /// Who was added, and where in the log.
    added: Vec<(u64, usize)>,
    forwards: Vec<Item>,
    backwards: Vec<Item>,
}

/// The id of a channel's last entry.
pub async fn last_entry(run: &Run, cast: &Cast, channel: &Played) -> Outcome<u64> {
    let after = channel.said.last().map_or(0, |said| said.item.id.saturating_sub(1));
    let api = at(run, cast, channel).await?;
    let entries = paging::all_entries(&api, channel.conversation, after).await?;
    let last = entries.last().during(format_args!("{} has no entries", channel.name))?;
    last.id("d/id")
}

/// Compares everything.
pub async fn all(
    run: &Run,
    cast: &Cast,
    bots: &Bots,
    played: &[Played],
    ledgers: &[Ledger],
) -> Outcome<Findings> {
    let fetching = played.iter().map(|channel| async move {
        let api = at(run, cast, channel).await?;
        fetch(&api, channel.conversation).await.during(&channel.name)
    });
    let fetched: Vec<_> = stream::iter(fetching).buffered(AT_ONCE).try_collect().await?;
    let mut findings = Findings::default();
    let mut live = Vec::new();
    for (number, (channel, fetched)) in played.iter().zip(&fetched).enumerate() {
        findings.platform(channel, fetched);
        if let Some(bot) = bots.all.get(number) {
            findings.bot(channel, fetched, bot.id, &bot.taken()?);
        }
        let sent: HashMap<u64, Instant> =
            channel.said.iter().map(|said| (said.item.id, said.first)).collect();
        for (index, ledger) in ledgers.iter().enumerate() {
            let own = cast.observers.get(index).map_or(0, |person| person.id);
            findings.observer(channel, fetched, index, own, ledger);
            let record = ledger.records.get(&channel.conversation);
            let notes = record.into_iter().flat_map(|record| &record.notes);
            live.extend(notes.filter_map(|note| {
                Some(note.live?.saturating_duration_since(*sent.get(&note.item.id)?))
            }));
        }
    }
    findings.live = Quantiles::collect(live.into_iter())?;
    findings.list.sort();
    Ok(findings)
}

/// Channels are read from the edges in turn.
async fn at(run: &Run, cast: &Cast, channel: &Played) -> Outcome<Api> {
    let turn = usize::try_from(channel.conversation % 1021)?;
    Ok(cast.keeper.api().await?.at(&run.edges[turn % run.edges.len()]))
}

async fn fetch(api: &Api, conversation: u64) -> Outcome<Fetched> {
    let entries = paging::all_entries(api, conversation, 0).await?;
    let mut fetched = Fetched {
        log: Vec::new(),
        messages: Vec::new(),
        added: Vec::new(),
        forwards: messages(&paging::forwards(api, conversation, paging::PAGE).await?)?,
        backwards: messages(&paging::backwards(api, conversation, paging::PAGE).await?)?,
    };
    for entry in &entries {
        let (name, data) = (entry.text("t")?, entry.at("d")?);
        let item = item(name, data)?;
        fetched.log.push(item);
        match name {
            "MESSAGE_CREATE" => fetched.messages.push(item),
            "MEMBER_ADD" => fetched.added.push((data.id("user_id")?, fetched.log.len() - 1)),
            _ => {}
        }
    }
    Ok(fetched)
}

fn messages(list: &[Value]) -> Outcome<Vec<Item>> {
    let item = |message: &Value| {
        let digest = message_digest(message.id("author_id")?, message.text("content")?);
        Ok(Item { id: message.id("id")?, digest })
    };
    list.iter().map(item).collect()
}

impl Fetched {
    /// Where in the log somebody was added.
    fn place_of(&self, user: u64) -> Option<usize> {
        self.added.iter().find(|&&(added, _)| added == user).map(|&(_, place)| place)
    }
}

impl Findings {
    fn platform(&mut self, channel: &Played, fetched: &Fetched) {
        let said: Vec<Item> = channel.said.iter().map(|said| said.item).collect();
        self.compare("log = input", channel, &said, &fetched.messages, "");
        self.compare("history forwards = log", channel, &fetched.messages, &fetched.forwards, "");
        self.compare("history backwards = log", channel, &fetched.messages, &fetched.backwards, "");
        if !said.is_sorted_by(|a, b| a.id < b.id) {
            self.note(channel, 0, "the ids of acknowledged messages do not ascend".into());
        }
        let mut wanted = channel.members.clone();
        let mut added: Vec<u64> = fetched.added.iter().map(|&(user, _)| user).collect();
        wanted.sort_unstable();
        added.sort_unstable();
        if wanted != added {
            let text = format!("{} members were added, the log has {}", wanted.len(), added.len());
            self.note(channel, 0, text);
        }
        // Nothing but additions and messages was done here.
        let strange = fetched.log.len() - fetched.messages.len() - fetched.added.len();
        if strange > 0 {
            self.note(channel, 0, format!("the log has {strange} entries that nobody caused"));
        }
    }

    fn observer(
        &mut self,
        channel: &Played,
        fetched: &Fetched,
        index: usize,
        own: u64,
        ledger: &Ledger,
    ) {
        let record = ledger.records.get(&channel.conversation).cloned().unwrap_or_default();
        let whom = format!(" by observer {index}");
        let mut got: Vec<Item> = record.notes.iter().map(|note| note.item).collect();
        // Their order of arrival was judged then; a GAP may be paged later than what follows it.
        got.sort_by_key(|item| item.id);
        let mut said: Vec<Item> =
            record.notes.iter().filter(|note| note.message).map(|note| note.item).collect();
        said.sort_by_key(|item| item.id);
        self.compare("observers' messages = log", channel, &fetched.messages, &said, &whom);
        // A new member's entries start at their own MEMBER_ADD, unless they fetched the past.
        let adds = fetched.log.iter().position(|item| Some(item.id) == got.first().map(|i| i.id));
        let start = adds.unwrap_or(0);
        let own_add = fetched.place_of(own).unwrap_or(0);
        if start > own_add {
            let text = format!("the first entry{whom} is later than their own MEMBER_ADD");
            self.note(channel, got.first().map_or(0, |item| item.id), text);
        }
        self.compare("observers' entries = log", channel, &fetched.log[start..], &got, &whom);
        if record.disordered > 0 {
            let late = Tally { disordered: record.disordered, ..Tally::default() };
            *self.tallies.entry("observers' entries = log").or_default() += late;
            self.note(channel, 0, format!("{} entries came late{whom}", record.disordered));
        }
    }

    /// A bot's events are the log, from its own MEMBER_ADD to the end.
    fn bot(&mut self, channel: &Played, fetched: &Fetched, id: u64, taken: &[journal::Taken]) {
        const NAME: &str = "bots' journals = log";
        let Some(start) = fetched.place_of(id) else {
            return self.note(channel, 0, format!("bot {id} is not in the log"));
        };
        let verdict = journal::judge(&fetched.log[start..], taken);
        self.given_again += verdict.again;
        self.count(NAME, channel, verdict.tally, verdict.first, &format!(" by bot {id}"));
    }

    fn compare(
        &mut self,
        name: &'static str,
        channel: &Played,
        wanted: &[Item],
        got: &[Item],
        whom: &str,
    ) {
        let (tally, first) = compare(wanted, got);
        self.count(name, channel, tally, first, whom);
    }

    fn count(
        &mut self,
        name: &'static str,
        channel: &Played,
        tally: Tally,
        first: Option<(u64, Wrong)>,
        whom: &str,
    ) {
        *self.tallies.entry(name).or_default() += tally;
        if let Some((entry, wrong)) = first {
            let wrong = match wrong {
                Wrong::Lost => "lost",
                Wrong::Twice => "there twice",
                Wrong::Disordered => "out of order",
                Wrong::Changed => "changed",
                Wrong::Strange => "of nobody's making",
            };
            self.note(channel, entry, format!("{wrong}{whom} ({name})"));
        }
    }

    fn note(&mut self, channel: &Played, entry: u64, what: String) {
        self.list.push(Finding { channel: channel.name.clone(), entry, what });
    }
}
