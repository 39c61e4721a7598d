//! `GET /v1/conversations/{conversation}/messages`.

use std::sync::Arc;

use axum::extract::State;
use bus_schema::error::{Code, Failure};
use bus_schema::events::{Message, User};
use bus_schema::ids::{ConversationId, EntryId};
use bus_schema::ops::history::{Bound, Messages, MessagesRequest, page_limit};
use bus_schema::timestamp::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::conversations::people;
use crate::http::extract::{Caller, InPath, InQuery};
use crate::http::refusal::{Answer, Shown};
use crate::http::route::{Route, get};
use crate::state::Edge;

pub(super) fn route() -> Route {
    get(super::ALL, "Pages messages in their final state, ascending; the newest by default", list)
        .query::<Page>()
        .shows::<MessagePage>()
        .refuses(&[Code::BadRequest, Code::NotFound])
}

/// Which messages: at most one bound.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(crate) struct Page {
    /// The newest before this one.
    before: Option<EntryId>,
    /// The oldest after this one.
    after: Option<EntryId>,
    /// This one and what is on both sides of it.
    around: Option<EntryId>,
    /// What is on both sides of the first at or after this time.
    at: Option<Timestamp>,
    /// How many, 1 to 100; 50 by default.
    limit: Option<u32>,
}

impl Page {
    fn bound(&self) -> Result<Bound, Failure> {
        Bound::one_of(self.before, self.after, self.around, self.at)
    }
}

/// A page of messages.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct MessagePage {
    /// Ascending by id, deleted ones left out.
    messages: Vec<Message>,
    /// Their authors, each once.
    users: Vec<User>,
    /// Whether there are more in the direction of `next`.
    has_more: bool,
    /// What to give as `before` (as `after`, if `after` was given) for the next page.
    next: Option<EntryId>,
}

async fn list(
    State(edge): State<Arc<Edge>>,
    caller: Caller,
    InPath(conversation): InPath<ConversationId>,
    InQuery(page): InQuery<Page>,
) -> Answer<Shown<MessagePage>> {
    let (bound, limit) = (page.bound()?, page_limit(page.limit)?);
    let listed = edge.access(caller.user, conversation, caller.request_id()).await?;
    let place = listed.place;
    let call = caller.as_platform().stream(edge.layout.stream_of(place));
    let request = MessagesRequest { place, bound, limit, fresh: edge.fresh(place, true) };
    let found = edge.bus.call::<Messages>(&call, &request).await?;
    let authors = found.messages.iter().map(|message| message.author_id);
    let (users, ()) = tokio::try_join!(
        people::of(&edge, authors, caller.request_id()),
        edge.still(caller.user, conversation, place, caller.request_id()),
    )?;
    Ok(Shown(MessagePage {
        messages: found.messages,
        users,
        has_more: found.has_more,
        next: found.next,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_hold() {
        assert_eq!(page_limit(None), Ok(50));
        assert_eq!((page_limit(Some(1)), page_limit(Some(100))), (Ok(1), Ok(100)));
        for bad in [0, 101, u32::MAX] {
            assert_eq!(page_limit(Some(bad)).unwrap_err().code, Code::BadRequest);
        }
    }

    #[test]
    fn at_most_one_bound() {
        assert_eq!(Page::default().bound(), Ok(Bound::Newest));
        let before = Page { before: Some(EntryId(7)), ..Page::default() };
        assert_eq!(before.bound(), Ok(Bound::Before(EntryId(7))));
        let both = Page { after: Some(EntryId(7)), ..before };
        assert_eq!(both.bound().unwrap_err().code, Code::BadRequest);
    }
}
