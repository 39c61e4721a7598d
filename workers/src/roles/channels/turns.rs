//! Lets the changes of one channel queue up within this process, in the order they came.
//!
//! Invariant: a channel has a queue only while somebody holds or waits for its turn. Nothing relies
//! on turns to be right (the store's compare-and-set decides); they keep many changes of one channel
//! from overtaking each other again and again.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use bus_schema::ids::ConversationId;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

/// The queues.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<ConversationId, Weak<Semaphore>>>);

/// One's turn; dropping it lets the next one in.
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    channel: ConversationId,
    /// Both are given back by hand, so that the queue's last user sees that it is the last.
    permit: Option<OwnedSemaphorePermit>,
    queue: Option<Arc<Semaphore>>,
}

impl Turns {
    /// Waits for one's turn; none if it does not come in time.
    pub(super) async fn take(
        &self,
        channel: ConversationId,
        deadline: Instant,
    ) -> Option<Turn<'_>> {
        let queue = {
            let mut queues = self.0.lock();
            let slot = queues.entry(channel).or_default();
            slot.upgrade().unwrap_or_else(|| {
                let queue = Arc::new(Semaphore::new(1));
                *slot = Arc::downgrade(&queue);
                queue
            })
        };
        let permit = queue.clone().acquire_owned();
        let mut turn = Turn { turns: self, channel, permit: None, queue: Some(queue) };
        turn.permit = Some(timeout_at(deadline, permit).await.ok()?.ok()?);
        Some(turn)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        (self.permit, self.queue) = (None, None);
        let mut queues = self.turns.0.lock();
        if queues.get(&self.channel).is_some_and(|queue| queue.strong_count() == 0) {
            queues.remove(&self.channel);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::future::join_all;
    use tokio::time::sleep;

    use super::*;

    const C: ConversationId = ConversationId(1);

    #[tokio::test(start_paused = true)]
    async fn one_at_a_time_in_the_order_they_came_and_nothing_is_left() {
        let turns = Turns::default();
        let order = Mutex::new(Vec::new());
        let deadline = Instant::now() + Duration::from_mins(1);
        join_all((0..20).map(|n| {
            let (turns, order) = (&turns, &order);
            async move {
                let _turn = turns.take(C, deadline).await.unwrap();
                order.lock().push(n);
                sleep(Duration::from_millis(10)).await;
                order.lock().push(n);
            }
        }))
        .await;
        let expected: Vec<_> = (0..20).flat_map(|n| [n, n]).collect();
        assert_eq!(*order.lock(), expected);
        assert!(turns.0.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_too_long_leaves_and_holds_nobody_back() {
        let turns = Turns::default();
        let soon = Instant::now() + Duration::from_secs(1);
        let held = turns.take(C, soon).await.unwrap();
        assert!(turns.take(C, soon).await.is_none());
        assert!(turns.take(ConversationId(2), soon).await.is_some(), "another channel");
        drop(held);
        assert!(turns.take(C, soon).await.is_some());
        assert!(turns.0.lock().is_empty());
    }
}
