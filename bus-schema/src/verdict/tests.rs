//! The rules, one by one, and that replaying the kept events gives the same membership.

use proptest::prelude::*;

use super::*;
use crate::entry::{
    ChannelDelete, ChannelUpdate, MemberChange, MessageCreate, MessageDelete, MessageUpdate,
};
use crate::ids::{ConversationId, StreamIndex};
use crate::subjects::DmSubject;
use crate::text::{ChannelName, Content};
use crate::timestamp::Timestamp;

const C: ConversationId = ConversationId(7);
const OWNER: UserId = UserId(1);
const ANN: UserId = UserId(2);
const BOB: UserId = UserId(3);

fn add(user_id: UserId, author_id: UserId, revision: u64) -> Body {
    Body::MemberAdd(MemberChange { conversation_id: C, user_id, author_id, revision })
}
fn remove(user_id: UserId, author_id: UserId, revision: u64) -> Body {
    Body::MemberRemove(MemberChange { conversation_id: C, user_id, author_id, revision })
}
fn message(author_id: UserId) -> Body {
    let content = Content::parse("x").unwrap();
    Body::MessageCreate(MessageCreate {
        conversation_id: C,
        author_id,
        content,
        edited_at: None,
        nonce: None,
    })
}
fn edit(author_id: UserId) -> Body {
    let content = Content::parse("y").unwrap();
    Body::MessageUpdate(MessageUpdate {
        conversation_id: C,
        message_id: EntryId(1),
        content,
        author_id,
    })
}
fn delete(author_id: UserId) -> Body {
    Body::MessageDelete(MessageDelete { conversation_id: C, message_id: EntryId(1), author_id })
}
fn rename(author_id: UserId, revision: u64) -> Body {
    let name = ChannelName::parse("n").unwrap();
    Body::ChannelUpdate(ChannelUpdate { conversation_id: C, name, author_id, revision })
}
fn end(author_id: UserId, revision: u64) -> Body {
    Body::ChannelDelete(ChannelDelete { conversation_id: C, author_id, revision })
}

fn entry(sequence: u64, body: Body) -> Entry {
    let payload = body.encode();
    Entry {
        id: EntryId::new(sequence, StreamIndex(0)),
        at: Timestamp::from_millis(0),
        body,
        payload,
    }
}

fn channel(bodies: impl IntoIterator<Item = Body>) -> Membership {
    let mut state = Membership::at_start(LogSubject::Channel(C));
    for (n, body) in (1..).zip(bodies) {
        assert_eq!(state.judge(&body, Target::Unknown), Verdict::Valid, "{body:?}");
        state.apply(&entry(n, body));
    }
    state
}

fn valid(state: &Membership, body: &Body) -> bool {
    state.judge(body, Target::Unknown) == Verdict::Valid
}

#[test]
fn nothing_comes_before_the_creator() {
    let state = channel([]);
    assert!(!valid(&state, &message(OWNER)));
    assert!(!valid(&state, &add(ANN, OWNER, 1)));
    assert!(valid(&state, &add(OWNER, OWNER, 1)));
}

#[test]
fn only_the_creator_adds_and_only_a_member_leaves() {
    let state = channel([add(OWNER, OWNER, 1), add(ANN, OWNER, 2)]);
    assert!(!valid(&state, &add(BOB, ANN, 3)));
    assert!(valid(&state, &add(BOB, OWNER, 3)));
    assert!(!valid(&state, &add(ANN, OWNER, 3)), "already a member");
    assert!(valid(&state, &remove(ANN, ANN, 3)));
    assert!(valid(&state, &remove(ANN, OWNER, 3)));
    assert!(!valid(&state, &remove(OWNER, ANN, 3)));
    assert!(!valid(&state, &remove(OWNER, OWNER, 3)), "the creator stays");
    assert!(!valid(&state, &remove(BOB, OWNER, 3)), "not a member");
}

#[test]
fn messages_of_those_removed_are_void_until_they_are_back() {
    let mut state = channel([add(OWNER, OWNER, 1), add(ANN, OWNER, 2), remove(ANN, OWNER, 3)]);
    assert!(!valid(&state, &message(ANN)));
    state.apply(&entry(9, add(ANN, OWNER, 4)));
    assert!(valid(&state, &message(ANN)));
}

#[test]
fn a_revision_that_is_not_above_the_last_is_void() {
    let state = channel([add(OWNER, OWNER, 1), add(ANN, OWNER, 5)]);
    assert!(!valid(&state, &remove(ANN, OWNER, 5)));
    assert!(!valid(&state, &rename(OWNER, 4)));
    assert!(valid(&state, &rename(OWNER, 6)));
}

#[test]
fn a_deleted_channel_takes_nothing() {
    let state = channel([add(OWNER, OWNER, 1), end(OWNER, 2)]);
    assert!(!valid(&state, &message(OWNER)));
    assert!(!valid(&state, &add(ANN, OWNER, 3)));
    assert!(!state.contains(OWNER));
}

#[test]
fn edits_are_the_authors_and_deletions_also_the_creators() {
    let state = channel([add(OWNER, OWNER, 1), add(ANN, OWNER, 2), add(BOB, OWNER, 3)]);
    let anns = Target::Found { author: ANN, deleted: false };
    let gone = Target::Found { author: ANN, deleted: true };
    assert_eq!(state.judge(&edit(ANN), Target::Unknown), Verdict::NeedsTarget);
    assert_eq!(state.judge(&edit(ANN), anns), Verdict::Valid);
    assert_eq!(state.judge(&edit(OWNER), anns), Verdict::Void);
    assert_eq!(state.judge(&delete(OWNER), anns), Verdict::Valid);
    assert_eq!(state.judge(&delete(BOB), anns), Verdict::Void);
    assert_eq!(state.judge(&delete(ANN), gone), Verdict::Void);
    assert_eq!(state.judge(&edit(ANN), Target::Missing), Verdict::Void);
}

#[test]
fn a_dm_belongs_to_its_two_people() {
    let dm = DmSubject::new(ANN, BOB, C).unwrap();
    let state = Membership::at_start(LogSubject::Dm(dm));
    assert!(valid(&state, &message(ANN)) && valid(&state, &message(BOB)));
    assert!(!valid(&state, &message(OWNER)));
    assert!(!valid(&state, &add(OWNER, OWNER, 1)));
    let anns = Target::Found { author: ANN, deleted: false };
    assert_eq!(state.judge(&delete(BOB), anns), Verdict::Void);
}

fn any_body() -> impl Strategy<Value = Body> {
    let who = || (1u64..5).prop_map(UserId);
    prop_oneof![
        (who(), who(), 1u64..12).prop_map(|(u, a, r)| add(u, a, r)),
        (who(), who(), 1u64..12).prop_map(|(u, a, r)| remove(u, a, r)),
        (who(), 1u64..12).prop_map(|(a, r)| rename(a, r)),
        who().prop_map(message),
    ]
}

proptest! {
    #[test]
    fn kept_events_give_the_same_membership(bodies in prop::collection::vec(any_body(), 0..40)) {
        let mut state = Membership::at_start(LogSubject::Channel(C));
        let mut kept = Vec::new();
        for (n, body) in (1..).zip(bodies) {
            if state.judge(&body, Target::Unknown) == Verdict::Valid {
                let entry = entry(n, body);
                state.apply(&entry);
                kept.extend(MembershipEvent::of(&entry));
            }
        }
        let mut again = Membership::at_start(LogSubject::Channel(C));
        for event in kept.iter().chain(&kept) {
            again.apply_event(*event);
        }
        prop_assert_eq!(again, state);
    }

    #[test]
    fn the_creator_never_ceases_to_be_a_member(bodies in prop::collection::vec(any_body(), 0..40)) {
        let mut state = Membership::at_start(LogSubject::Channel(C));
        for (n, body) in (1..).zip(bodies) {
            if state.judge(&body, Target::Unknown) == Verdict::Valid {
                state.apply(&entry(n, body));
            }
            prop_assert!(state.owner.is_none_or(|owner| state.contains(owner)));
        }
    }
}
