//! What happens to devices: they dial, identify, are written to at their pace, break off, page.

use std::sync::Arc;

use bus_schema::error::{Close, Failure};
use bus_schema::ids::EntryId;
use rand::RngExt as _;

use super::device::{Device, Socket, Waiting};
use super::log::{CHATS, OWNER, STREAM, id_of, place_of};
use super::world::{Event, World};
use super::{ACTIVE, BOUNDS, EDGES, QUEUE};
use crate::follow::conversation::{Pull, Pulled, Then};
use crate::ws::outbox::{Lag, Outbox, SocketId, Work};
use crate::ws::replays::{Ask, Cut, Onward, Replay, Replays};

/// How long whoever follows a chat for READY may take to start it.
const CALLER: u64 = 150;

impl World {
    fn follow(&mut self, edge: usize, chat: usize, patience: u64) {
        self.count += 1;
        self.edges[edge].follow(chat, self.count, patience, self.now);
    }

    /// A device goes to some edge, which subscribes to what concerns it and asks where that stands.
    pub(super) fn dial(&mut self, device: usize) {
        if self.devices[device].edge.is_some() {
            return;
        }
        let edge = self.random.random_range(0..EDGES);
        if !self.edges[edge].up || self.edges[edge].cut {
            return self.later(20, Event::Dial { device });
        }
        (0..CHATS).for_each(|chat| self.follow(edge, chat, CALLER));
        let this = &mut self.devices[device];
        this.edge = Some(edge);
        this.cursors.identify();
        let (dialled, end) = (this.dialled, self.log.end());
        let ticks = self.soon() * 2;
        self.later(ticks, Event::Ready { device, dialled, end });
    }

    /// History has said where everything stands: what it had read when it was asked, and perhaps more.
    pub(super) fn ready(&mut self, device: usize, dialled: u64, through: u64) {
        let Some(edge) = self.devices[device].edge else { return };
        if self.devices[device].dialled != dialled {
            return;
        }
        if self.edges[edge].cut {
            return self.hang_up_one(device);
        }
        self.sum.connections += 1;
        self.count += 1;
        let outbox = Arc::new(Outbox::new(SocketId(self.count), OWNER, QUEUE));
        let mut ready = [EntryId::ZERO; CHATS];
        let mut replays = Vec::new();
        for (chat, last) in ready.iter_mut().enumerate() {
            let read = self.random.random_range(through..=self.log.end());
            *last = self
                .log
                .valid(chat, 0, read)
                .last()
                .map_or(EntryId::ZERO, |s| EntryId::new(*s, STREAM));
            let cursor = self.devices[device].cursors.cursor(id_of(chat).0).map(EntryId);
            let shown = Some(*last).filter(|last| *last != EntryId::ZERO);
            replays.push(Replay::new((id_of(chat), place_of(chat)), shown, through, cursor));
            self.follow(edge, chat, CALLER);
            let rules = self.rules;
            self.edges[edge].start(chat, through, shown.is_none(), rules);
        }
        outbox.push_ready("READY".into());
        for replay in &replays {
            outbox.lag(replay.lag);
        }
        let replays = Replays::new(BOUNDS, &replays);
        let socket = Socket { outbox, replays, ready: Some(ready), waiting: None, resumed: false };
        self.devices[device].socket = Some(socket);
        (0..CHATS).for_each(|chat| self.step(edge, chat));
    }

    /// Every writer of an edge looks soon whether there is something to do.
    pub(super) fn turns(&mut self, edge: usize) {
        for device in 0..self.devices.len() {
            let Device { edge: at, socket, turn, dialled, .. } = &mut self.devices[device];
            if *at != Some(edge) || socket.is_none() || *turn {
                continue;
            }
            *turn = true;
            let dialled = *dialled;
            // Now and then somebody does not read for a while.
            let ticks = if self.fault(60) { self.random.random_range(50..300) } else { 1 };
            self.later(ticks, Event::Turn { device, dialled });
        }
    }

    /// The writer of a socket goes on until it waits or has written its share.
    pub(super) fn turn(&mut self, device: usize, dialled: u64) -> Result<(), String> {
        if self.devices[device].dialled != dialled {
            return Ok(());
        }
        self.devices[device].turn = false;
        let Some(edge) = self.devices[device].edge else { return Ok(()) };
        for _ in 0..8 {
            let Some(socket) = &mut self.devices[device].socket else { return Ok(()) };
            if socket.waiting.is_some() {
                if !self.answered(device, edge)? {
                    return Ok(());
                }
                continue;
            }
            match socket.outbox.try_work() {
                Some(Work::Frame(frame)) => match socket.ready.take() {
                    Some(ready) => self.devices[device].ready(ready),
                    None => self.devices[device].frame(&frame)?,
                },
                Some(Work::Pull(lag)) => self.pull(device, edge, lag)?,
                Some(Work::Close(_)) => {
                    self.hang_up_one(device);
                    return Ok(());
                }
                None => {
                    socket.resumed |= socket.replays.are_done();
                    return Ok(());
                }
            }
        }
        self.turns(edge);
        Ok(())
    }

    fn pull(&mut self, device: usize, edge: usize, lag: Lag) -> Result<(), String> {
        let chat = (0..CHATS).find(|chat| place_of(*chat) == lag.place).unwrap();
        let Some(socket) = &mut self.devices[device].socket else { return Ok(()) };
        self.sum.lags += u64::from(!lag.resume);
        let (limit, newest) = match socket.replays.ask(id_of(chat)) {
            Ask::Entries(limit) => (limit, false),
            Ask::Newest(limit) => (limit, true),
            Ask::Nothing => return self.cut(device, chat, lag, None),
        };
        let patience =
            u64::try_from(socket.replays.patience(id_of(chat)).as_millis() / 10).unwrap();
        let until = self.now + patience;
        let outbox = socket.outbox.clone();
        self.follow(edge, chat, 0);
        let answer =
            self.edges[edge].pull(chat, |reply| Pull { lag, limit, newest, outbox, reply });
        if let Some(socket) = &mut self.devices[device].socket {
            socket.waiting = Some(Waiting { lag, chat, newest, until, answer });
        }
        let dialled = self.devices[device].dialled;
        self.later(patience, Event::Turn { device, dialled });
        self.step(edge, chat);
        Ok(())
    }

    /// Takes the answer to a pull if there is one, or does without.
    fn answered(&mut self, device: usize, edge: usize) -> Result<bool, String> {
        let now = self.now;
        let Some(socket) = &mut self.devices[device].socket else { return Ok(false) };
        let Some(mut waiting) = socket.waiting.take() else { return Ok(true) };
        let answer = match waiting.answer.try_recv() {
            Ok(answer) => answer,
            Err(tokio::sync::oneshot::error::TryRecvError::Empty) if now < waiting.until => {
                socket.waiting = Some(waiting);
                return Ok(false);
            }
            Err(_) => {
                waiting.answer.close();
                Err(Failure::unavailable())
            }
        };
        let Waiting { lag, chat, newest, .. } = waiting;
        match answer {
            Ok(pulled) if newest && pulled.then != Then::Gone => {
                self.cut(device, chat, lag, Some(pulled))?;
            }
            Ok(pulled) => self.took(device, chat, lag, &pulled)?,
            Err(_) => {
                let wait = socket.replays.failed(id_of(chat)).as_millis() / 10;
                let dialled = self.devices[device].dialled;
                self.later(u64::try_from(wait).unwrap(), Event::Again { device, dialled, lag });
            }
        }
        self.turns(edge);
        Ok(true)
    }

    fn took(
        &mut self,
        device: usize,
        chat: usize,
        lag: Lag,
        pulled: &Pulled,
    ) -> Result<(), String> {
        let this = &mut self.devices[device];
        for item in &pulled.items {
            this.frame(&item.frame())?;
        }
        let Some(socket) = &mut this.socket else { return Ok(()) };
        match socket.replays.took(id_of(chat), lag, pulled) {
            Onward::Again(lag) => socket.outbox.lag(lag),
            Onward::Live => socket.replays.done(id_of(chat)),
            Onward::Gone => return Err(format!("chat {chat} was taken away")),
        }
        Ok(())
    }

    fn cut(
        &mut self,
        device: usize,
        chat: usize,
        lag: Lag,
        newest: Option<Pulled>,
    ) -> Result<(), String> {
        let this = &mut self.devices[device];
        let Some(socket) = &mut this.socket else { return Ok(()) };
        let Cut { gap, items, lag, done } = socket.replays.cut((id_of(chat), STREAM), lag, newest);
        if done {
            socket.replays.done(id_of(chat));
        }
        socket.outbox.lag(lag);
        if let Some(gap) = gap {
            this.gap(&gap)?;
            self.sum.gaps += 1;
            let ticks = self.random.random_range(1..400);
            self.later(ticks, Event::Page { device });
        }
        for item in items {
            self.devices[device].frame(&item.frame())?;
        }
        Ok(())
    }

    /// A lag that was put off is due.
    pub(super) fn again(&mut self, device: usize, dialled: u64, lag: Lag) {
        let Device { edge: Some(edge), socket: Some(socket), dialled: now, .. } =
            &self.devices[device]
        else {
            return;
        };
        if dialled == *now {
            socket.outbox.lag(lag);
            self.turns(*edge);
        }
    }

    /// A device pages what it owes itself, some entries at a time.
    pub(super) fn page(&mut self, device: usize) -> Result<(), String> {
        let (ticks, limit) = (self.soon(), self.random.random_range(1..5));
        let this = &mut self.devices[device];
        if this.cursors.owing().is_some() {
            this.page(&self.log, limit)?;
            self.later(ticks, Event::Page { device });
        }
        Ok(())
    }

    /// A device breaks off, and comes back; or another comes in its place.
    pub(super) fn leave(&mut self, device: usize) -> Result<(), String> {
        self.hang_up_one(device);
        self.devices[device]
            .is_whole(&self.log)
            .map_err(|why| format!("device {device}: {why}"))?;
        if !self.rules.gaps_kept {
            self.devices[device].forget_gaps();
        }
        if self.now < ACTIVE && self.random.random_ratio(1, 6) {
            let dialled = self.devices[device].dialled;
            self.devices[device] = Device { dialled, ..Device::default() };
        }
        Ok(())
    }

    /// Every connection to an edge breaks.
    pub(super) fn hang_up(&mut self, edge: usize) {
        for device in 0..self.devices.len() {
            if self.devices[device].edge == Some(edge) {
                self.hang_up_one(device);
            }
        }
    }

    fn hang_up_one(&mut self, device: usize) {
        let this = &mut self.devices[device];
        this.dialled += 1;
        this.turn = false;
        let (edge, socket) = (this.edge.take(), this.socket.take());
        if let (Some(edge), Some(socket)) = (edge, socket) {
            socket.outbox.close(Close::Unavailable);
            let (socket, life) = (socket.outbox.id, self.edges[edge].life);
            let ticks = self.soon();
            self.later(ticks, Event::Detach { edge, life, socket });
        }
        let away = if self.random.random_ratio(1, 3) { 600 } else { 60 };
        let ticks = self.random.random_range(1..away);
        self.later(ticks, Event::Dial { device });
    }
}
