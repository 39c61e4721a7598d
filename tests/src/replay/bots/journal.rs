//! A bot's journal: a line for each event it was given, in that order.
//!
//! Invariant: a line is there whole or not at all: half of one, which a kill can leave at the end, is
//! nobody's. It is with the system when it has been written, so it outlives its writer, not the
//! machine. What the server gave again, because it had no acknowledgement, is told apart from what stands in
//! the stream twice by the place in the stream.

use std::fs::{File, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;

use crate::replay::compare::{Item, Tally, Wrong, compare};
use crate::{Context as _, Outcome};

/// An event that a bot was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Its place in the stream of all bots.
    pub sequence: u64,
    /// The entry and what it says.
    pub item: Item,
}

/// A journal being written.
pub struct Journal(File);

impl Journal {
    /// Goes on where the one before ended, or begins.
    pub fn open(path: &Path) -> Outcome<Self> {
        let options = OpenOptions::new().create(true).truncate(false).write(true).open(path);
        let mut file = options.during(path.display())?;
        let text = std::fs::read(path).during(path.display())?;
        let whole = text.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        file.set_len(whole as u64)?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self(file))
    }

    /// One event more.
    pub fn write(&mut self, taken: Taken) -> Outcome {
        let Taken { sequence, item: Item { id, digest } } = taken;
        self.0.write_all(format!("{sequence} {id} {digest}\n").as_bytes())?;
        Ok(())
    }
}

/// All whole lines; none where there is no journal yet.
pub fn read(path: &Path) -> Outcome<Vec<Taken>> {
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        text => text.during(path.display())?,
    };
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(parse).collect()
}

fn parse(line: &str) -> Outcome<Taken> {
    let mut numbers = line.split(' ').map(str::parse::<u64>);
    let mut next = || numbers.next().during(line)?.during(line);
    Ok(Taken { sequence: next()?, item: Item { id: next()?, digest: next()? } })
}

/// What a bot was given, compared with what it should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The differences.
    pub tally: Tally,
    /// The one with the smallest id.
    pub first: Option<(u64, Wrong)>,
    /// Events that were given again, as they must be when nobody acknowledged them.
    pub again: u64,
}

/// Compares. Only the event given last may be given again, from the same place and with the same words:
/// anything else that comes once more is there twice.
pub fn judge(wanted: &[Item], taken: &[Taken]) -> Verdict {
    let mut got: Vec<Item> = Vec::with_capacity(taken.len());
    let mut last = None;
    for one in taken {
        if last.replace(*one) != Some(*one) {
            got.push(one.item);
        }
    }
    let again = taken.len().saturating_sub(got.len()) as u64;
    let (tally, first) = compare(wanted, &got);
    Verdict { tally, first, again }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(id: u64) -> Item {
        Item { id, digest: id * 10 }
    }

    fn taken(sequence: u64, id: u64) -> Taken {
        Taken { sequence, item: item(id) }
    }

    /// Lost, twice, out of order, changed, of nobody's making; given again.
    fn counts(got: &[(u64, u64)]) -> ([u64; 5], u64) {
        let wanted: Vec<Item> = (1..=4).map(item).collect();
        let got: Vec<Taken> = got.iter().map(|&(sequence, id)| taken(sequence, id)).collect();
        let Verdict { tally: t, first, again } = judge(&wanted, &got);
        assert_eq!(t.clean(), first.is_none());
        ([t.lost, t.twice, t.disordered, t.changed, t.strange], again)
    }

    #[test]
    fn what_was_given_again_is_not_there_twice() {
        assert_eq!(counts(&[(11, 1), (12, 2), (13, 3), (14, 4)]), ([0; 5], 0));
        assert_eq!(counts(&[(11, 1), (12, 2), (12, 2), (12, 2), (13, 3), (14, 4)]), ([0; 5], 2));
    }

    #[test]
    fn what_stands_in_the_stream_twice_is() {
        assert_eq!(counts(&[(11, 1), (12, 2), (13, 2), (14, 3), (15, 4)]), ([0, 1, 0, 0, 0], 0));
    }

    #[test]
    fn what_comes_again_after_a_later_one_is_there_twice() {
        let got = [(11, 1), (12, 2), (13, 3), (12, 2), (13, 3), (14, 4)];
        assert_eq!(counts(&got), ([0, 2, 0, 0, 0], 0));
    }

    #[test]
    fn what_is_missing_late_changed_or_a_strangers_is_counted() {
        assert_eq!(counts(&[(11, 1), (12, 2), (14, 4)]), ([1, 0, 0, 0, 0], 0));
        assert_eq!(counts(&[(11, 1), (13, 3), (12, 2), (14, 4)]), ([0, 0, 1, 0, 0], 0));
        assert_eq!(counts(&[(11, 1), (12, 2), (13, 3), (14, 4), (15, 5)]), ([0, 0, 0, 0, 1], 0));
        let changed = Taken { sequence: 1, item: Item { id: 1, digest: 0 } };
        assert_eq!(judge(&[item(1)], &[changed]).tally.changed, 1);
        assert_eq!(counts(&[]).0[0], 4, "a bot without a journal lacks everything");
    }

    #[test]
    fn a_line_that_a_kill_cut_off_is_nobodys() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bot.journal");
        assert_eq!(read(&path).unwrap(), []);
        let mut journal = Journal::open(&path).unwrap();
        journal.write(taken(1, 1)).unwrap();
        journal.0.write_all(b"2 2").unwrap();
        assert_eq!(read(&path).unwrap(), [taken(1, 1)]);
        let mut journal = Journal::open(&path).unwrap();
        journal.write(taken(2, 2)).unwrap();
        assert_eq!(read(&path).unwrap(), [taken(1, 1), taken(2, 2)]);
    }
}
