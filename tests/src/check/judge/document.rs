//! A channel's document, and everybody's list of conversations, are the replay of the log.
//!
//! Invariant: judged at rest, with every observation that was made, on whichever edge.

use super::log::Log;
use super::story::Fate;
use super::{Finding, Guarantee, Story};
use crate::check::record::{Document, Op, Seen, Shown, What};

pub(super) fn judge(story: &Story<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    for note in &story.record.notes {
        let What::Seen(seen) = &note.what else { continue };
        let wrongs = match seen {
            Seen::Channel { person, conversation, document } => {
                channel(story, *person, *conversation, document)
            }
            Seen::Fresh { person, conversations: Ok(list), .. } => lists(story, *person, list),
            // Whoever is no member is told that it does not exist.
            Seen::Entries { person, conversation, pages } => {
                refused(story, *person, *conversation, pages.as_ref().err())
            }
            Seen::History { person, conversation, pages, .. } => {
                refused(story, *person, *conversation, pages.as_ref().err())
            }
            _ => continue,
        };
        found.extend(wrongs.into_iter().map(|(conversation, person, what)| {
            let finding = Finding::new(Guarantee::Document, what).at(note.index);
            finding.of(conversation).person(person)
        }));
    }
    found
}

type Wrongs = Vec<(u64, u64, String)>;

fn may_read(story: &Story<'_>, person: u64, conversation: u64) -> bool {
    story.logs.get(&conversation).is_some_and(|log| log.has(person))
}

fn refused(story: &Story<'_>, person: u64, conversation: u64, code: Option<&String>) -> Wrongs {
    let may = may_read(story, person, conversation);
    let wrong = match code.map(String::as_str) {
        None if !may => "no member, and may read".to_owned(),
        Some("not_found") if may => "a member, and may not read".to_owned(),
        _ => return Vec::new(),
    };
    vec![(conversation, person, format!("{person} is {wrong}"))]
}

/// The name of a channel by its log, else the one it was created with.
fn name<'a>(story: &Story<'a>, conversation: u64, log: &Log<'a>) -> Option<&'a str> {
    let created = || {
        story.calls.iter().find_map(|call| match call.op {
            Op::CreateChannel { name } if call.fate == Fate::Done(Some(conversation)) => {
                Some(name.as_str())
            }
            _ => None,
        })
    };
    log.name.or_else(created)
}

fn channel(
    story: &Story<'_>,
    person: u64,
    conversation: u64,
    document: &Result<Document, String>,
) -> Wrongs {
    let document = match document {
        Ok(document) => document,
        Err(code) => return refused(story, person, conversation, Some(code)),
    };
    let Some(log) = story.logs.get(&conversation).filter(|log| log.has(person)) else {
        return refused(story, person, conversation, None);
    };
    let mut wrongs = Vec::new();
    let mut differ = |what: &str, says: String, log: String| {
        let what = format!("its document has {what} {says}, the log {log}");
        wrongs.push((conversation, person, what));
    };
    if document.members != log.members() {
        differ("members", format!("{:?}", document.members), format!("{:?}", log.members()));
    }
    if Some(document.owner) != log.owner {
        differ("creator", document.owner.to_string(), format!("{:?}", log.owner));
    }
    if document.revision != log.revision {
        differ("revision", document.revision.to_string(), log.revision.to_string());
    }
    if let Some(name) = name(story, conversation, log).filter(|name| *name != document.name) {
        differ("name", format!("{:?}", document.name), format!("{name:?}"));
    }
    wrongs
}

fn lists(story: &Story<'_>, person: u64, list: &[Shown]) -> Wrongs {
    let mut wrongs = Vec::new();
    for (&conversation, log) in &story.logs {
        let shown = list.iter().find(|shown| shown.conversation == conversation);
        let mut wrong = |what: String| wrongs.push((conversation, person, what));
        let begun = log.valid().next().is_some();
        match shown {
            None if log.has(person) && begun => wrong(format!("{person} does not see it listed")),
            Some(_) if !log.has(person) => wrong(format!("{person}, no member, sees it listed")),
            Some(shown) => {
                if shown.last != log.last() {
                    wrong(format!(
                        "its list ends at {:?}, the log at {:?}",
                        shown.last,
                        log.last()
                    ));
                }
                let called = name(story, conversation, log);
                if !log.dm && called.is_some() && shown.name.as_deref() != called {
                    wrong(format!("its list calls it {:?}, the log {called:?}", shown.name));
                }
                if !log.dm && shown.owner != log.owner {
                    wrong(format!(
                        "its list says {:?} made it, the log {:?}",
                        shown.owner, log.owner
                    ));
                }
            }
            None => {}
        }
    }
    let strange = list.iter().filter(|shown| !story.logs.contains_key(&shown.conversation));
    wrongs.extend(strange.map(|shown| {
        (shown.conversation, person, "it is listed, and its log has no entry".to_owned())
    }));
    wrongs
}
