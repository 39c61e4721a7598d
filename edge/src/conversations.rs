//! A user's conversations as they see them: for READY and `GET /v1/conversations`.
//!
//! Invariant: no message is shown above its conversation's `last_id`, where live entries start. A
//! stream whose history does not answer fails the whole: a list with conversations missing would
//! look like having been removed from them.

pub(crate) mod people;
mod recent;

use std::collections::BTreeMap;

use bus_schema::error::Failure;
use bus_schema::events::{Conversation, ConversationKind, User};
use bus_schema::ids::{ConversationId, StreamIndex, UserId};
use bus_schema::limits::READY_MESSAGES;
use bus_schema::ops::channels::{Listed, ListedKind, Listing};
use bus_schema::ops::history::{
    Freshness, SUMMARIES_MAX, Summaries, SummariesReply, SummariesRequest, Summary, SummaryOf,
};
use bus_schema::runtime::call::Call;
use bus_schema::subjects::LogSubject;
use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::state::Edge;

/// Requests for one view that are under way at once.
const CONCURRENCY: usize = 8;

/// Who asks, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asking<'a> {
    /// Whose conversations.
    pub(crate) user: UserId,
    /// The request that this is a part of.
    pub(crate) request_id: &'a str,
}

/// A user's conversations.
#[derive(Debug, Clone)]
pub(crate) struct View {
    /// In the order of the listing; DMs neither opened nor written in are left out.
    pub(crate) conversations: Vec<Conversation>,
    /// Creators, partners and authors, each once.
    pub(crate) users: Vec<User>,
    /// For each stream that has a conversation of the user: every entry up to this sequence is
    /// taken into account. A conversation's `last_id` may be above it where a user has more
    /// conversations in a stream than one request takes.
    pub(crate) through: Vec<(StreamIndex, u64)>,
}

/// A conversation on its way into the view.
#[derive(Debug, Clone)]
struct Shown {
    wanted: Wanted,
    summary: Summary,
    /// Whether its messages are shown.
    with_messages: bool,
}

/// Builds the view. The newest messages come with the most recent of those conversations for which
/// `with_messages` says so.
pub(crate) async fn view(
    edge: &Edge,
    user: UserId,
    listing: &Listing,
    with_messages: impl Fn(ConversationId) -> bool,
) -> Result<View, Failure> {
    view_for(edge, Asking { user, request_id: "" }, listing, with_messages).await
}

/// [`view`] as a part of a request.
pub(crate) async fn view_for(
    edge: &Edge,
    asking: Asking<'_>,
    listing: &Listing,
    with_messages: impl Fn(ConversationId) -> bool,
) -> Result<View, Failure> {
    view_in_stages(edge, asking, listing, with_messages, |_| {}).await
}

/// [`view_for`], saying when each stage of it is `done`.
pub(crate) async fn view_in_stages(
    edge: &Edge,
    asking: Asking<'_>,
    listing: &Listing,
    with_messages: impl Fn(ConversationId) -> bool,
    mut done: impl FnMut(&'static str),
) -> Result<View, Failure> {
    let places = listing.conversations.iter().filter_map(|listed| wanted(edge, listed));
    let (answers, through) = summaries(edge, asking, places.collect(), None).await?;
    done("summaries");
    let mut shown = Vec::with_capacity(answers.len());
    let mut listed = Vec::with_capacity(answers.len());
    let mut answers = answers.into_iter();
    for conversation in &listing.conversations {
        let Some(wanted) = wanted(edge, conversation) else { continue };
        let summary = answers.next().ok_or_else(Failure::unavailable)?;
        let unopened = matches!(conversation.what, ListedKind::Dm { opened: false });
        if !unopened || summary.last_id.is_some() {
            shown.push(Shown { wanted, summary, with_messages: false });
            listed.push(conversation);
        }
    }
    recent::fill(edge, asking, &mut shown, &through, with_messages).await?;
    done("messages");
    let pairs = listed.into_iter().zip(shown);
    let conversations = pairs.filter_map(|(listed, shown)| present(asking.user, listed, shown));
    let conversations: Vec<_> = conversations.collect();
    let users = people::of(edge, mentioned(&conversations), asking.request_id).await?;
    done("profiles");
    Ok(View { conversations, users, through: through.into_iter().collect() })
}

/// One conversation to ask for.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    id: ConversationId,
    stream: StreamIndex,
    of: SummaryOf,
}

/// `None` for a place that is no conversation, which the channels role does not list.
fn wanted(edge: &Edge, listed: &Listed) -> Option<Wanted> {
    let place = listed.place;
    let since = listed.since();
    let id = place.conversation()?;
    let of = SummaryOf { place, since, messages: 0 };
    Some(Wanted { id, stream: edge.layout.stream_of(place), of })
}

/// Up to where each stream was read.
type Through = BTreeMap<StreamIndex, u64>;

/// Asks for summaries, streams side by side; the answers are in the order of `wanted`. Workers read
/// to the end of their stream, for whoever asks may have changed something through another edge a
/// moment ago; or as far as `at_least` says, where it is given.
async fn summaries(
    edge: &Edge,
    asking: Asking<'_>,
    wanted: Vec<Wanted>,
    at_least: Option<&Through>,
) -> Result<(Vec<Summary>, Through), Failure> {
    let asked = batches(wanted).into_iter().map(async |(stream, batch)| {
        let Some((_, first)) = batch.first() else { return Err(Failure::unavailable()) };
        let fresh = at_least.and_then(|at_least| at_least.get(&stream)).map_or_else(
            || edge.fresh(first.of.place, true),
            |min| Freshness { min: *min, latest: false },
        );
        let places = batch.iter().map(|(_, wanted)| wanted.of).collect();
        let request = SummariesRequest { user: asking.user, places, fresh };
        let call = Call::platform().stream(stream).request_id(asking.request_id);
        let reply: SummariesReply = edge.bus.call::<Summaries>(&call, &request).await?;
        if reply.summaries.len() != batch.len() {
            tracing::error!(%stream, "history answered another number of summaries than asked");
            return Err(Failure::unavailable());
        }
        let positions = batch.into_iter().map(|(position, _)| position);
        Ok((stream, reply.through, positions.zip(reply.summaries).collect::<Vec<_>>()))
    });
    let answers = stream::iter(asked).buffer_unordered(CONCURRENCY);
    let answers: Vec<_> = answers.try_collect().await?;
    let mut through = Through::new();
    let mut ordered = BTreeMap::new();
    for (stream, reached, summaries) in answers {
        let least = through.entry(stream).or_insert(reached);
        *least = reached.min(*least);
        ordered.extend(summaries);
    }
    Ok((ordered.into_values().collect(), through))
}

/// Conversations of one request that asks for many messages, so that the answer fits into a NATS
/// message.
const WITH_MESSAGES_PER_REQUEST: usize = 1;

/// One request's part: the stream, and each conversation with its position in the whole.
type Batch = (StreamIndex, Vec<(usize, Wanted)>);

fn batches(wanted: Vec<Wanted>) -> Vec<Batch> {
    let mut streams: BTreeMap<(StreamIndex, bool), Vec<(usize, Wanted)>> = BTreeMap::new();
    for (position, wanted) in wanted.into_iter().enumerate() {
        let key = (wanted.stream, wanted.of.messages == READY_MESSAGES);
        streams.entry(key).or_default().push((position, wanted));
    }
    let mut batches = Vec::new();
    for ((stream, with_messages), wanted) in streams {
        let size = if with_messages { WITH_MESSAGES_PER_REQUEST } else { SUMMARIES_MAX };
        batches.extend(wanted.chunks(size).map(|batch| (stream, batch.to_vec())));
    }
    batches
}

/// `None` for a DM of other people, which the channels role does not list.
fn present(user: UserId, listed: &Listed, shown: Shown) -> Option<Conversation> {
    let Summary { last_id, read_id, unread, messages } = shown.summary;
    let (kind, name, owner_id, user_id) = match (&listed.what, listed.place) {
        (ListedKind::Channel { name, owner_id, .. }, _) => {
            (ConversationKind::Channel, Some(name.clone()), Some(*owner_id), None)
        }
        (ListedKind::Dm { .. }, LogSubject::Dm(dm)) => {
            (ConversationKind::Dm, None, None, Some(dm.partner_of(user)?))
        }
        (ListedKind::Dm { .. }, _) => return None,
    };
    let messages = shown.with_messages.then_some(messages);
    let id = shown.wanted.id;
    Some(Conversation { id, kind, name, owner_id, user_id, last_id, read_id, unread, messages })
}

/// Everybody a list of conversations mentions.
fn mentioned(conversations: &[Conversation]) -> impl Iterator<Item = UserId> {
    conversations.iter().flat_map(|conversation| {
        let authors = conversation.messages.iter().flatten().map(|message| message.author_id);
        conversation.owner_id.into_iter().chain(conversation.user_id).chain(authors)
    })
}

#[cfg(test)]
mod tests;
