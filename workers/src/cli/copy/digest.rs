//! Digests of tables: what tells two of them apart, whatever order each store reads its own in.
//!
//! Invariant: the digest of a table depends on its records and on nothing else. Records are told
//! apart by SHA-256; adding up their digests makes the order irrelevant. In parts, by a hash of the
//! key, so that of two tables that differ only the parts that do have to be looked at again.

use std::hash::{DefaultHasher, Hash, Hasher};

use sha2::{Digest as _, Sha256};

use super::moving::PAGE_ROWS;
use super::patiently;
use super::progress::Rows;
use crate::store::StoreError;
use crate::store::transfer::{Record, Table, Transfer};

/// Parts of a table.
const PARTS: usize = 4_096;

/// What was added up of one part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) records: u64,
    sum: u128,
}

/// The digest of a table.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Digest(Vec<Part>);

impl Digest {
    pub(super) fn parts(&self) -> &[Part] {
        &self.0
    }

    pub(super) fn records(&self) -> u64 {
        self.0.iter().map(|part| part.records).sum()
    }
}

/// Feeds what `#[derive(Hash)]` visits, in its fixed order, to SHA-256.
struct Sha(Sha256);

impl Hasher for Sha {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        u64::from_le_bytes(*self.0.clone().finalize().first_chunk().unwrap_or(&[0; 8]))
    }
}

/// The digest of one record.
pub(super) fn of(record: &Record) -> u128 {
    let mut sha = Sha(Sha256::new());
    record.hash(&mut sha);
    u128::from_le_bytes(*sha.0.finalize().first_chunk().unwrap_or(&[0; 16]))
}

/// The part that a key belongs to.
pub(super) fn part(key: &str) -> usize {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    usize::try_from(hasher.finish() % PARTS as u64).unwrap_or(0)
}

/// Reads a whole table.
pub(super) async fn read(
    store: &dyn Transfer,
    table: Table,
    rows: &Rows,
    mut each: impl FnMut(Record),
) -> Result<(), StoreError> {
    let mut from = None;
    loop {
        let page = patiently(|| store.export(table, from.clone(), PAGE_ROWS)).await?;
        rows.add(page.records.iter().map(Record::rows).sum());
        page.records.into_iter().for_each(&mut each);
        from = page.next;
        if from.is_none() {
            return Ok(());
        }
    }
}

/// The digest of a whole table.
pub(super) async fn table(
    store: &dyn Transfer,
    table: Table,
    rows: &Rows,
) -> Result<Digest, StoreError> {
    let mut parts = vec![Part::default(); PARTS];
    let add = |record: Record| {
        let part = &mut parts[part(&record.key())];
        part.records += 1;
        part.sum = part.sum.wrapping_add(of(&record));
    };
    read(store, table, rows, add).await?;
    Ok(Digest(parts))
}

/// Tells a store's content from another's, cheaply: two platforms have different keys, and whatever
/// a platform does moves its floors.
pub(super) async fn fingerprint(store: &dyn Transfer) -> Result<String, StoreError> {
    let mut sum = 0u128;
    for table in [Table::Keys, Table::Floors] {
        let add = |record: Record| sum = sum.wrapping_add(of(&record));
        read(store, table, &Rows::none(), add).await?;
    }
    Ok(format!("{sum:032x}"))
}
