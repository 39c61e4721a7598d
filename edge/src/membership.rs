//! Whether somebody may: first from what this edge knows of its connected users, else by asking.
//!
//! Invariant: a "no" is never answered from this edge's knowledge alone, for it may not have heard
//! yet; a "yes" may be, because the log's order has the last word on what it lets in.

use bus_schema::error::Failure;
use bus_schema::ids::{ConversationId, UserId};
use bus_schema::ops::channels::{Access, ChannelRequest, Listed};
use bus_schema::runtime::call::Call;

use crate::state::Edge;

impl Edge {
    /// A conversation of this user, asked of the channels role: for requests that read.
    pub(crate) async fn access(
        &self,
        user: UserId,
        id: ConversationId,
        request_id: &str,
    ) -> Result<Listed, Failure> {
        let call = Call::asserted(user).request_id(request_id);
        self.bus.call::<Access>(&call, &ChannelRequest { id }).await
    }

    /// A conversation of this user, from this edge's list where it is there: for sending.
    pub(crate) async fn may_send(
        &self,
        user: UserId,
        id: ConversationId,
        request_id: &str,
    ) -> Result<Listed, Failure> {
        match self.hub.find_user(user).and_then(|handle| handle.listed(id)) {
            Some(listed) => Ok(listed),
            None => self.access(user, id, request_id).await,
        }
    }
}
