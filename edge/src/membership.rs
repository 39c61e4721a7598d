//! Whether somebody may: first from what this edge knows of its connected users, else by asking.
//!
//! Invariant: a "no" is never answered from this edge's knowledge alone, for it may not have heard
//! yet; a "yes" may be, because the log's order has the last word on what it lets in. For reads it
//! is only while the channels role does not answer: the list here follows the log, so it lags what
//! was committed by as long as an entry is on its way.

use bus_schema::error::{Code, Failure};
use bus_schema::ids::{ConversationId, UserId};
use bus_schema::ops::Empty;
use bus_schema::ops::channels::{Access, ChannelRequest, ListConversations, Listed, Listing};
use bus_schema::runtime::call::Call;
use bus_schema::subjects::LogSubject;

use crate::state::Edge;

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
        asked.or_else(|failure| otherwise(failure, || self.listed(user, id)))
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
    /// this edge has kept their list up since it was read.
    pub(crate) async fn listing(&self, user: UserId, request_id: &str) -> Result<Listing, Failure> {
        let call = Call::asserted(user).request_id(request_id);
        let asked = self.bus.call::<ListConversations>(&call, &Empty {}).await;
        asked.or_else(|failure| otherwise(failure, || self.hub.find_user(user)?.listing()))
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
