//! The last valid entry of conversations that the tail no longer has anything of.
//!
//! Invariant: a head that is known is exact: nothing valid of the conversation came after it up to
//! the tail's base. What is not known is not here; being forgotten for want of room is not wrong.

use std::collections::HashMap;

use bus_schema::subjects::LogSubject;

/// Heads of one stream, those learnt last.
#[derive(Debug, Default)]
pub(super) struct Heads {
    young: HashMap<LogSubject, u64>,
    /// Those before them; they make room together.
    old: HashMap<LogSubject, u64>,
    bound: usize,
}

impl Heads {
    /// Room for `bound` heads.
    pub(super) fn new(bound: usize) -> Self {
        Self { bound, ..Self::default() }
    }

    /// The head of a conversation.
    pub(super) fn get(&self, place: LogSubject) -> Option<u64> {
        self.young.get(&place).or_else(|| self.old.get(&place)).copied()
    }

    /// Learns a head.
    pub(super) fn set(&mut self, place: LogSubject, seq: u64) {
        if self.young.len() >= (self.bound / 2).max(1) && !self.young.contains_key(&place) {
            self.old = std::mem::take(&mut self.young);
        }
        self.old.remove(&place);
        self.young.insert(place, seq);
    }

    /// No longer knows a head.
    pub(super) fn unset(&mut self, place: LogSubject) {
        self.young.remove(&place);
        self.old.remove(&place);
    }
}

#[cfg(test)]
mod tests {
    use bus_schema::ids::ConversationId;

    use super::*;

    #[test]
    fn the_last_learnt_stay() {
        let place = |n| LogSubject::Channel(ConversationId(n));
        let mut heads = Heads::new(10);
        (0..100).for_each(|n| heads.set(place(n), n));
        heads.set(place(97), 200);
        assert_eq!((heads.get(place(97)), heads.get(place(99))), (Some(200), Some(99)));
        assert_eq!(heads.get(place(1)), None);
        let kept = (0..100).filter(|n| heads.get(place(*n)).is_some()).count();
        assert!((5..=10).contains(&kept), "{kept}");
        heads.unset(place(97));
        assert_eq!(heads.get(place(97)), None);
    }
}
