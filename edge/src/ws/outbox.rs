//! What waits to be written to one socket.
//!
//! Invariants: the queue is bounded; whoever fills it is told so and never waits. A conversation
//! that could not queue its entry becomes a [`Lag`]: it is pulled from its cursor at the pace the
//! socket drains, and only after everything queued before it was written. So a slow socket loses
//! nothing and holds nobody back.

use std::collections::VecDeque;

use axum::extract::ws::Utf8Bytes;
use bus_schema::error::Close;
use bus_schema::ids::UserId;
use bus_schema::subjects::LogSubject;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// A socket of this edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct SocketId(pub(crate) u64);

/// A conversation that this socket must be fed with from a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lag {
    pub(crate) place: LogSubject,
    /// The socket has, or has queued, every entry up to this stream sequence.
    pub(crate) after: u64,
    /// The conversation must be followed at least up to here before it answers.
    pub(crate) need: u64,
    /// Part of the resumption that RESUMED ends, with its bounds.
    pub(crate) resume: bool,
}

/// What the writer should do next.
#[derive(Debug)]
pub(crate) enum Work {
    Frame(Utf8Bytes),
    Pull(Lag),
    /// Write what is left, then close.
    Close(Close),
}

#[derive(Debug, Default)]
struct State {
    frames: VecDeque<Utf8Bytes>,
    pushed: u64,
    popped: u64,
    /// Each with the number of frames that must be written before it.
    lags: VecDeque<(u64, Lag)>,
    close: Option<Close>,
    /// Frames in a row, so that lags get their turn while the queue is never empty.
    streak: u32,
    /// Hashes of the last profiles shown, so that a change seen in many places is shown once.
    profiles: VecDeque<u64>,
}

/// The queue of one socket, shared by its writer and all who write to it.
#[derive(Debug)]
pub(crate) struct Outbox {
    pub(crate) id: SocketId,
    pub(crate) user: UserId,
    max: usize,
    state: Mutex<State>,
    work: Notify,
    room: Notify,
}

/// Frames written in a row before a lag gets its turn.
const STREAK: u32 = 64;
/// What may not be dropped may exceed the queue's bound this many times.
const RESERVE: usize = 4;
/// Profiles remembered.
const PROFILES: usize = 32;

impl Outbox {
    pub(crate) fn new(id: SocketId, user: UserId, max: usize) -> Self {
        Self {
            id,
            user,
            max: max.max(16),
            state: Mutex::default(),
            work: Notify::new(),
            room: Notify::new(),
        }
    }

    /// Queues an entry; refuses when full. The caller then marks a lag.
    pub(crate) fn push(&self, frame: Utf8Bytes) -> bool {
        self.push_within(frame, self.max)
    }

    /// Queues what must not be lost (CONVERSATION_ADD, READ, …). When even the reserve is full, the
    /// socket ends and resumes.
    pub(crate) fn push_sure(&self, frame: Utf8Bytes) {
        if !self.push_within(frame, self.max * RESERVE) {
            self.close(Close::Unavailable);
        }
    }

    /// Queues the answer to IDENTIFY, which has bounds of its own: READY and one frame a cursor.
    pub(crate) fn push_ready(&self, frame: Utf8Bytes) {
        self.push_within(frame, usize::MAX);
    }

    /// Queues a profile unless it was among the last ones shown.
    pub(crate) fn push_profile(&self, hash: u64, frame: Utf8Bytes) {
        {
            let mut state = self.state.lock();
            if state.profiles.contains(&hash) {
                return;
            }
            state.profiles.push_back(hash);
            if state.profiles.len() > PROFILES {
                state.profiles.pop_front();
            }
        }
        self.push(frame);
    }

    fn push_within(&self, frame: Utf8Bytes, max: usize) -> bool {
        let mut state = self.state.lock();
        if state.close.is_some() {
            // Nobody will read it; accepting keeps the writers from marking lags.
            return true;
        }
        if state.frames.len() >= max {
            return false;
        }
        state.frames.push_back(frame);
        state.pushed += 1;
        drop(state);
        self.work.notify_one();
        true
    }

    /// Waits for room before more is read from a client that does not read.
    pub(crate) async fn room(&self) {
        loop {
            let notified = self.room.notified();
            {
                let state = self.state.lock();
                if state.frames.len() < self.max || state.close.is_some() {
                    return;
                }
            }
            notified.await;
        }
    }

    /// Has a conversation pulled after everything queued by now.
    pub(crate) fn lag(&self, lag: Lag) {
        let mut state = self.state.lock();
        let pushed = state.pushed;
        state.lags.push_back((pushed, lag));
        drop(state);
        self.work.notify_one();
    }

    /// Ends the socket after what is queued.
    pub(crate) fn close(&self, close: Close) {
        self.state.lock().close.get_or_insert(close);
        self.work.notify_one();
        self.room.notify_waiters();
    }

    /// The next thing to write, if there is one.
    pub(crate) fn try_work(&self) -> Option<Work> {
        let mut state = self.state.lock();
        let ready = state.lags.front().is_some_and(|(before, _)| *before <= state.popped);
        if (state.frames.is_empty() || state.streak >= STREAK)
            && ready
            && let Some((_, lag)) = state.lags.pop_front()
        {
            state.streak = 0;
            return Some(Work::Pull(lag));
        }
        if let Some(frame) = state.frames.pop_front() {
            state.popped += 1;
            state.streak += 1;
            let room = state.frames.len() + 1 == self.max;
            drop(state);
            if room {
                self.room.notify_waiters();
            }
            return Some(Work::Frame(frame));
        }
        state.close.map(Work::Close)
    }

    /// Waits until there may be something to write.
    pub(crate) async fn ready(&self) {
        self.work.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use bus_schema::ids::ConversationId;

    use super::*;

    fn outbox() -> Outbox {
        Outbox::new(SocketId(1), UserId(1), 16)
    }

    fn lag(after: u64) -> Lag {
        let place = LogSubject::Channel(ConversationId(1));
        Lag { place, after, need: 0, resume: false }
    }

    #[test]
    fn a_lag_comes_after_what_was_queued_before_it() {
        let outbox = outbox();
        assert!(outbox.push("a".into()));
        outbox.lag(lag(5));
        assert!(outbox.push("b".into()));
        let mut seen = Vec::new();
        while let Some(work) = outbox.try_work() {
            seen.push(format!("{work:?}"));
        }
        let pull = seen.iter().position(|w| w.starts_with("Pull")).unwrap();
        let a = seen.iter().position(|w| w.contains("\"a\"")).unwrap();
        assert!(a < pull, "{seen:?}");
        assert_eq!(seen.len(), 3);
    }

    #[test]
    fn a_full_queue_refuses_entries_and_keeps_a_reserve() {
        let outbox = outbox();
        let taken = (0..100).filter(|_| outbox.push("x".into())).count();
        assert_eq!(taken, 16);
        outbox.push_sure("sure".into());
        for _ in 0..100 {
            outbox.push_sure("sure".into());
        }
        let mut last = None;
        while let Some(work) = outbox.try_work() {
            if matches!(work, Work::Close(_)) {
                last = Some(work);
                break;
            }
        }
        assert!(matches!(last, Some(Work::Close(Close::Unavailable))));
    }

    #[test]
    fn a_lag_gets_its_turn_while_frames_keep_coming() {
        let outbox = outbox();
        outbox.lag(lag(0));
        let mut frames = 0;
        loop {
            outbox.push("x".into());
            match outbox.try_work() {
                Some(Work::Pull(_)) => break,
                Some(_) => frames += 1,
                None => panic!("nothing to do"),
            }
            assert!(frames <= STREAK + 1);
        }
    }

    #[test]
    fn a_profile_is_shown_once() {
        let outbox = outbox();
        outbox.push_profile(7, "p".into());
        outbox.push_profile(7, "p".into());
        assert!(outbox.try_work().is_some());
        assert!(outbox.try_work().is_none());
    }
}
