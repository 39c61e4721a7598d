//! One connected user: the list of conversations, the sockets, and what concerns all of them.
//!
//! Invariants: every notice in the user's log, however it was learned of, makes the list be read
//! anew, so a lost notice is healed by the next or by the digest. A socket is told of a conversation
//! (CONVERSATION_ADD) before it gets the first entry of it. Only the conversation's own log takes a
//! live conversation away again.
//!
//! Leaves out entries: DMs' live entries only pass through here to the conversation's task.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::{SubscribeError, Subscriber};
use axum::extract::ws::Utf8Bytes;
use bus_schema::error::{Close, Failure};
use bus_schema::events::Ephemeral;
use bus_schema::frames::{self, event};
use bus_schema::ids::{ConversationId, StreamIndex, UserId};
use bus_schema::limits;
use bus_schema::ops::Empty;
use bus_schema::ops::channels::{ListConversations, Listed, ListedKind, Listing};
use bus_schema::runtime::bus::jitter;
use bus_schema::runtime::call::Call;
use bus_schema::subjects::{self, LogSubject};
use futures::StreamExt as _;
use futures::stream::SelectAll;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use super::StartBy;
use super::events::{Live, LiveEvent, profile_hash};
use super::handle::{Join, KnownList, Shown, UserCommand, UserHandle};
use crate::follow::conversation::Command;
use crate::state::Edge;
use crate::ws::outbox::{Lag, Outbox, SocketId};

/// How long reading a list is tried before the sockets are sent to resume elsewhere. By time, as a
/// refusal may come at once: a store that is away for a minute costs nobody their connection.
const RELOAD_FOR: Duration = Duration::from_mins(2);

struct Socket {
    outbox: Arc<Outbox>,
    known: HashSet<ConversationId>,
    awake: HashSet<ConversationId>,
    through: HashMap<StreamIndex, u64>,
    /// Being made ready to be shown.
    coming: HashSet<ConversationId>,
}

struct UserTask {
    edge: Arc<Edge>,
    user: UserId,
    handle: UserHandle,
    sockets: HashMap<SocketId, Socket>,
    last_notice: u64,
    reloading: bool,
    again: bool,
}

/// Subscribes to what concerns a user.
pub(super) async fn subscribe(
    edge: &Edge,
    user: UserId,
) -> Result<SelectAll<Subscriber>, SubscribeError> {
    let mut all = SelectAll::new();
    for subject in subjects::of_user(user) {
        all.push(edge.bus.client().subscribe(subject).await?);
    }
    Ok(all)
}

/// Runs until the user has had no socket for the time the list is kept.
pub(super) async fn run(
    edge: Arc<Edge>,
    user: UserId,
    handle: UserHandle,
    mut feed: SelectAll<Subscriber>,
    mut commands: mpsc::Receiver<UserCommand>,
) {
    let mut this = UserTask {
        edge: edge.clone(),
        user,
        handle,
        sockets: HashMap::new(),
        last_notice: 0,
        reloading: false,
        again: false,
    };
    let mut used = Instant::now();
    loop {
        let keep = if this.reloading || this.handle.list.read().is_some() {
            edge.settings.list_kept_s
        } else {
            edge.settings.linger_s
        };
        let end = used + Duration::from_secs(keep);
        tokio::select! {
            biased;
            message = feed.next() => match message {
                Some(message) => {
                    if let Some(live) = LiveEvent::read(&edge, &message) {
                        this.live(live).await;
                    }
                }
                None => break,
            },
            command = commands.recv() => match command {
                Some(command) => {
                    if !matches!(command, UserCommand::Listed { .. }) {
                        used = Instant::now();
                    }
                    this.command(command).await;
                }
                None => break,
            },
            () = sleep_until(end) => {
                if !this.sockets.is_empty() {
                    used = Instant::now();
                } else if edge.hub.retire_user(user, &commands) {
                    break;
                }
            }
        }
    }
}

impl UserTask {
    async fn command(&mut self, command: UserCommand) {
        match command {
            UserCommand::Join(join) => self.join(join),
            UserCommand::Leave(socket) => self.leave(socket),
            UserCommand::Hear { place, sequence } => self.hear(place, sequence).await,
            UserCommand::Reload => self.reload(),
            UserCommand::Listed { notices, listing } => self.listed(notices, listing),
            UserCommand::Ready { socket, shown } => self.show(socket, *shown).await,
            UserCommand::Gone { id, socket } => {
                if let Some(list) = self.handle.list.write().as_mut() {
                    list.conversations.remove(&id);
                }
                if let Some(socket) = self.sockets.get_mut(&socket) {
                    socket.known.remove(&id);
                    socket.awake.remove(&id);
                }
                // They may have been added again meanwhile.
                self.reload();
            }
        }
    }

    fn join(&mut self, join: Join) {
        if self.sockets.len() >= limits::SOCKETS_PER_USER {
            join.outbox.close(Close::RateLimited);
            return;
        }
        self.adopt(&join.listing, join.notices);
        let socket = Socket {
            outbox: join.outbox.clone(),
            known: join.known,
            awake: join.awake,
            through: join.through,
            coming: HashSet::new(),
        };
        self.sockets.insert(join.outbox.id, socket);
        if join.notices != self.handle.notices() {
            self.reload();
        }
    }

    fn leave(&mut self, id: SocketId) {
        let Some(socket) = self.sockets.remove(&id) else { return };
        let edge = self.edge.clone();
        tokio::spawn(async move {
            for conversation in socket.known {
                if let Some(handle) = edge.hub.find(conversation) {
                    let _ = handle.send(Command::Detach(id)).await;
                }
            }
        });
    }

    async fn live(&mut self, live: LiveEvent) {
        match (live.place, live.event) {
            (LogSubject::User(user), event) if user == self.user => self.own(event),
            (LogSubject::Dm(dm), event) => {
                let [low, high] = dm.people();
                let other = if self.user == low { high } else { low };
                if let Live::Entry { sequence, .. } = &event {
                    self.wake(live.place, *sequence).await;
                }
                // Both people's subscriptions bring it; one of them passes it on.
                if self.user < other || self.edge.hub.find_user(other).is_none() {
                    let place = live.place;
                    let command = Command::Live(LiveEvent { place, event });
                    if let Some(handle) = self.edge.hub.find(dm.id()) {
                        // Never waited for: what does not fit is found missing by the follower.
                        if handle.try_send(command).is_err() {
                            metrics::counter!("natter_hub_full_total").increment(1);
                        }
                    } else if let Command::Live(live) = command {
                        self.pass_ephemeral(dm.id(), &live.event);
                    }
                }
            }
            _ => {}
        }
    }

    /// Something on the user's own place.
    fn own(&mut self, event: Live) {
        match event {
            Live::Entry { sequence, .. } => {
                self.last_notice = self.last_notice.max(sequence);
                self.handle.notices.fetch_add(1, Ordering::AcqRel);
                self.reload();
            }
            Live::Ephemeral(Ephemeral::Read(read)) => {
                let frame: Utf8Bytes = frames::dispatch(event::READ, &read).into();
                // After its CONVERSATION_REMOVE a socket hears nothing of it.
                let knows = |socket: &&Socket| socket.known.contains(&read.conversation_id);
                self.sockets.values().filter(knows).for_each(|socket| {
                    socket.outbox.push_sure(frame.clone());
                });
            }
            Live::Ephemeral(Ephemeral::UserUpdate(user)) => {
                let hash = profile_hash(&user);
                let frame: Utf8Bytes = frames::dispatch(event::USER_UPDATE, &user).into();
                self.sockets.values().for_each(|socket| {
                    socket.outbox.push_profile(hash, frame.clone());
                });
            }
            Live::Ephemeral(_) => {}
        }
    }

    /// An undurable event of a DM nobody follows: straight to the sockets of both people here.
    fn pass_ephemeral(&self, id: ConversationId, event: &Live) {
        let Live::Ephemeral(Ephemeral::Typing(typing)) = event else { return };
        let frame: Utf8Bytes = frames::dispatch(event::TYPING, typing).into();
        for socket in self.sockets.values().filter(|socket| socket.known.contains(&id)) {
            socket.outbox.push(frame.clone());
        }
    }

    async fn hear(&mut self, place: LogSubject, sequence: u64) {
        match place {
            LogSubject::User(_) if sequence > self.last_notice => {
                self.last_notice = sequence;
                self.reload();
            }
            LogSubject::Dm(_) => {
                if self.wake(place, sequence).await
                    && let Some(handle) = place.conversation().and_then(|id| self.edge.hub.find(id))
                {
                    let _ = handle.try_send(Command::Hear(sequence));
                }
            }
            _ => {}
        }
    }

    /// A DM has an entry: every socket that is not fed with it must be. Whether any is now.
    async fn wake(&mut self, place: LogSubject, sequence: u64) -> bool {
        let Some(id) = place.conversation() else { return false };
        let stream = self.edge.layout.stream_of(place);
        let behind = |socket: &Socket| {
            !socket.awake.contains(&id)
                && socket.through.get(&stream).is_none_or(|through| sequence > *through)
        };
        if !self.sockets.values().any(behind) {
            return false;
        }
        let Ok(handle) = self.edge.hub.follow(&self.edge, place, StartBy::Caller).await else {
            return false;
        };
        let through = self.sockets.values().filter_map(|s| s.through.get(&stream)).max();
        if let Some(through) = through {
            // What READY showed was true up to there; "empty" is left for history to say.
            let _ = handle.try_send(Command::Start { through: *through, empty: false });
        }
        let mut unknown = Vec::new();
        for (socket_id, socket) in &mut self.sockets {
            if !behind(socket) || socket.coming.contains(&id) {
                continue;
            }
            if socket.known.contains(&id) {
                socket.awake.insert(id);
                let after = socket.through.get(&stream).copied().unwrap_or(0);
                socket.outbox.lag(Lag { place, after, need: sequence, resume: false });
            } else {
                socket.coming.insert(id);
                unknown.push(*socket_id);
            }
        }
        if !unknown.is_empty() {
            let listed = Listed { place, what: ListedKind::Dm { opened: false } };
            self.prepare(listed, unknown, sequence);
        }
        true
    }

    /// Reads the list anew, once at a time.
    fn reload(&mut self) {
        if self.sockets.is_empty() {
            // Nobody to tell, and until it is read a list that is not kept up must not be believed.
            let kept = self.handle.list.write().take().is_some();
            if !kept && !self.reloading {
                return;
            }
        }
        if self.reloading {
            self.again = true;
            return;
        }
        self.reloading = true;
        let (edge, user, handle) = (self.edge.clone(), self.user, self.handle.clone());
        tokio::spawn(async move {
            let (started, mut attempt) = (Instant::now(), 0_u32);
            let (notices, listing) = loop {
                let notices = handle.notices();
                let call = Call::asserted(user);
                let listing = edge.bus.call::<ListConversations>(&call, &Empty {}).await;
                if listing.is_ok() || started.elapsed() >= RELOAD_FOR {
                    break (notices, listing);
                }
                attempt = attempt.saturating_add(1);
                sleep(jitter(Duration::from_millis(200) * attempt.min(10))).await;
            };
            handle.send(UserCommand::Listed { notices, listing }).await;
        });
    }

    fn listed(&mut self, notices: u64, listing: Result<Listing, Failure>) {
        self.reloading = false;
        let listing = match listing {
            Ok(listing) => listing,
            Err(failure) => {
                tracing::warn!(user = %self.user, %failure, "the list cannot be read");
                self.sockets.values().for_each(|s| s.outbox.close(Close::Unavailable));
                return;
            }
        };
        self.adopt(&listing, notices);
        for listed in listing.conversations {
            let Some(id) = listed.place.conversation() else { continue };
            if matches!(listed.what, ListedKind::Dm { opened: false }) {
                continue;
            }
            let mut unknown = Vec::new();
            for (socket_id, socket) in &mut self.sockets {
                if !socket.known.contains(&id) && socket.coming.insert(id) {
                    unknown.push(*socket_id);
                }
            }
            if !unknown.is_empty() {
                let need = match &listed.what {
                    ListedKind::Channel { since, .. } => since.sequence(),
                    ListedKind::Dm { .. } => 0,
                };
                self.prepare(listed, unknown, need);
            }
        }
        if std::mem::take(&mut self.again) {
            self.reload();
        }
    }

    fn adopt(&self, listing: &Listing, notices: u64) {
        let entry = |listed: &Listed| Some((listed.place.conversation()?, listed.clone()));
        let conversations = listing.conversations.iter().filter_map(entry).collect();
        *self.handle.list.write() = Some(KnownList { conversations, notices });
    }

    /// Makes a CONVERSATION_ADD for some sockets, in the background.
    fn prepare(&self, listed: Listed, sockets: Vec<SocketId>, need: u64) {
        let (edge, user, handle) = (self.edge.clone(), self.user, self.handle.clone());
        tokio::spawn(async move {
            let mut wait = Duration::from_millis(100);
            loop {
                match super::show::added(&edge, user, &listed, need).await {
                    Ok((frame, after)) => {
                        let frame: Utf8Bytes = frame.into();
                        for socket in sockets {
                            let place = listed.place;
                            let shown = Shown { place, frame: frame.clone(), after, need };
                            let shown = Box::new(shown);
                            handle.send(UserCommand::Ready { socket, shown }).await;
                        }
                        return;
                    }
                    Err(failure) => {
                        tracing::debug!(%user, %failure, "showing a conversation again");
                        sleep(jitter(wait)).await;
                        wait = (wait * 2).min(Duration::from_secs(3));
                    }
                }
                if edge.hub.find_user(user).is_none() {
                    return;
                }
            }
        });
    }

    async fn show(&mut self, id: SocketId, shown: Shown) {
        let Some(conversation) = shown.place.conversation() else { return };
        if !self.sockets.contains_key(&id) {
            return;
        }
        let followed = self.edge.hub.follow(&self.edge, shown.place, StartBy::Itself).await;
        let Some(socket) = self.sockets.get_mut(&id) else { return };
        socket.coming.remove(&conversation);
        if followed.is_err() {
            socket.outbox.close(Close::Unavailable);
            return;
        }
        if socket.known.insert(conversation) {
            socket.awake.insert(conversation);
            socket.outbox.push_sure(shown.frame);
            let (place, after, need) = (shown.place, shown.after, shown.need);
            socket.outbox.lag(Lag { place, after, need, resume: false });
        }
    }
}
