//! `members`: which of some conversations a user is a member of.
//!
//! Invariant: all of an answer is as of one sequence, up to which everything was judged. What is below
//! the tail is the store's to say; while that is away, what memory does not know is left open.

use std::collections::HashMap;

use bus_schema::error::Failure;
use bus_schema::ids::{ConversationId, UserId};
use bus_schema::ops::history::{MEMBERS_MAX, MembersReply, MembersRequest};
use bus_schema::subjects::LogSubject;
use bus_schema::verdict::MembershipEvent;

use super::range::membership_at;
use super::tail::Tail;
use super::view::{Step, View};
use crate::store::history::{Precedents, PrecedentsQuery};

/// Answers a request.
pub(super) async fn handle(view: &View, request: MembersRequest) -> Result<MembersReply, Failure> {
    let MembersRequest { user, places, fresh } = request;
    if places.len() > MEMBERS_MAX {
        return Err(Failure::bad_request("places: at most 500"));
    }
    let conversations: Result<Vec<_>, _> = places.iter().map(|p| view.conversation(*p)).collect();
    let wanted: Vec<_> = places.iter().copied().zip(conversations?).collect();
    view.fresh(fresh).await?;
    if !view.is_store_away() {
        let reply = with_store(view, user, &places, &wanted).await;
        if !view.went_away(&reply) {
            return reply;
        }
    }
    // What memory alone can judge is judged.
    let _ = view.judged(&places, |_| ()).await;
    Ok(view.peek(|tail| {
        let members = places.iter().map(|place| is_member(tail, *place, user, None));
        MembersReply { members: members.collect() }
    }))
}

async fn with_store(
    view: &View,
    user: UserId,
    places: &[LogSubject],
    wanted: &[(LogSubject, ConversationId)],
) -> Result<MembersReply, Failure> {
    let mut asked: Vec<LogSubject> = Vec::new();
    let members = view.merge(
        places,
        |tail, rows: Option<&Vec<Precedents>>| {
            let rows = rows.into_iter().flatten().map(|row| row.events.as_slice());
            let events: HashMap<_, _> = asked.iter().copied().zip(rows).collect();
            let found = |place| is_member(tail, place, user, events.get(&place).copied());
            let members: Vec<_> = wanted.iter().map(|(place, _)| found(*place)).collect();
            let open = wanted.iter().zip(&members).filter(|(_, member)| member.is_none());
            let open: Vec<_> = open.map(|(wanted, _)| *wanted).collect();
            if open.is_empty() {
                return Step::Done(MembersReply { members });
            }
            asked = open.iter().map(|(place, _)| *place).collect();
            let query =
                |conversation| PrecedentsQuery { conversation, events: true, targets: Vec::new() };
            Step::Ask(open.into_iter().map(|(_, conversation)| query(conversation)).collect())
        },
        |queries| view.store.precedents(view.stream, queries),
    );
    members.await
}

/// Whether somebody is a member after all that was read; not known where the store's `events` are
/// needed and not there.
fn is_member(
    tail: &Tail,
    place: LogSubject,
    user: UserId,
    events: Option<&[MembershipEvent]>,
) -> Option<bool> {
    if tail.thread(place).is_some_and(super::thread::Thread::is_pending) {
        return None;
    }
    if let Some(now) = tail.membership_now(place) {
        return Some(now.contains(user));
    }
    Some(membership_at(tail, place, tail.read(), events)?.contains(user))
}
