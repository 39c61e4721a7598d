//! What the auditor is to know of a conversation: whether it lacks entries.

use super::{Conversation, Wish};

impl Conversation {
    /// Says so where that has changed. One without a position has nobody who waits for its entries.
    pub(super) fn stand(&mut self) {
        let position = self.follower.position();
        let lacks = position.is_some() && !self.follower.is_caught_up();
        if !lacks && !self.lacking && !self.told {
            return;
        }
        (self.lacking, self.told) = (lacks, false);
        self.wishes.push(match position {
            Some(position) if lacks => Wish::Lacks(position),
            position => Wish::Whole(position.unwrap_or(u64::MAX)),
        });
    }
}
