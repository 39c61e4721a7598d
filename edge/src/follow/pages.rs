//! Entries from before the ring, fetched once for all sessions that missed them.
//!
//! Invariants: a page holds every valid entry of its range, and gives none past the position that
//! the conversation has reached, for who may read them is known up to there only. A page whose
//! messages one of was deleted since it was asked for is never given to those who come later.
//! Bounded: by bytes over the whole edge ([`Shelf`]), by number here, and by how long nobody asked.
//!
//! Leaves out the asking: `conversation::catching_up`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::item::Item;

/// Pages kept for one conversation; the one that was not asked for longest goes first.
const PAGES: usize = 16;
/// How long a page is kept after it was last asked for.
const KEPT: Duration = Duration::from_secs(30);

/// Room for the pages of all conversations of an edge. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Shelf {
    taken: Arc<AtomicUsize>,
    bytes: usize,
}

impl Shelf {
    pub(crate) fn new(bytes: usize) -> Self {
        Self { taken: Arc::default(), bytes }
    }

    /// Room for so many bytes, for as long as the answer is kept; nothing when there is none.
    fn take(&self, bytes: usize) -> Option<Room> {
        let fits = |taken: usize| taken.checked_add(bytes).filter(|sum| *sum <= self.bytes);
        let taken = self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, fits);
        taken.ok().map(|_| Room { shelf: self.clone(), bytes })
    }
}

#[derive(Debug)]
struct Room {
    shelf: Shelf,
    bytes: usize,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.shelf.taken.fetch_sub(self.bytes, Ordering::AcqRel);
    }
}

/// Every valid entry after `after`, up to `through`.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) after: u64,
    pub(crate) through: u64,
    pub(crate) items: Vec<Arc<Item>>,
}

impl Page {
    /// Up to `limit` entries after a sequence of this page's range, and up to where they are all
    /// there are; nothing of what lies past `position`.
    pub(crate) fn after(&self, after: u64, limit: usize, position: u64) -> Option<Cut> {
        let reach = self.through.min(position);
        if after < self.after || after >= reach {
            return None;
        }
        let start = self.items.partition_point(|item| item.sequence() <= after);
        let end = self.items.partition_point(|item| item.sequence() <= reach);
        let cut = end.min(start.saturating_add(limit));
        let items = self.items.get(start..cut)?.to_vec();
        let last = items.last().filter(|_| cut < end).map(|item| item.sequence());
        Some(Cut { items, reached: last.unwrap_or(reach) })
    }

    fn bytes(&self) -> usize {
        self.items.iter().map(|item| item.entry.payload.len() + size_of::<Item>()).sum()
    }
}

/// A part of a page.
#[derive(Debug)]
pub(crate) struct Cut {
    pub(crate) items: Vec<Arc<Item>>,
    /// They are all there are up to here.
    pub(crate) reached: u64,
}

/// The pages of one conversation.
#[derive(Debug)]
pub(crate) struct Pages {
    shelf: Shelf,
    kept: Vec<(Instant, Page, Room)>,
    generation: u64,
}

impl Pages {
    pub(crate) const fn new(shelf: Shelf) -> Self {
        Self { shelf, kept: Vec::new(), generation: 0 }
    }

    /// What is asked for now can be kept only if this is still the same when it comes.
    pub(crate) const fn generation(&self) -> u64 {
        self.generation
    }

    /// A message was deleted: what was read before still shows what it said.
    pub(crate) fn deleted(&mut self, sequence: u64) {
        self.generation += 1;
        self.kept.retain(|(_, page, _)| !(page.after < sequence && sequence <= page.through));
    }

    /// Keeps a page that was asked for in a generation, if it may be and there is room.
    pub(crate) fn keep(&mut self, page: Page, generation: u64) {
        if generation != self.generation || page.through <= page.after {
            return;
        }
        if self.kept.len() >= PAGES {
            let idle = self.kept.iter().enumerate().min_by_key(|(_, (used, ..))| *used);
            if let Some((index, _)) = idle {
                self.kept.swap_remove(index);
            }
        }
        if let Some(room) = self.shelf.take(page.bytes()) {
            self.kept.push((Instant::now(), page, room));
        }
    }

    /// Entries after a sequence, if a page has them.
    pub(crate) fn after(&mut self, after: u64, limit: usize, position: u64) -> Option<Cut> {
        self.kept.iter_mut().find_map(|(used, page, _)| {
            let cut = page.after(after, limit, position)?;
            *used = Instant::now();
            Some(cut)
        })
    }

    /// When the next page has been kept for long enough.
    pub(crate) fn until(&self) -> Option<Instant> {
        self.kept.iter().map(|(used, ..)| *used + KEPT).min()
    }

    /// Forgets what nobody asked for lately.
    pub(crate) fn forget(&mut self) {
        let now = Instant::now();
        self.kept.retain(|(used, ..)| *used + KEPT > now);
    }
}

#[cfg(test)]
mod tests;
