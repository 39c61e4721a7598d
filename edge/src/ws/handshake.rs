//! IDENTIFY: who it is, what they have, and where each conversation's entries start.
//!
//! Order matters and is the invariant: subscribe, then let the server have the subscriptions, then
//! ask where every conversation stands, then read the list once more. So what READY shows plus what
//! comes live is everything, and who was removed meanwhile is not in it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bus_schema::error::{Close, Code, Failure};
use bus_schema::events::{Conversation, Rates, Ready, User};
use bus_schema::frames::{self, Identify, event};
use bus_schema::ids::{ConversationId, EntryId, SessionId, StreamIndex, UserId};
use bus_schema::ops::auth::Claims;
use bus_schema::ops::channels::{Listed, Listing};
use bus_schema::ops::profiles::{GetProfiles, GetProfilesRequest};
use bus_schema::runtime::call::Call;
use bus_schema::subjects::LogSubject;
use tokio::time::Instant;

use super::admission::SentAway;
use super::outbox::Outbox;
use super::replays::Replay;
use super::stages::Stages;
use super::writer::Writing;
use crate::conversations::{self, Asking, View};
use crate::follow::conversation::{Command, remove_frame};
use crate::hub::StartBy;
use crate::hub::handle::{Join, UserCommand, UserHandle};
use crate::state::Edge;

/// A socket that has identified.
pub(super) struct Identified {
    pub(super) outbox: Arc<Outbox>,
    pub(super) user: UserHandle,
    pub(super) account: UserId,
    pub(super) session: SessionId,
    pub(super) writing: Writing,
}

/// Times the list is read again because it changed meanwhile.
const ROUNDS: usize = 5;

/// Not served: how the socket ends, and when to come back if that is known.
pub(super) struct Refused {
    pub(super) close: Close,
    pub(super) away: Option<SentAway>,
}

impl From<Close> for Refused {
    fn from(close: Close) -> Self {
        Self { close, away: None }
    }
}

impl From<SentAway> for Refused {
    fn from(away: SentAway) -> Self {
        Self { close: Close::Unavailable, away: Some(away) }
    }
}

/// Identifies a socket, waiting its turn. Who it is comes first: a place in the queue is for those
/// who have a session.
pub(super) async fn identify(edge: &Arc<Edge>, identify: Identify) -> Result<Identified, Refused> {
    edge.cut_off().map_err(|_| Close::Unavailable)?;
    let started = Instant::now();
    let mut stages = Stages::begin();
    let claims = edge.bus.verifier().verify(&edge.bus, &identify.token).await;
    let claims = claims.map_err(|failure| close_of(&failure))?;
    if edge.sessions.is_revoked(claims.sid) {
        return Err(Close::Unauthorized.into());
    }
    stages.done("token");
    let turn = edge.admission.turn().await?;
    stages.done("turn");
    let result = work(edge, &claims, identify, &mut stages).await;
    drop(turn);
    metrics::histogram!("natter_identify_seconds", "ok" => result.is_ok().to_string())
        .record(started.elapsed());
    Ok(result?)
}

fn close_of(failure: &Failure) -> Close {
    match failure.code {
        Code::Unauthorized => Close::Unauthorized,
        _ => Close::Unavailable,
    }
}

async fn work(
    edge: &Arc<Edge>,
    claims: &Claims,
    identify: Identify,
    stages: &mut Stages,
) -> Result<Identified, Close> {
    if edge.sessions.is_revoked(claims.sid) {
        return Err(Close::Unauthorized);
    }
    let user = edge.hub.user(edge, claims.sub).await.map_err(|_| Close::Unavailable)?;
    stages.done("user");
    let gathered = gather(edge, claims.sub, &user, &identify.cursors, stages).await;
    let gathered = gathered.map_err(|failure| {
        tracing::info!(user = %claims.sub, %failure, "IDENTIFY cannot be served");
        close_of(&failure)
    })?;
    let identified = join(edge, claims, user, &identify.cursors, gathered).await;
    stages.done("ready");
    stages.tell(claims.sub);
    Ok(identified)
}

struct Gathered {
    me: User,
    listing: Listing,
    view: View,
    notices: u64,
}

/// Reads everything READY shows.
async fn gather(
    edge: &Arc<Edge>,
    account: UserId,
    user: &UserHandle,
    cursors: &HashMap<ConversationId, EntryId>,
    stages: &mut Stages,
) -> Result<Gathered, Failure> {
    let mut listing = edge.listing(account, "").await?;
    stages.done("list");
    for _ in 0..ROUNDS {
        for listed in &listing.conversations {
            if matches!(listed.place, LogSubject::Channel(_)) {
                let followed = edge.hub.follow(edge, listed.place, StartBy::Caller).await;
                followed.map_err(|_| Failure::unavailable())?;
            }
        }
        stages.done("follow");
        edge.bus.client().flush().await.map_err(|_| Failure::unavailable())?;
        stages.done("flush");
        let asking = Asking { user: account, request_id: "" };
        let wanted = |id| !cursors.contains_key(&id);
        let view =
            conversations::view_in_stages(edge, asking, &listing, wanted, |s| stages.done(s));
        let view = view.await?;
        let notices = user.notices();
        let again = edge.listing(account, "").await?;
        stages.done("list_again");
        let places = |l: &Listing| l.conversations.iter().map(|c| c.place).collect::<HashSet<_>>();
        if places(&again).is_subset(&places(&listing)) {
            let me = view.users.iter().find(|user| user.id == account).cloned();
            let me = match me {
                Some(me) => me,
                None => own_profile(edge, account).await?,
            };
            return Ok(Gathered { me, listing: again, view, notices });
        }
        listing = again;
    }
    Err(Failure::unavailable())
}

async fn own_profile(edge: &Edge, account: UserId) -> Result<User, Failure> {
    let request = GetProfilesRequest { ids: vec![account] };
    let reply = edge.bus.call::<GetProfiles>(&Call::platform(), &request).await?;
    reply.users.into_iter().next().ok_or_else(Failure::unauthorized)
}

/// Registers the socket, and queues READY and what must be replayed after it.
async fn join(
    edge: &Arc<Edge>,
    claims: &Claims,
    user: UserHandle,
    cursors: &HashMap<ConversationId, EntryId>,
    gathered: Gathered,
) -> Identified {
    let Gathered { me, listing, view, notices } = gathered;
    let id = edge.hub.next_socket();
    let outbox = Arc::new(Outbox::new(id, claims.sub, edge.settings.socket_queue));
    let through: HashMap<StreamIndex, u64> = view.through.iter().copied().collect();
    let mut plan = Plan::new(edge, &through);
    let listed: HashMap<_, _> = listing
        .conversations
        .iter()
        .filter_map(|listed| Some((listed.place.conversation()?, listed)))
        .collect();
    let mut conversations = view.conversations;
    conversations.retain(|conversation| listed.contains_key(&conversation.id));
    for conversation in &conversations {
        if let Some(listed) = listed.get(&conversation.id) {
            plan.add(conversation, listed, cursors.get(&conversation.id).copied()).await;
        }
    }
    let ready = Ready {
        user: me,
        session_id: claims.sid,
        conversations,
        users: view.users,
        edges: edge.directory.alive(),
        limits: Rates {
            send_per_s: edge.settings.send_per_s,
            send_burst: edge.settings.send_burst,
        },
    };
    outbox.push_ready(frames::dispatch(event::READY, &ready).into());
    for id in cursors.keys().filter(|id| !plan.known.contains(id)) {
        outbox.push_ready(remove_frame(*id));
    }
    let replays = plan.replays;
    for replay in &replays {
        outbox.lag(replay.lag);
    }
    let (known, awake) = (plan.known, plan.awake);
    let join = Join { outbox: outbox.clone(), known, awake, through, listing, notices };
    let mut command = UserCommand::Join(join);
    let mut handle = user;
    // The task may have retired since it was found; another takes its place.
    while let Err(returned) = handle.try_again(command).await {
        command = returned;
        let Ok(again) = edge.hub.user(edge, claims.sub).await else {
            outbox.close(Close::Unavailable);
            break;
        };
        handle = again;
    }
    let writing = Writing::new(outbox.clone(), &replays);
    Identified { outbox, user: handle, account: claims.sub, session: claims.sid, writing }
}

/// Where each conversation's entries start for this socket.
struct Plan<'a> {
    edge: &'a Arc<Edge>,
    through: &'a HashMap<StreamIndex, u64>,
    known: HashSet<ConversationId>,
    awake: HashSet<ConversationId>,
    replays: Vec<Replay>,
}

impl<'a> Plan<'a> {
    fn new(edge: &'a Arc<Edge>, through: &'a HashMap<StreamIndex, u64>) -> Self {
        Self { edge, through, known: HashSet::new(), awake: HashSet::new(), replays: Vec::new() }
    }

    async fn add(&mut self, shown: &Conversation, listed: &Listed, cursor: Option<EntryId>) {
        let place = listed.place;
        let through = self.through.get(&self.edge.layout.stream_of(place)).copied().unwrap_or(0);
        self.known.insert(shown.id);
        let replay = Replay::new((shown.id, place), shown.last_id, through, cursor);
        let idle =
            matches!(place, LogSubject::Dm(_)) && replay.lag.after == through && !replay.from_zero;
        if idle {
            // Nobody follows an idle DM: its first entry wakes it.
            return;
        }
        if let Ok(handle) = self.edge.hub.follow(self.edge, place, StartBy::Caller).await {
            let empty = shown.last_id.is_none();
            let _ = handle.send(Command::Start { through, empty }).await;
        }
        self.awake.insert(shown.id);
        self.replays.push(replay);
    }
}
