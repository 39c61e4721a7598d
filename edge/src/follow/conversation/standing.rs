//! What the auditor is to know of a conversation: whether it lacks entries.

use super::Conversation;

impl Conversation {
    /// Says so where that has changed. One without a position has nobody who waits for its entries.
    pub(super) fn stand(&mut self) {
        let position = self.follower.position();
        let lacks = position.is_some() && !self.follower.is_caught_up();
        if !lacks && !self.lacking && !self.told {
            return;
        }
        (self.lacking, self.told) = (lacks, false);
        let positions = &self.edge.positions;
        match position {
            Some(position) if lacks => {
                positions.lacks(self.edge.layout.stream_of(self.place), self.id, position);
            }
            position => positions.whole(self.id, position.unwrap_or(u64::MAX)),
        }
    }
}
