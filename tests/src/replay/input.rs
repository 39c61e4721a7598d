//! What will be said: days of an IRC channel as its log has them.
//!
//! Invariant: the input is the lines after the protocol's normalization, in the order of the file;
//! what is left out (empty, too long, not said by anyone) is counted. An author joins a channel
//! once, before they first speak in it. Pure but for reading the files.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use crate::client::content;
use crate::{Context as _, Outcome, ensure};

/// A line of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// `[03:41] <nick> text`
    Said {
        /// Who.
        nick: &'a str,
        /// What; may be empty.
        text: &'a str,
    },
    /// `=== nick [user@host]  has joined #channel`
    Joined {
        /// Who.
        nick: &'a str,
    },
    /// Renames, departures, actions, blank lines.
    Other,
}

impl<'a> Line<'a> {
    /// Reads a line. Nothing is an error: what is neither said nor a join is something else.
    pub fn parse(line: &'a str) -> Self {
        let line = line.strip_suffix('\r').unwrap_or(line);
        if let Some(rest) = line.strip_prefix("=== ") {
            return Self::parse_join(rest).unwrap_or(Self::Other);
        }
        Self::parse_said(line).unwrap_or(Self::Other)
    }

    fn parse_said(line: &'a str) -> Option<Self> {
        let (time, rest) = line.strip_prefix('[')?.split_once("] <")?;
        let (hour, minute) = time.split_once(':')?;
        let digits = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(hour) || !digits(minute) {
            return None;
        }
        let (nick, text) = rest.split_once('>')?;
        let nick = nick.trim();
        (!nick.is_empty()).then_some(Self::Said { nick, text })
    }

    fn parse_join(rest: &'a str) -> Option<Self> {
        let (who, _) = rest.split_once("]  has joined #")?;
        let (nick, host) = who.rsplit_once(" [")?;
        let nick = nick.trim();
        (host.contains('@') && !nick.is_empty()).then_some(Self::Joined { nick })
    }
}

/// One thing to do in a channel. Authors are indices into [`Input::authors`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The creator adds an author.
    Join {
        /// Who.
        author: usize,
    },
    /// An author says something.
    Say {
        /// Who.
        author: usize,
        /// The content, normalized.
        content: String,
    },
}

/// One file: one channel.
#[derive(Clone, Debug, Default)]
pub struct Day {
    /// The file's name without its ending.
    pub name: String,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// How much of the data is used.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// The first days only.
    pub days: Option<usize>,
    /// That many messages, spread over the days.
    pub messages: Option<usize>,
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct Input {
    /// The nicks of those who speak, in the order in which they first do.
    pub authors: Vec<String>,
    /// The channels.
    pub days: Vec<Day>,
    /// Messages left out because nothing remains of them.
    pub empty: usize,
    /// Messages left out because they are too long.
    pub too_long: usize,
}

impl Input {
    /// Reads the logs of a directory, in the order of their names.
    pub fn read(directory: &Path, limits: Limits) -> Outcome<Self> {
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(directory).during(directory.display())? {
            let path = entry?.path();
            let named_by_date = path.file_name().and_then(|name| name.to_str());
            let named_by_date =
                named_by_date.is_some_and(|name| name.as_bytes()[0].is_ascii_digit());
            if named_by_date && path.extension().is_some_and(|ending| ending == "txt") {
                paths.push(path);
            }
        }
        paths.sort();
        paths.truncate(limits.days.unwrap_or(usize::MAX));
        ensure!(!paths.is_empty(), "no logs (2004-12-25.txt) in {}", directory.display());
        let mut logs = Vec::new();
        for path in paths {
            let bytes = std::fs::read(&path).during(path.display())?;
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            logs.push((name, String::from_utf8_lossy(&bytes).into_owned()));
        }
        Ok(Self::from_logs(&logs, limits.messages))
    }

    /// Makes the input of logs already in memory.
    pub fn from_logs(logs: &[(String, String)], messages: Option<usize>) -> Self {
        let mut input = Self::default();
        let mut kept = Vec::new();
        let mut index = BTreeMap::new();
        for (number, (_, text)) in logs.iter().enumerate() {
            let share = messages.map_or(usize::MAX, |all| {
                all / logs.len() + usize::from(number < all % logs.len())
            });
            let lines = input.keep(text, share);
            for (nick, said) in &lines {
                if said.is_some() && !index.contains_key(nick) {
                    index.insert(nick.clone(), input.authors.len());
                    input.authors.push(nick.clone());
                }
            }
            kept.push(lines);
        }
        let days = logs
            .iter()
            .zip(kept)
            .map(|((name, _), lines)| Day { name: name.clone(), steps: steps(lines, &index) });
        input.days = days.collect();
        input
    }

    /// Who joined or said what, up to `share` messages; counts what is left out.
    fn keep(&mut self, text: &str, share: usize) -> Vec<(String, Option<String>)> {
        let mut lines = Vec::new();
        let mut said = 0;
        for line in text.split('\n') {
            match Line::parse(line) {
                Line::Joined { nick } => lines.push((nick.to_owned(), None)),
                Line::Said { nick, text } => {
                    if said == share {
                        break;
                    }
                    let content = content::normalize(text);
                    if content.is_empty() {
                        self.empty += 1;
                    } else if content.chars().count() > content::CONTENT {
                        self.too_long += 1;
                    } else {
                        said += 1;
                        lines.push((nick.to_owned(), Some(content)));
                    }
                }
                Line::Other => {}
            }
        }
        lines
    }

    /// Cuts the days into consecutive parts, until there are that many channels, all of a day
    /// alike long. An author joins each part before they first speak in it.
    pub fn cut(mut self, channels: usize) -> Self {
        let days = self.days.len();
        if channels <= days {
            return self;
        }
        let cut = |(number, day): (usize, Day)| {
            let parts = channels / days + usize::from(number < channels % days);
            day.cut(parts)
        };
        self.days = self.days.into_iter().enumerate().flat_map(cut).collect();
        self
    }

    /// How many messages each channel has.
    pub fn sizes(&self) -> Vec<u64> {
        self.days.iter().map(|day| day.messages() as u64).collect()
    }

    /// How many messages there are in all.
    pub fn messages(&self) -> usize {
        self.days.iter().map(Day::messages).sum()
    }

    /// How many additions of authors there are in all.
    pub fn joins(&self) -> usize {
        let steps: usize = self.days.iter().map(|day| day.steps.len()).sum();
        steps - self.messages()
    }
}

impl Day {
    fn messages(&self) -> usize {
        self.steps.iter().filter(|step| matches!(step, Step::Say { .. })).count()
    }

    /// In at most that many parts, of which none is without a message.
    fn cut(self, parts: usize) -> Vec<Self> {
        let messages = self.messages();
        let parts = parts.min(messages).max(1);
        let name = |part| format!("{} {}/{parts}", self.name, part + 1);
        let mut all: Vec<Self> =
            (0..parts).map(|part| Self { name: name(part), steps: Vec::new() }).collect();
        let (mut said, mut members) = (0, BTreeSet::new());
        for step in self.steps {
            let part = (said * parts / messages.max(1)).min(parts - 1);
            let (Step::Join { author } | Step::Say { author, .. }) = &step;
            if members.insert((part, *author)) {
                all[part].steps.push(Step::Join { author: *author });
            }
            if matches!(step, Step::Say { .. }) {
                said += 1;
                all[part].steps.push(step);
            }
        }
        all
    }
}

fn steps(lines: Vec<(String, Option<String>)>, index: &BTreeMap<String, usize>) -> Vec<Step> {
    let mut members = BTreeSet::new();
    let mut steps = Vec::new();
    for (nick, content) in lines {
        // Who joins and never speaks, on any day, has no account.
        let Some(&author) = index.get(&nick) else { continue };
        if members.insert(author) {
            steps.push(Step::Join { author });
        }
        if let Some(content) = content {
            steps.push(Step::Say { author, content });
        }
    }
    steps
}

impl fmt::Display for Input {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, authors) = (self.days.len(), self.authors.len());
        let (messages, joins) = (self.messages(), self.joins());
        let (empty, long) = (self.empty, self.too_long);
        write!(
            out,
            "input: {messages} messages by {authors} authors on {days} days, {joins} joins; \
             left out: {empty} empty, {long} too long"
        )
    }
}

#[cfg(test)]
#[path = "input_tests.rs"]
mod tests;
