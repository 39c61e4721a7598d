//! The channels role: channels, DMs, and who is in them.
//!
//! Invariants: a change is committed together with its log entry, and answered when the log has it.
//! The log gets a channel's changes in the order of their revisions, so replaying it through
//! `bus_schema::verdict` gives the channel's document. A removal refuses reads from its commit on; an
//! addition shows from the log's acknowledgement on.
//!
//! Leaves out messages and history (edges and the history role) and profiles, which it asks for over
//! the bus.

mod access;
mod add_member;
mod audience;
mod change;
mod create;
mod delete;
mod get;
mod leave_all;
mod list;
mod open_dm;
mod outbox;
mod publisher;
mod remove_member;
mod rename;
mod rules;
mod sweeper;
#[cfg(test)]
mod tests;
mod turns;

use std::sync::Arc;
use std::time::Duration;

use bus_schema::error::Failure;
use bus_schema::events::{Channel, User};
use bus_schema::ids::{ConversationId, UserId, compose};
use bus_schema::limits::MEMBERS_LISTED;
use bus_schema::ops::Service;
use bus_schema::ops::channels as ops;
use bus_schema::ops::profiles::{ByUsername, ByUsernameRequest};
use bus_schema::runtime::bus::Bus;
use bus_schema::runtime::call::Call;
use bus_schema::runtime::service::{Context, Host, ServeError, ServiceSettings};
use bus_schema::runtime::shutdown::Shutdown;
use bus_schema::text::Username;
use bus_schema::timestamp::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use self::publisher::Publisher;
use self::turns::Turns;
use super::{RoleError, serve, with};
use crate::store::Stores;
use crate::store::channels::{ChannelStore, Look};

/// `[channels]`: the channels role.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChannelsSettings {
    /// How it serves.
    pub service: ServiceSettings,
    /// Milliseconds a request waits for the log before it is answered `unknown_outcome` or
    /// `timeout`. Keep it below the edges' `bus.request_timeout_ms`.
    pub answer_within_ms: u64,
    /// Changes of one channel that may wait for the log; further ones are `unavailable`.
    pub max_waiting_changes: u64,
    /// How often a change is tried when other workers keep changing the same channel.
    pub change_attempts: u32,
    /// Channels whose changes are published at once.
    pub publish_at_once: usize,
    /// Milliseconds between two looks for changes that a crash left unpublished.
    pub sweep_every_ms: u64,
    /// Milliseconds after which an unpublished change counts as left.
    pub sweep_after_ms: u64,
}

impl Default for ChannelsSettings {
    fn default() -> Self {
        Self {
            service: ServiceSettings::default(),
            answer_within_ms: 4_000,
            max_waiting_changes: 100,
            change_attempts: 64,
            publish_at_once: 64,
            sweep_every_ms: 2_000,
            sweep_after_ms: 2_000,
        }
    }
}

/// What every operation works with.
struct Channels {
    bus: Bus,
    store: Arc<dyn ChannelStore>,
    settings: ChannelsSettings,
    publisher: Publisher,
    turns: Turns,
}

/// Serves until stopped, then finishes what was taken.
pub async fn run(
    bus: Bus,
    stores: Stores,
    settings: &ChannelsSettings,
    shutdown: Shutdown,
) -> Result<(), RoleError> {
    let role = Channels::new(bus, stores.channels, settings).await?;
    let host = offer(&role).await?;
    role.serve(host, shutdown).await
}

/// Announces the service with all of its operations.
async fn offer(role: &Arc<Channels>) -> Result<Host, ServeError> {
    let mut host = Host::new(&role.bus, Service::Channels, role.settings.service).await?;
    host.operation::<ops::CreateChannel, _, _>(None, with(role, create::handle)).await?;
    host.operation::<ops::GetChannel, _, _>(None, with(role, get::handle)).await?;
    host.operation::<ops::RenameChannel, _, _>(None, with(role, rename::handle)).await?;
    host.operation::<ops::DeleteChannel, _, _>(None, with(role, delete::handle)).await?;
    host.operation::<ops::AddMember, _, _>(None, with(role, add_member::handle)).await?;
    host.operation::<ops::RemoveMember, _, _>(None, with(role, remove_member::handle)).await?;
    host.operation::<ops::OpenDm, _, _>(None, with(role, open_dm::handle)).await?;
    host.operation::<ops::ListConversations, _, _>(None, with(role, list::handle)).await?;
    host.operation::<ops::Access, _, _>(None, with(role, access::handle)).await?;
    host.operation::<ops::ShowChannel, _, _>(None, with(role, get::handle)).await?;
    host.operation::<ops::LeaveChannels, _, _>(None, with(role, leave_all::handle)).await?;
    host.operation::<ops::Audience, _, _>(None, with(role, audience::handle)).await?;
    Ok(host)
}

impl Channels {
    async fn new(
        bus: Bus,
        store: Arc<dyn ChannelStore>,
        settings: &ChannelsSettings,
    ) -> Result<Arc<Self>, RoleError> {
        let (layout, settings) = (bus.layout().await?, settings.clone());
        let at_once = settings.publish_at_once;
        let publisher = Publisher::new(bus.clone(), layout, store.clone(), at_once);
        Ok(Arc::new(Self { bus, store, settings, publisher, turns: Turns::default() }))
    }

    async fn serve(self: Arc<Self>, host: Host, shutdown: Shutdown) -> Result<(), RoleError> {
        // The sweep must not outlive the role when the host ends by itself.
        let sweeping = shutdown.child();
        let sweeper = tokio::spawn(sweeper::run(Arc::clone(&self), sweeping.clone()));
        let served = serve(host, &shutdown).await;
        sweeping.request();
        sweeper.await.map_err(RoleError::new)?;
        let drain = Duration::from_secs(self.settings.service.drain_s);
        if !self.publisher.finish(drain).await {
            tracing::info!("changes are left to the next sweep");
        }
        served
    }

    /// Until when the request that comes now must be answered.
    fn deadline(&self) -> Instant {
        Instant::now() + Duration::from_millis(self.settings.answer_within_ms)
    }

    /// A channel as a member is shown it.
    async fn show(&self, id: ConversationId, caller: UserId) -> Result<Channel, Failure> {
        let shown = self.store.show(id, caller, MEMBERS_LISTED).await?;
        let (look, member_ids) = shown.ok_or_else(Failure::not_found)?;
        rules::visible(&look, caller)?;
        let Look { channel, .. } = look;
        Ok(Channel {
            id,
            name: channel.name,
            owner_id: channel.owner,
            revision: channel.published,
            member_ids,
        })
    }

    /// Somebody by name; `not_found` for a name nobody has.
    async fn user(
        &self,
        context: &Context,
        username: Username,
        deadline: Instant,
    ) -> Result<User, Failure> {
        let left = deadline.saturating_duration_since(Instant::now());
        let call = Call::platform().request_id(&context.request_id).timeout(left);
        self.bus.call::<ByUsername>(&call, &ByUsernameRequest { username }).await
    }
}

/// Tries of a new id. Of 2^22 random numbers in one millisecond, several taken in a row mean that
/// something else is wrong.
const ID_ATTEMPTS: u32 = 8;

/// A new id of a channel or DM, for the store to accept or refuse.
fn new_id() -> ConversationId {
    ConversationId(compose(Timestamp::now().as_millis(), rand::random()))
}
