//! `conversations.list` and `messages.list`: as people are shown them.

use std::collections::{BTreeMap, BTreeSet};

use bus_schema::bots::MessagesList;
use bus_schema::error::Failure;
use bus_schema::events::{Conversation, ConversationKind, Message, User};
use bus_schema::ids::{EntryId, StreamIndex, UserId};
use bus_schema::limits::USERS_PER_REQUEST;
use bus_schema::ops::Empty;
use bus_schema::ops::channels::{ListConversations, Listed, ListedKind};
use bus_schema::ops::history::{
    Bound, Freshness, Messages, MessagesRequest, SUMMARIES_MAX, Summaries, SummariesRequest,
    Summary, SummaryOf, page_limit,
};
use bus_schema::ops::profiles::{GetProfiles, GetProfilesRequest};
use bus_schema::runtime::call::Call;
use bus_schema::subjects::LogSubject;
use serde::Serialize;

use super::Ingress;

/// What is asked is read up to the stream's end as it is now.
const LATEST: Freshness = Freshness { min: 0, latest: true };

/// See [`conversations`].
#[derive(Debug, Serialize)]
pub(super) struct Conversations {
    conversations: Vec<Conversation>,
    users: Vec<User>,
}

/// The conversations of a bot, and everybody they mention.
pub(super) async fn conversations(role: &Ingress, bot: UserId) -> Result<Conversations, Failure> {
    let listing = role.bus.call::<ListConversations>(&Call::asserted(bot), &Empty {}).await?;
    let mut streams: BTreeMap<StreamIndex, Vec<Listed>> = BTreeMap::new();
    for listed in listing.conversations {
        streams.entry(role.layout.stream_of(listed.place)).or_default().push(listed);
    }
    let mut conversations = Vec::new();
    for (stream, listed) in streams {
        for batch in listed.chunks(SUMMARIES_MAX) {
            let places = batch.iter().map(summary_of).collect();
            let request = SummariesRequest { user: bot, places, fresh: LATEST };
            let call = Call::platform().stream(stream);
            let reply = role.bus.call::<Summaries>(&call, &request).await?;
            let pairs = batch.iter().zip(reply.summaries);
            conversations.extend(pairs.filter_map(|(listed, found)| shown(bot, listed, &found)));
        }
    }
    let mentioned = |c: &Conversation| c.owner_id.into_iter().chain(c.user_id);
    let users = people(role, conversations.iter().flat_map(mentioned)).await?;
    Ok(Conversations { conversations, users })
}

const fn summary_of(listed: &Listed) -> SummaryOf {
    let since = match listed.what {
        ListedKind::Channel { since, .. } => since,
        ListedKind::Dm { .. } => EntryId::ZERO,
    };
    SummaryOf { place: listed.place, since, messages: 0 }
}

/// A DM shows once something was written in it.
fn shown(bot: UserId, listed: &Listed, found: &Summary) -> Option<Conversation> {
    let id = listed.place.conversation()?;
    let Summary { last_id, read_id, unread, .. } = *found;
    let of = |kind| Conversation {
        id,
        kind,
        name: None,
        owner_id: None,
        user_id: None,
        last_id,
        read_id,
        unread,
        messages: None,
    };
    match (&listed.what, listed.place) {
        (ListedKind::Channel { name, owner_id, .. }, _) => Some(Conversation {
            name: Some(name.clone()),
            owner_id: Some(*owner_id),
            ..of(ConversationKind::Channel)
        }),
        (ListedKind::Dm { opened }, LogSubject::Dm(dm)) if *opened || last_id.is_some() => {
            let user_id = Some(dm.partner_of(bot)?);
            Some(Conversation { user_id, ..of(ConversationKind::Dm) })
        }
        (ListedKind::Dm { .. }, _) => None,
    }
}

/// See [`messages`].
#[derive(Debug, Serialize)]
pub(super) struct Page {
    messages: Vec<Message>,
    users: Vec<User>,
    has_more: bool,
    next: Option<EntryId>,
}

/// A page of messages in their final state.
pub(super) async fn messages(
    role: &Ingress,
    bot: UserId,
    asked: MessagesList,
) -> Result<Page, Failure> {
    let MessagesList { conversation_id, before, after, around, at, limit } = asked;
    let (bound, limit) = (Bound::one_of(before, after, around, at)?, page_limit(limit)?);
    let place = role.access(bot, conversation_id).await?.place;
    let call = Call::platform().stream(role.layout.stream_of(place));
    let request = MessagesRequest { place, bound, limit, fresh: LATEST };
    let found = role.bus.call::<Messages>(&call, &request).await?;
    let users = people(role, found.messages.iter().map(|message| message.author_id)).await?;
    // What was read may be later than a removal that came meanwhile.
    role.access(bot, conversation_id).await?;
    Ok(Page { messages: found.messages, users, has_more: found.has_more, next: found.next })
}

/// Users by id, each once.
pub(super) async fn people(
    role: &Ingress,
    ids: impl Iterator<Item = UserId>,
) -> Result<Vec<User>, Failure> {
    let ids: Vec<UserId> = ids.collect::<BTreeSet<_>>().into_iter().collect();
    let mut users = Vec::with_capacity(ids.len());
    for ids in ids.chunks(USERS_PER_REQUEST) {
        let request = GetProfilesRequest { ids: ids.to_vec() };
        users.extend(role.bus.call::<GetProfiles>(&Call::platform(), &request).await?.users);
    }
    Ok(users)
}
