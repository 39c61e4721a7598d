//! `DELETE /v1/conversations/{conversation}/messages/{message}`.

use std::sync::Arc;

use axum::extract::State;
use bus_schema::entry::{Body, MessageDelete};
use bus_schema::error::{Code, Failure};
use bus_schema::ids::UserId;
use bus_schema::ops::channels::ListedKind;

use crate::http::extract::{Caller, InPath};
use crate::http::refusal::{Answer, Done};
use crate::http::route::{self, Route};
use crate::send;
use crate::state::Edge;

pub(super) fn route() -> Route {
    route::delete(super::ONE, "Deletes a message; its author or the channel's creator", delete)
        .refuses(&[Code::NotFound, Code::Forbidden])
}

async fn delete(
    State(edge): State<Arc<Edge>>,
    caller: Caller,
    InPath((conversation, id)): InPath<super::Ids>,
) -> Answer<Done> {
    let listed = edge.access(caller.user, conversation, caller.request_id()).await?;
    let message = super::find(&edge, &caller, listed.place, id).await?;
    if !may_delete(caller.user, message.author_id, &listed.what) {
        let why = "only its author and the channel's creator may delete a message";
        return Err(Failure::new(Code::Forbidden, why).into());
    }
    let deletion = Body::MessageDelete(MessageDelete {
        conversation_id: conversation,
        message_id: id,
        author_id: caller.user,
    });
    send::append(&edge, caller.user, listed.place, deletion, None).await?;
    Ok(Done)
}

fn may_delete(user: UserId, author: UserId, conversation: &ListedKind) -> bool {
    let creates = matches!(conversation, ListedKind::Channel { owner_id, .. } if *owner_id == user);
    user == author || creates
}

#[cfg(test)]
mod tests {
    use bus_schema::ids::EntryId;
    use bus_schema::text::ChannelName;

    use super::*;

    #[test]
    fn authors_and_creators_may() {
        let channel = ListedKind::Channel {
            name: ChannelName::parse("c").unwrap(),
            owner_id: UserId(1),
            revision: 1,
            since: EntryId(0),
        };
        assert!(may_delete(UserId(2), UserId(2), &channel));
        assert!(may_delete(UserId(1), UserId(2), &channel));
        assert!(!may_delete(UserId(3), UserId(2), &channel));
        let dm = ListedKind::Dm { opened: true };
        assert!(may_delete(UserId(2), UserId(2), &dm));
        assert!(!may_delete(UserId(1), UserId(2), &dm));
    }
}
