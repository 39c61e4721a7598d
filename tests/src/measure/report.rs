//! What was measured, in words and numbers.
//!
//! Invariant: it is good only when every answer mentioned everybody, and no store looked anybody up
//! twice for one of them or was asked twice for what one question does.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::metrics::Stages;
use super::{Options, Seen, redis};

/// One sign-in or one page.
#[derive(Clone, Debug)]
pub struct Round {
    /// Whether nobody was cached.
    pub cold: bool,
    /// From the question to the answer.
    pub took: Duration,
    /// The edge's own times.
    pub stages: Stages,
    /// What the stores worked on.
    pub seen: Seen,
    /// People in the answer.
    pub people: usize,
    /// Conversations or messages in the answer.
    pub items: usize,
}

/// All rounds.
#[derive(Clone, Debug)]
pub struct Report {
    options: Options,
    /// Of sign-ins.
    pub sign_ins: Vec<Round>,
    /// Of pages.
    pub pages: Vec<Round>,
}

impl Report {
    /// With nothing in it yet.
    pub fn new(options: &Options) -> Self {
        Self { options: options.clone(), sign_ins: Vec::new(), pages: Vec::new() }
    }

    /// What is not as it should be.
    pub fn faults(&self) -> Vec<String> {
        let sign_ins = self.sign_ins.iter().map(|round| (round, "sign-in", self.options.people));
        let pages = self.pages.iter().map(|round| (round, "page", self.options.authors));
        let all = sign_ins.chain(pages);
        all.flat_map(|(round, what, people)| {
            let faults = self.faults_of(round, people);
            faults.into_iter().map(move |fault| format!("{what}: {fault}"))
        })
        .collect()
    }

    fn faults_of(&self, round: &Round, people: usize) -> Vec<String> {
        let mut faults = Vec::new();
        if round.people != people {
            faults.push(format!("{} people instead of {people}", round.people));
        }
        if !self.options.cluster {
            return faults;
        }
        let (reads, keys, most) = round.seen.looked_up();
        if (reads, keys, most) != (1, people, 1) {
            faults.push(format!(
                "Redis: {reads} look-ups of {keys} keys, one of them {most} times, for {people} people"
            ));
        }
        let (queries, ids) = round.seen.queried();
        let wanted = if round.cold { (1, people) } else { (0, 0) };
        if (queries, ids) != wanted {
            faults.push(format!("MongoDB: {queries} queries of {ids} accounts, not {wanted:?}"));
        }
        faults
    }
}

impl Seen {
    /// Reading commands, their keys, and the most times that one key was among them.
    fn looked_up(&self) -> (usize, usize, usize) {
        let reads: Vec<&redis::Command> =
            self.redis.iter().filter(|command| command.name == "MGET").collect();
        let mut times: BTreeMap<&str, usize> = BTreeMap::new();
        for key in reads.iter().flat_map(|command| &command.keys) {
            *times.entry(key).or_default() += 1;
        }
        (reads.len(), times.values().sum(), times.values().copied().max().unwrap_or(0))
    }

    /// Queries of accounts, and ids in them.
    fn queried(&self) -> (usize, usize) {
        let accounts = self.mongodb.iter().filter(|operation| operation.what == "find users");
        accounts.fold((0, 0), |(queries, ids), operation| (queries + 1, ids + operation.ids))
    }

    fn commands(&self) -> String {
        let mut counted: BTreeMap<String, (usize, usize)> = BTreeMap::new();
        for command in &self.redis {
            let entry = counted.entry(format!("Redis {}", command.name)).or_default();
            *entry = (entry.0 + 1, entry.1 + command.keys.len());
        }
        for operation in &self.mongodb {
            let entry = counted.entry(format!("MongoDB {}", operation.what)).or_default();
            *entry = (entry.0 + 1, entry.1 + operation.ids);
        }
        let each = counted.iter().map(|(what, (times, of))| format!("{times} x {what} of {of}"));
        each.collect::<Vec<_>>().join(", ")
    }
}

/// The middle and the longest.
fn spread(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let ms = |at: usize| times.get(at).map_or(0.0, |time| time.as_secs_f64() * 1e3);
    format!(
        "{:>7.2} ms, longest {:>7.2} ms",
        ms(times.len() / 2),
        ms(times.len().saturating_sub(1))
    )
}

fn tell(out: &mut fmt::Formatter<'_>, what: &str, rounds: &[Round]) -> fmt::Result {
    for cold in [true, false] {
        let those: Vec<&Round> = rounds.iter().filter(|round| round.cold == cold).collect();
        let Some(one) = those.last() else { continue };
        let (times, people, items) = (those.len(), one.people, one.items);
        let known = if cold { "nobody cached" } else { "all cached" };
        writeln!(out, "{what}, {known}: {times} times, {people} people, {items} items")?;
        writeln!(out, "  {:<12} {}", "in all", spread(those.iter().map(|r| r.took).collect()))?;
        let mut stages: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
        for (stage, time) in those.iter().flat_map(|round| round.stages.each()) {
            stages.entry(stage).or_default().push(time);
        }
        for (stage, times) in stages {
            writeln!(out, "  {stage:<12} {}", spread(times))?;
        }
        let commands = one.seen.commands();
        if !commands.is_empty() {
            writeln!(out, "  the last: {commands}")?;
        }
    }
    Ok(())
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let conversations = self.options.conversations;
        tell(out, &format!("fresh sign-in with {conversations} conversations"), &self.sign_ins)?;
        tell(out, &format!("page of history by {} authors", self.options.authors), &self.pages)?;
        let faults = self.faults();
        for fault in faults.iter().take(10) {
            writeln!(out, "NOT GOOD: {fault}")?;
        }
        write!(out, "{}", if faults.is_empty() { "good" } else { "not good" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::mongodb::Operation;
    use crate::measure::redis::Command;

    fn report(cold: bool, reads: &[&[&str]], queries: &[usize]) -> Report {
        let options = Options { cluster: true, conversations: 2, people: 2, authors: 2, rounds: 1 };
        let command = |keys: &&[&str]| Command {
            name: "MGET".to_owned(),
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        };
        let operation = |ids: &usize| Operation { what: "find users".to_owned(), ids: *ids };
        let seen = Seen {
            redis: reads.iter().map(command).collect(),
            mongodb: queries.iter().map(operation).collect(),
        };
        let (took, stages) = (Duration::ZERO, Stages::default());
        let round = Round { cold, took, stages, seen, people: 2, items: 2 };
        Report { options, sign_ins: Vec::new(), pages: vec![round] }
    }

    #[test]
    fn one_look_up_of_each_is_good_and_more_is_not() {
        assert!(report(false, &[&["a", "b"]], &[]).faults().is_empty());
        assert!(report(true, &[&["a", "b"]], &[2]).faults().is_empty());
        assert_eq!(report(false, &[&["a", "b"], &["a", "b"]], &[]).faults().len(), 1);
        assert_eq!(report(false, &[&["a", "a"]], &[]).faults().len(), 1);
        assert_eq!(report(false, &[&["a"], &["b"]], &[]).faults().len(), 1);
        assert_eq!(report(false, &[&["a", "b"]], &[2]).faults().len(), 1);
        assert_eq!(report(true, &[&["a", "b"]], &[1, 1]).faults().len(), 1);
    }
}
