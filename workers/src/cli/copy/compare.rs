//! Comparing two stores, record by record.
//!
//! Invariant: stores are called the same only if every table of both was read to its end and gave
//! the same records, but for rows that entries above the floor have begun to change. (A backend
//! without transactions may have written a part of what an entry says when it stopped; the log holds
//! all entries above the floor, and the persister writes them again when it starts.)
//!
//! Memory is bounded: digests of parts are compared, then the records of the parts that differ, as
//! many of them at once as [`KEYS_AT_ONCE`] allows.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bus_schema::ids::ConversationId;
use bus_schema::streams::Layout;
use bus_schema::subjects::LogSubject;

use super::CommandError;
use super::digest::{self, Digest};
use super::progress::{Progress, Rows};
use crate::store::StoreError;
use crate::store::transfer::{Record, Table, Transfer};

/// Differences that are named, of each table.
const NAMED: usize = 10;
/// Keys of parts that differ that are in memory at once; one part more than fits is always taken.
const KEYS_AT_ONCE: u64 = 200_000;

/// What comparing found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) judgement: Judgement,
    /// Rows that entries above the floor have begun to change on one side.
    pub(super) unsettled: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judgement {
    Same,
    Different { at_least: u64 },
}

/// Compares everything and names the first differences of each table.
pub(super) async fn run(
    source: &dyn Transfer,
    target: &dyn Transfer,
    layout: Option<Layout>,
    progress: &mut Progress<'_>,
) -> Result<Outcome, CommandError> {
    let settled = Settled::read(source, layout).await?;
    let (mut differences, mut unsettled) = (0, 0);
    for table in Table::ALL {
        let rows = Rows::none();
        let both = async {
            tokio::try_join!(
                digest::table(source, table, &rows),
                digest::table(target, table, &rows)
            )
        };
        let (a, b) = progress.during(table.name(), &rows, both).await?;
        if a == b {
            continue;
        }
        let mut found = Found::default();
        let rows = Rows::none();
        let looking = look(source, target, table, (&a, &b), &settled, &rows, &mut found);
        progress.during("  looking", &rows, looking).await?;
        unsettled += found.unsettled;
        differences += found.count;
        if found.count > 0 {
            let (left, right) = (a.records(), b.records());
            let name = table.name();
            progress
                .say(&format!("{name}: {left} records in the source, {right} in the target"))?;
        }
        for line in &found.named {
            progress.say(&format!("  {line}"))?;
        }
    }
    let judgement = match differences {
        0 => Judgement::Same,
        at_least => Judgement::Different { at_least },
    };
    Ok(Outcome { judgement, unsettled })
}

#[derive(Default)]
struct Found {
    count: u64,
    unsettled: u64,
    named: Vec<String>,
}

/// A record that one side has: its digest, and whether no entry above the floor has a hand in it.
type Side = Option<(u128, bool)>;

/// Looks at the parts that differ, as many at once as fit, until enough differences are known.
async fn look(
    source: &dyn Transfer,
    target: &dyn Transfer,
    table: Table,
    (a, b): (&Digest, &Digest),
    settled: &Settled,
    rows: &Rows,
    found: &mut Found,
) -> Result<(), StoreError> {
    let pairs = a.parts().iter().zip(b.parts()).enumerate();
    let different = pairs.filter(|(_, (a, b))| a != b);
    let mut parts: Vec<_> = different.map(|(n, (a, b))| (n, a.records + b.records)).collect();
    while found.named.len() < NAMED && !parts.is_empty() {
        let (mut wanted, mut keys) = (BTreeSet::new(), 0);
        while keys < KEYS_AT_ONCE
            && let Some((part, records)) = parts.pop()
        {
            wanted.insert(part);
            keys += records;
        }
        let mut seen: HashMap<String, [Side; 2]> = HashMap::new();
        for (side, store) in [source, target].into_iter().enumerate() {
            let remember = |record: Record| {
                let key = record.key();
                if wanted.contains(&digest::part(&key)) {
                    let mine = Some((digest::of(&record), settled.is(&record)));
                    seen.entry(key).or_default()[side] = mine;
                }
            };
            digest::read(store, table, rows, remember).await?;
        }
        found.take(table, seen.into_iter().collect());
    }
    Ok(())
}

impl Found {
    fn take(&mut self, table: Table, seen: BTreeMap<String, [Side; 2]>) {
        for (key, sides) in seen {
            let [source, target] = sides.map(|side| side.map(|(digest, _)| digest));
            if source == target {
                continue;
            }
            if sides.iter().flatten().any(|(_, settled)| !settled) {
                self.unsettled += 1;
                continue;
            }
            self.count += 1;
            if self.named.len() < NAMED {
                let how = match (source, target) {
                    (Some(_), None) => "only in the source",
                    (None, _) => "only in the target",
                    (Some(_), Some(_)) => "not the same in both",
                };
                self.named.push(format!("{} {key}: {how}", table.name()));
            }
        }
    }
}

/// Up to where each stream is held, and which stream a conversation is in.
struct Settled {
    layout: Option<Layout>,
    floors: BTreeMap<u16, u64>,
}

impl Settled {
    async fn read(source: &dyn Transfer, layout: Option<Layout>) -> Result<Self, StoreError> {
        let mut floors = BTreeMap::new();
        let keep = |record: Record| {
            if let Record::Floor(stream, seq) = record {
                floors.insert(stream.0, seq);
            }
        };
        digest::read(source, Table::Floors, &Rows::none(), keep).await?;
        Ok(Self { layout, floors })
    }

    /// Whether a record is what entries up to the floor make of it. Without a layout nobody knows
    /// which floor counts, and every record is taken for settled.
    fn is(&self, record: &Record) -> bool {
        let Some((layout, (conversation, seq))) = self.layout.zip(record.last_change()) else {
            return true;
        };
        seq <= self.floor(layout, conversation)
    }

    fn floor(&self, layout: Layout, conversation: ConversationId) -> u64 {
        // The partition of a DM is made of its id as well.
        let stream = layout.stream_of(LogSubject::Channel(conversation));
        self.floors.get(&stream.0).copied().unwrap_or(0)
    }
}
