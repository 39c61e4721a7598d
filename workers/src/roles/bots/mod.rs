//! The bots role: bots, who owns them, their credentials, and webhooks that write as them.
//!
//! Invariants: a bot's consumer is there before anybody can have its credentials. Deleting goes from
//! what harms most to what is left: credentials, memberships (each an entry of the log), events that
//! wait, and last the account's owner and name; cut short, it is finished by asking again.
//!
//! Leaves out what bots ask for (the ingress role) and what they receive (the delivery role).

mod consumer;
mod create;
mod credentials;
mod delete;
mod list;
mod settings;
mod webhooks;
mod which;

use std::sync::Arc;

use bus_schema::error::Failure;
use bus_schema::ids::UserId;
use bus_schema::ops::Service;
use bus_schema::ops::bots as ops;
use bus_schema::runtime::bus::Bus;
use bus_schema::runtime::service::Host;
use bus_schema::runtime::shutdown::Shutdown;

pub use self::settings::BotsSettings;
use super::{RoleError, serve, with};
use crate::identity::authority::Authority;
use crate::store::Stores;
use crate::store::users::{Account, UserStore};
use crate::store::webhooks::WebhookStore;

/// What every operation of the role works with.
struct Bots {
    bus: Bus,
    users: Arc<dyn UserStore>,
    authority: Arc<Authority>,
    webhooks: Arc<dyn WebhookStore>,
    settings: BotsSettings,
}

impl Bots {
    /// A bot of this owner's; whoever else asks is told that there is none.
    async fn owned(&self, id: UserId, owner: UserId) -> Result<Account, Failure> {
        let account = self.users.by_id(id).await?;
        account.filter(|account| account.owner == Some(owner)).ok_or_else(Failure::not_found)
    }
}

/// Serves until stopped.
pub async fn run(
    bus: Bus,
    stores: Stores,
    settings: &BotsSettings,
    shutdown: Shutdown,
) -> Result<(), RoleError> {
    let authority = Authority::connect(bus.settings(), settings.credentials_days).await?;
    let keeping = tokio::spawn(Arc::clone(&authority).keep(shutdown.clone()));
    let (users, webhooks, settings) = (stores.users, stores.webhooks, settings.clone());
    let service = settings.service;
    let bots = Arc::new(Bots { bus: bus.clone(), users, webhooks, authority, settings });
    let mut host = Host::new(&bus, Service::Bots, service).await?;
    host.operation::<ops::CreateBot, _, _>(None, with(&bots, create::create)).await?;
    host.operation::<ops::ListBots, _, _>(None, with(&bots, list::list)).await?;
    host.operation::<ops::DeleteBot, _, _>(None, with(&bots, delete::delete)).await?;
    host.operation::<ops::Credentials, _, _>(None, with(&bots, credentials::credentials)).await?;
    host.operation::<ops::RevokeCredentials, _, _>(None, with(&bots, credentials::revoke)).await?;
    host.operation::<ops::RenewCredentials, _, _>(None, with(&bots, credentials::renew)).await?;
    host.operation::<ops::WhichBots, _, _>(None, with(&bots, which::which)).await?;
    host.operation::<ops::CreateWebhook, _, _>(None, with(&bots, webhooks::create)).await?;
    host.operation::<ops::ListWebhooks, _, _>(None, with(&bots, webhooks::list)).await?;
    host.operation::<ops::DeleteWebhook, _, _>(None, with(&bots, webhooks::delete)).await?;
    host.operation::<ops::CheckWebhook, _, _>(None, with(&bots, webhooks::check)).await?;
    let served = serve(host, &shutdown).await;
    keeping.abort();
    served
}
