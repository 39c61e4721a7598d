//! Who may do what to a channel, as its document stands. Pure.
//!
//! Invariant: these rules allow only what `bus_schema::verdict` then finds valid in the log, for an
//! entry that comes right after those of all earlier revisions. What somebody may not see is
//! `not_found`, whatever they try.

use bus_schema::error::{Code, Failure};
use bus_schema::ids::{EntryId, UserId};
use bus_schema::limits::{CHANNELS_PER_USER, MEMBERS_PER_CHANNEL};
use bus_schema::text::ChannelName;

use crate::store::channels::{Change, ChannelRecord, Look};

/// [`CHANNELS_PER_USER`] as stores count.
pub(super) const MOST_CHANNELS: u64 = CHANNELS_PER_USER as u64;
/// [`MEMBERS_PER_CHANNEL`] as stores count.
const MOST_MEMBERS: u64 = MEMBERS_PER_CHANNEL as u64;

/// What a request comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    /// Commit this.
    Commit(Change),
    /// It is so already: answer once the log has this revision.
    Already(u64),
}

fn conflict(message: &'static str) -> Failure {
    Failure::new(Code::Conflict, message)
}

/// Too many channels for the one who asks, or for the one to add.
pub(super) fn too_many_channels(own: bool) -> Failure {
    conflict(if own {
        "you are in 1,000 channels, which is the most"
    } else {
        "this user is in 1,000 channels, which is the most"
    })
}

/// The caller's MEMBER_ADD, if they are a member of what still exists.
pub(super) fn visible(look: &Look, caller: UserId) -> Result<EntryId, Failure> {
    let since = look.member(caller).and_then(|member| member.since);
    since.filter(|_| look.channel.deleted_by.is_none()).ok_or_else(Failure::not_found)
}

/// As [`visible`], for what only the creator may do.
pub(super) fn owned(look: &Look, caller: UserId) -> Result<(), Failure> {
    visible(look, caller)?;
    if look.channel.owner == caller {
        Ok(())
    } else {
        Err(Failure::new(Code::NotOwner, "only the channel's creator may do this"))
    }
}

/// Adding somebody.
pub(super) fn add(look: &Look, caller: UserId, user: UserId) -> Result<Decision, Failure> {
    owned(look, caller)?;
    if let Some(member) = look.member(user) {
        return Ok(Decision::Already(member.revision));
    }
    if look.channel.members >= MOST_MEMBERS {
        return Err(conflict("the channel has 10,000 members, which is the most"));
    }
    Ok(Decision::Commit(Change::AddMember { user, most_channels: MOST_CHANNELS }))
}

/// Removing somebody, or leaving.
pub(super) fn remove(look: &Look, caller: UserId, user: UserId) -> Result<Decision, Failure> {
    visible(look, caller)?;
    if user != caller {
        owned(look, caller)?;
    } else if look.channel.owner == caller {
        return Err(conflict("the creator cannot leave a channel, only delete it"));
    }
    if look.member(user).is_none() {
        return Err(Failure::new(Code::NotAMember, "not a member of this channel"));
    }
    Ok(Decision::Commit(Change::RemoveMember { user }))
}

/// Renaming.
pub(super) fn rename(look: &Look, caller: UserId, name: ChannelName) -> Result<Decision, Failure> {
    owned(look, caller)?;
    if look.channel.name == name {
        return Ok(Decision::Already(look.channel.revision));
    }
    Ok(Decision::Commit(Change::Rename { name }))
}

/// Deleting. The same request repeated, or another while the log lacks the deletion, is answered
/// as the first.
pub(super) fn delete(look: &Look, caller: UserId, request: &str) -> Result<Decision, Failure> {
    let ChannelRecord { owner, revision, published, ref deleted_by, .. } = look.channel;
    if let Some(by) = deleted_by
        && owner == caller
        && (published < revision || (!request.is_empty() && by == request))
    {
        return Ok(Decision::Already(revision));
    }
    owned(look, caller)?;
    Ok(Decision::Commit(Change::Delete { request: request.to_owned() }))
}

#[cfg(test)]
mod tests {
    use bus_schema::ids::ConversationId;

    use super::*;
    use crate::store::channels::Member;

    const OWNER: UserId = UserId(1);
    const ANN: UserId = UserId(2);
    const NEW: UserId = UserId(3);
    const OTHER: UserId = UserId(4);

    /// A channel with its creator, a member and one whose MEMBER_ADD the log does not have.
    fn channel() -> Look {
        let member = |user, revision, since| Member { user, revision, since };
        Look {
            channel: ChannelRecord {
                id: ConversationId(9),
                name: ChannelName::parse("tea").unwrap(),
                owner: OWNER,
                revision: 3,
                published: 2,
                members: 3,
                waiting: 1,
                deleted_by: None,
            },
            members: vec![
                member(OWNER, 1, Some(EntryId(1))),
                member(ANN, 2, Some(EntryId(2))),
                member(NEW, 3, None),
            ],
        }
    }

    fn code(decision: Result<Decision, Failure>) -> Code {
        decision.unwrap_err().code
    }

    #[test]
    fn strangers_and_those_to_come_see_nothing() {
        let look = channel();
        let name = ChannelName::parse("x").unwrap();
        for user in [NEW, OTHER] {
            assert_eq!(visible(&look, user).unwrap_err().code, Code::NotFound);
            assert_eq!(code(add(&look, user, OTHER)), Code::NotFound);
            assert_eq!(code(remove(&look, user, user)), Code::NotFound);
            assert_eq!(code(remove(&look, user, ANN)), Code::NotFound);
            assert_eq!(code(rename(&look, user, name.clone())), Code::NotFound);
            assert_eq!(code(delete(&look, user, "r")), Code::NotFound);
        }
    }

    #[test]
    fn members_are_told_that_they_are_not_the_creator() {
        let look = channel();
        let name = ChannelName::parse("x").unwrap();
        assert_eq!(code(add(&look, ANN, OTHER)), Code::NotOwner);
        assert_eq!(code(add(&look, ANN, NEW)), Code::NotOwner);
        assert_eq!(code(remove(&look, ANN, OWNER)), Code::NotOwner);
        assert_eq!(code(remove(&look, ANN, OTHER)), Code::NotOwner);
        assert_eq!(code(rename(&look, ANN, name)), Code::NotOwner);
        assert_eq!(code(delete(&look, ANN, "r")), Code::NotOwner);
    }

    #[test]
    fn leaving_removing_and_staying() {
        let look = channel();
        let removal = |user| Ok(Decision::Commit(Change::RemoveMember { user }));
        assert_eq!(remove(&look, ANN, ANN), removal(ANN));
        assert_eq!(remove(&look, OWNER, ANN), removal(ANN));
        assert_eq!(remove(&look, OWNER, NEW), removal(NEW), "before the log has them");
        assert_eq!(code(remove(&look, OWNER, OTHER)), Code::NotAMember);
        assert_eq!(code(remove(&look, OWNER, OWNER)), Code::Conflict);
    }

    #[test]
    fn what_is_so_already_changes_nothing_and_waits_for_the_log() {
        let look = channel();
        assert_eq!(add(&look, OWNER, ANN), Ok(Decision::Already(2)));
        assert_eq!(add(&look, OWNER, NEW), Ok(Decision::Already(3)));
        let same = look.channel.name.clone();
        assert_eq!(rename(&look, OWNER, same), Ok(Decision::Already(3)));
    }

    #[test]
    fn a_full_channel_takes_nobody() {
        let mut look = channel();
        look.channel.members = MOST_MEMBERS;
        assert_eq!(code(add(&look, OWNER, OTHER)), Code::Conflict);
        assert!(matches!(add(&look, OWNER, ANN), Ok(Decision::Already(_))));
    }

    #[test]
    fn a_deletion_is_answered_again_only_to_the_request_that_did_it() {
        let mut look = channel();
        look.channel.deleted_by = Some("r".to_owned());
        look.members.clear();
        assert_eq!(delete(&look, OWNER, "other"), Ok(Decision::Already(3)), "on its way");
        assert_eq!(code(delete(&look, ANN, "r")), Code::NotFound);
        look.channel.published = 3;
        assert_eq!(delete(&look, OWNER, "r"), Ok(Decision::Already(3)));
        assert_eq!(code(delete(&look, OWNER, "other")), Code::NotFound);
        look.channel.deleted_by = Some(String::new());
        assert_eq!(code(delete(&look, OWNER, "")), Code::NotFound, "no request names itself");
    }

    #[test]
    fn the_limits_in_messages_are_the_limits() {
        assert_eq!((MOST_CHANNELS, MOST_MEMBERS), (1_000, 10_000));
    }
}
