//! `GET /v1/conversations/{conversation}/entries`.
//!
//! Invariant: an entry is shown as it was stored, by putting its id and time in front. It is not
//! decoded, for the content of a deleted message is empty, which no message could be.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use bus_schema::entry::EntryKind;
use bus_schema::error::{Code, Failure};
use bus_schema::events::User;
use bus_schema::ids::{ConversationId, EntryId, StreamIndex, UserId};
use bus_schema::ops::history::{Range, RangeReply, RangeRequest, StoredEntry, page_limit};
use bus_schema::subjects::LogSubject;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::extract::{Caller, InPath, InQuery};
use super::refusal::{Answer, Shown};
use super::route::{Route, get};
use crate::conversations::people;
use crate::docs::entries::EntryData;
use crate::state::Edge;

pub(super) fn routes() -> Vec<Route> {
    vec![
        get(
            "/v1/conversations/{conversation}/entries",
            "Pages entries of every kind, ascending, from the first by default",
            list,
        )
        .query::<Page>()
        .shows::<EntryPage>()
        .refuses(&[Code::BadRequest, Code::NotFound]),
    ]
}

/// Which entries.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Page {
    /// Those after this one.
    after: Option<EntryId>,
    /// How many, 1 to 100; 50 by default.
    limit: Option<u32>,
}

/// An entry as the event that showed it live.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct EntryEvent {
    /// Its kind.
    t: EntryKind,
    /// Its data.
    #[schemars(with = "EntryData")]
    d: Box<RawValue>,
}

/// A page of entries.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct EntryPage {
    /// Ascending by id.
    entries: Vec<EntryEvent>,
    /// Their authors, each once.
    users: Vec<User>,
    /// Whether there are more after `next`.
    has_more: bool,
    /// The id of the last one given, null on an empty page.
    next: Option<EntryId>,
}

async fn list(
    State(edge): State<Arc<Edge>>,
    caller: Caller,
    InPath(conversation): InPath<ConversationId>,
    InQuery(page): InQuery<Page>,
) -> Answer<Shown<EntryPage>> {
    let limit = page_limit(page.limit)?;
    let listed = edge.access(caller.user, conversation, caller.request_id()).await?;
    let stream = edge.layout.stream_of(listed.place);
    let after = page.after.unwrap_or(EntryId::ZERO).last_sequence(stream);
    let reply = fetch(&edge, &caller, listed.place, after, limit).await?;
    let authors = reply.entries.iter().map(author).collect::<Result<BTreeSet<_>, _>>()?;
    let (users, ()) = tokio::try_join!(
        people::of(&edge, authors, caller.request_id()),
        edge.still(caller.user, conversation, listed.place, caller.request_id()),
    )?;
    let next = reply.entries.last().map(|entry| EntryId::new(entry.seq, stream));
    let entries = reply.entries.iter().map(|entry| event(entry, stream));
    let entries = entries.collect::<Result<_, _>>()?;
    Ok(Shown(EntryPage { entries, users, has_more: reply.more && next.is_some(), next }))
}

/// How often an answer may be nothing but void entries before the page is given up.
const EMPTY_RANGES: usize = 8;

async fn fetch(
    edge: &Edge,
    caller: &Caller,
    place: LogSubject,
    mut after: u64,
    limit: u32,
) -> Result<RangeReply, Failure> {
    let call = caller.as_platform().stream(edge.layout.stream_of(place));
    for _ in 0..EMPTY_RANGES {
        let fresh = edge.fresh(place, true);
        let request = RangeRequest { place, after: Some(after), fresh, limit, membership: false };
        let reply = edge.bus.call::<Range>(&call, &request).await?;
        if !reply.entries.is_empty() || !reply.more {
            return Ok(reply);
        }
        after = reply.through;
    }
    Err(Failure::unavailable())
}

fn author(entry: &StoredEntry) -> Result<UserId, Failure> {
    #[derive(Deserialize)]
    struct Authored {
        author_id: UserId,
    }
    serde_json::from_str::<Authored>(entry.d.get()).map(|a| a.author_id).map_err(unreadable)
}

fn event(entry: &StoredEntry, stream: StreamIndex) -> Result<EntryEvent, Failure> {
    Ok(EntryEvent { t: entry.t, d: entry.event(stream).map_err(unreadable)? })
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn unreadable(error: serde_json::Error) -> Failure {
    tracing::error!(%error, "an entry from history cannot be shown");
    Failure::unavailable()
}

#[cfg(test)]
mod tests {
    use bus_schema::timestamp::Timestamp;

    use super::*;

    fn stored(payload: &str) -> StoredEntry {
        StoredEntry {
            seq: 3,
            at: Timestamp::from_millis(1_420_070_400_007),
            t: EntryKind::MessageCreate,
            d: RawValue::from_string(payload.to_owned()).unwrap(),
        }
    }

    #[test]
    fn a_deleted_message_is_shown_with_empty_content() {
        let entry = stored(r#"{"conversation_id":"7","author_id":"9","content":""}"#);
        assert_eq!(author(&entry), Ok(UserId(9)));
        assert_eq!(
            serde_json::to_string(&event(&entry, StreamIndex(2)).unwrap()).unwrap(),
            r#"{"t":"MESSAGE_CREATE","d":{"id":"3074","at":"2015-01-01T00:00:00.007Z","conversation_id":"7","author_id":"9","content":""}}"#
        );
    }

    #[test]
    fn what_is_no_entry_is_an_error_not_a_panic() {
        for odd in ["1", "null", "[]", "{}", "\"é\""] {
            assert!(author(&stored(odd)).is_err(), "{odd}");
            assert!(event(&stored(odd), StreamIndex(0)).is_err(), "{odd}");
        }
    }
}
