//! All sessions and all pages show what the log says, in content too.
//!
//! Invariant: everything received is compared, whenever and wherever it came. A message that is deleted
//! may be shown empty, from the time of its deletion on.

use super::log::Log;
use super::{Finding, Guarantee, Story};
use crate::check::record::{Answer, Entry, Event, Message, Op, Seen, What};

pub(super) fn judge(story: &Story<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut asked = std::collections::BTreeMap::new();
    for note in &story.record.notes {
        let mut look = |conversation: u64, entry: &Entry, person: u64| {
            let Some(why) = differs(story, conversation, entry, note.at) else { return };
            let what = format!("{person} is shown {:?} {}, {why}", entry.kind, entry.id);
            let finding = Finding::new(Guarantee::Agreed, what).at(note.index);
            found.push(finding.of(conversation).entry(entry.id).person(person));
        };
        match &note.what {
            What::Heard { connection, event: Event::Entry(entry) } => {
                let person = story.lines.get(connection).map_or(0, |line| line.person);
                look(entry.conversation, entry, person);
            }
            What::Paged { device, conversation, entries, .. } => {
                let person = story.devices.get(device).map_or(0, |device| device.person);
                for entry in entries {
                    look(*conversation, entry, person);
                }
            }
            What::Asked { call, person, op: Op::Page { conversation, .. }, .. } => {
                asked.insert(*call, (*person, *conversation));
            }
            What::Answered { call, answer: Answer::Entries(entries) } => {
                let Some(&(person, conversation)) = asked.get(call) else { continue };
                for entry in entries {
                    look(conversation, entry, person);
                }
            }
            What::Seen(Seen::Entries { person, conversation, pages: Ok(entries) }) => {
                for entry in entries {
                    look(*conversation, entry, *person);
                }
                found.extend(whole_log(story, *conversation, *person, entries));
            }
            What::Seen(Seen::History { person, conversation, forwards, pages: Ok(messages) }) => {
                found.extend(state(story, *conversation, *person, *forwards, messages));
            }
            What::Seen(Seen::Undecodable { stream, sequence, why }) => {
                let what = format!("LOG_{stream} holds at {sequence} what is no entry: {why}");
                found.push(Finding::new(Guarantee::Agreed, what).at(note.index));
            }
            _ => {}
        }
    }
    found
}

/// How an entry that was shown differs from the log.
fn differs(story: &Story<'_>, conversation: u64, shown: &Entry, at: u64) -> Option<&'static str> {
    let log = story.logs.get(&conversation);
    let held = log.and_then(|log| log.entries.get(&shown.id));
    let (Some(log), Some(held)) = (log, held) else { return Some("which the log does not have") };
    let same = |a: &Entry, b: &Entry| {
        let bare = |e: &Entry| (e.kind, e.author, e.user, e.message, e.conversation);
        let rest = |e: &Entry| (e.at / 1_000, e.revision);
        bare(a) == bare(b) && rest(a) == rest(b) && a.nonce == b.nonce
    };
    if shown.conversation != conversation || !same(shown, held.entry) {
        return Some("which the log has otherwise");
    }
    if shown.content == held.entry.content {
        return None;
    }
    let message = held.entry.message.unwrap_or(shown.id);
    let deleted = log.deletion(message).is_some_and(|by| by.at <= story.wall(at) + 1_000);
    let emptied = shown.content.as_deref() == Some("") && deleted;
    (!emptied).then_some("which the log has with another content")
}

/// `/entries` is the log, as far as it counts.
fn whole_log(story: &Story<'_>, conversation: u64, person: u64, entries: &[Entry]) -> Vec<Finding> {
    let got: Vec<u64> = entries.iter().map(|entry| entry.id).collect();
    let wanted: Vec<u64> = story
        .logs
        .get(&conversation)
        .map_or_else(Vec::new, |log| log.valid().map(|e| e.id).collect());
    difference(&wanted, &got, "/entries", conversation, person).into_iter().collect()
}

/// History is the final state.
fn state(
    story: &Story<'_>,
    conversation: u64,
    person: u64,
    forwards: bool,
    messages: &[Message],
) -> Vec<Finding> {
    let state = story.logs.get(&conversation).map(Log::state).unwrap_or_default();
    let where_ = if forwards { "history read forwards" } else { "history read backwards" };
    let got: Vec<u64> = messages.iter().map(|message| message.id).collect();
    let wanted: Vec<u64> = state.keys().copied().collect();
    let mut found: Vec<Finding> =
        difference(&wanted, &got, where_, conversation, person).into_iter().collect();
    for message in messages {
        let Some(&(author, content, edited)) = state.get(&message.id) else { continue };
        let shown = (message.author, message.content.as_str(), message.edited);
        if shown != (author, content, edited) {
            let what = format!("{where_} says {shown:?}, the log {:?}", (author, content, edited));
            let finding = Finding::new(Guarantee::Agreed, what).of(conversation);
            found.push(finding.entry(message.id).person(person));
        }
    }
    found
}

/// The first difference of two lists of ids.
fn difference(
    wanted: &[u64],
    got: &[u64],
    where_: &str,
    conversation: u64,
    person: u64,
) -> Option<Finding> {
    let place = (0..wanted.len().max(got.len())).find(|&i| wanted.get(i) != got.get(i))?;
    let (wants, has) = (wanted.get(place), got.get(place));
    let lacks = wants.filter(|id| !got.contains(id));
    let (entry, what) = match (lacks, has) {
        (Some(&id), _) => (id, format!("{id} is not in {where_}, asked for by {person}")),
        (None, Some(&id)) => (id, format!("{id} is in {where_} where it should not be")),
        (None, None) => return None,
    };
    let finding = Finding::new(Guarantee::Agreed, what).of(conversation);
    Some(finding.entry(entry).person(person))
}
