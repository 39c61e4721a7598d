//! Whether somebody may: first from what this edge knows of its connected users, else by asking.
//!
//! Invariant: a "no" is never answered from this edge's knowledge alone, for it may not have heard
//! yet; a "yes" may be for sending, because the log's order has the last word on what it lets in.
//! What is read, or listed, is asked of the channels role. Only while that does not answer is it from
//! what this edge knows, and then what the log says at its end comes first: nobody tells an edge of a
//! removal from a channel that it does not follow.

use std::collections::{BTreeMap, HashSet};

use bus_schema::error::{Code, Failure};
use bus_schema::ids::{ConversationId, StreamIndex, UserId};
use bus_schema::ops::Empty;
use bus_schema::ops::channels::{Access, ChannelRequest, ListConversations, Listed, Listing};
use bus_schema::ops::history::{Freshness, MEMBERS_MAX, Members, MembersRequest};
use bus_schema::runtime::call::Call;
use bus_schema::subjects::LogSubject;
use futures::{StreamExt as _, TryStreamExt as _, stream};

use crate::state::Edge;

/// Requests about one list that are under way at once.
const CONCURRENCY: usize = 8;

impl Edge {
    /// A conversation of this user, asked of the channels role: for requests that read. Of those
    /// who are connected here also while it does not answer.
    pub(crate) async fn access(
        &self,
        user: UserId,
        id: ConversationId,
        request_id: &str,
    ) -> Result<Listed, Failure> {
        let call = Call::asserted(user).request_id(request_id);
        let asked = self.bus.call::<Access>(&call, &ChannelRequest { id }).await;
        let failure = match asked {
            Ok(listed) => return Ok(listed),
            Err(failure) => failure,
        };
        let kept = otherwise(failure, || self.listed(user, id))?;
        let left = self.still_in(user, vec![kept], request_id).await?;
        left.into_iter().next().ok_or_else(Failure::not_found)
    }

    /// Whether what was read after [`Self::access`] may be shown: it may hold what was written after the
    /// user's removal, if that came between. A removal is committed before it is in the log, and whoever
    /// is a member now was one when everything that was read was written.
    pub(crate) async fn still(
        &self,
        user: UserId,
        id: ConversationId,
        place: LogSubject,
        request_id: &str,
    ) -> Result<(), Failure> {
        if matches!(place, LogSubject::Channel(_)) {
            self.access(user, id, request_id).await?;
        }
        Ok(())
    }

    /// All conversations of this user, asked of the channels role. Also while it does not answer, if
    /// this edge has kept their list.
    pub(crate) async fn listing(&self, user: UserId, request_id: &str) -> Result<Listing, Failure> {
        let call = Call::asserted(user).request_id(request_id);
        let asked = self.bus.call::<ListConversations>(&call, &Empty {}).await;
        let failure = match asked {
            Ok(listing) => return Ok(listing),
            Err(failure) => failure,
        };
        let kept = otherwise(failure, || self.hub.find_user(user)?.listing())?;
        let conversations = self.still_in(user, kept.conversations, request_id).await?;
        Ok(Listing { conversations })
    }

    /// What is left of a list that was kept here once everything in the log now is considered. What
    /// nobody can say, because history's store is away as well, is left in it.
    async fn still_in(
        &self,
        user: UserId,
        mut kept: Vec<Listed>,
        request_id: &str,
    ) -> Result<Vec<Listed>, Failure> {
        let mut channels: BTreeMap<StreamIndex, Vec<LogSubject>> = BTreeMap::new();
        for listed in &kept {
            // The two people of a DM are fixed.
            if matches!(listed.place, LogSubject::Channel(_)) {
                channels.entry(self.layout.stream_of(listed.place)).or_default().push(listed.place);
            }
        }
        let mut batches = Vec::new();
        for (stream, places) in channels {
            batches.extend(places.chunks(MEMBERS_MAX).map(|places| (stream, places.to_vec())));
        }
        let asked = batches.into_iter().map(async |(stream, places)| {
            let fresh = Freshness { min: self.heard.of(stream), latest: true };
            let call = Call::platform().stream(stream).request_id(request_id);
            let request = MembersRequest { user, places, fresh };
            let reply = self.bus.call::<Members>(&call, &request).await?;
            let answers = request.places.into_iter().zip(reply.members);
            let gone = answers.filter(|(_, member)| *member == Some(false));
            Ok::<_, Failure>(gone.map(|(place, _)| place).collect::<Vec<_>>())
        });
        let asked = stream::iter(asked).buffer_unordered(CONCURRENCY);
        let gone: Vec<Vec<LogSubject>> = asked.try_collect().await?;
        let gone: HashSet<LogSubject> = gone.into_iter().flatten().collect();
        kept.retain(|listed| !gone.contains(&listed.place));
        Ok(kept)
    }

    /// A conversation of this user, from this edge's list where it is there: for sending.
    pub(crate) async fn may_send(
        &self,
        user: UserId,
        id: ConversationId,
        request_id: &str,
    ) -> Result<Listed, Failure> {
        match self.listed(user, id) {
            Some(listed) => Ok(listed),
            None => self.access(user, id, request_id).await,
        }
    }

    fn listed(&self, user: UserId, id: ConversationId) -> Option<Listed> {
        self.hub.find_user(user)?.listed(id)
    }
}

/// What this edge knows, if the channels role does not answer.
fn otherwise<T>(failure: Failure, known: impl FnOnce() -> Option<T>) -> Result<T, Failure> {
    match failure.code {
        Code::Unavailable | Code::Timeout => known().ok_or(failure),
        _ => Err(failure),
    }
}
