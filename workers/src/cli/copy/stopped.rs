//! Whether the platform runs, as far as NATS can tell.
//!
//! Invariant: seen is every auth, profiles, channels and history worker that is connected to this
//! NATS (they answer `$SRV.PING`), and every persister that holds a lease (it renews it all the
//! time). Not seen is who is cut off from this NATS or uses another one, a persister that waits for a
//! lease somebody else left a moment ago, and who starts after the look.
//!
//! Leaves out embedded stores: those are locked.

use std::collections::BTreeSet;
use std::time::Duration;

use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::{self, ErrorCode};
use bus_schema::permissions::BusUser;
use bus_schema::runtime::bus::Bus;
use bus_schema::runtime::settings::BusSettings;
use bus_schema::streams::{LEASES, Layout};
use bytes::Bytes;
use futures::StreamExt as _;
use tokio::time::{Instant, sleep, timeout_at};

use super::{CommandError, refused};
use crate::config::Settings;

/// How long to wait for NATS itself.
const CONNECT_WAIT_S: u64 = 3;
/// How long services may take to answer.
const ANSWER_WAIT: Duration = Duration::from_secs(2);
/// Services that are named.
const NAMED: usize = 20;
/// How many renewals of a lease to wait for one.
const RENEWALS: u32 = 3;
/// What answers on this subject is a service.
const PING: &str = "$SRV.PING";

/// Fails when workers run. How many streams the log has, if it is there.
pub(super) async fn look(settings: &Settings) -> Result<Option<Layout>, CommandError> {
    let bus_settings = BusSettings { start_wait_s: CONNECT_WAIT_S, ..settings.bus.clone() };
    let bus = match Bus::connect(&bus_settings, BusUser::Operator).await {
        Ok(bus) => bus,
        Err(error) => {
            return refused(format!(
                "cannot ask NATS whether workers run: {error}. Start it; or, if you are certain \
                 that none runs, say --assume-stopped"
            ));
        }
    };
    let renew = Duration::from_millis(settings.persister.lease_renew_ms);
    let (services, persisting) = tokio::try_join!(services(&bus), persisting(&bus, renew))?;
    if !services.is_empty() {
        let names: Vec<_> = services.into_iter().collect();
        return refused(format!("stop the workers first; these answer: {}", names.join(", ")));
    }
    if persisting {
        return refused("stop the workers first; a persister has just renewed or left its lease");
    }
    Ok(bus.layout().await.ok())
}

/// The names of the services that answer.
async fn services(bus: &Bus) -> Result<BTreeSet<String>, CommandError> {
    let client = bus.client();
    let inbox = client.new_inbox();
    let mut answers = client.subscribe(inbox.clone()).await.map_err(cannot)?;
    client.publish_with_reply(PING, inbox, Bytes::new()).await.map_err(cannot)?;
    client.flush().await.map_err(cannot)?;
    let deadline = Instant::now() + ANSWER_WAIT;
    let mut names = BTreeSet::new();
    while names.len() < NAMED
        && let Ok(Some(answer)) = timeout_at(deadline, answers.next()).await
    {
        // What is no answer of a service says that there is none.
        let said: Option<serde_json::Value> = serde_json::from_slice(&answer.payload).ok();
        let name = said.as_ref().and_then(|said| said["name"].as_str());
        names.extend(name.map(str::to_owned));
    }
    Ok(names)
}

/// Whether any lease changes within a few times the interval at which a holder renews it.
async fn persisting(bus: &Bus, renew: Duration) -> Result<bool, CommandError> {
    let before = leases(bus.jetstream()).await?;
    sleep(renew * RENEWALS).await;
    Ok(leases(bus.jetstream()).await? != before)
}

/// The last change of any lease; none where there never was a platform.
async fn leases(jetstream: &jetstream::Context) -> Result<Option<u64>, CommandError> {
    match jetstream.get_stream(format!("KV_{LEASES}")).await {
        Ok(stream) => Ok(Some(stream.cached_info().state.last_sequence)),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(e) if e.error_code() == ErrorCode::STREAM_NOT_FOUND => {
                Ok(None)
            }
            _ => Err(cannot(error)),
        },
    }
}

fn cannot(error: impl std::fmt::Display) -> CommandError {
    CommandError::Refused(format!("cannot ask NATS whether workers run: {error}"))
}

#[cfg(test)]
mod tests {
    use bus_schema::ops::Service;
    use bus_schema::runtime::service::{Host, ServiceSettings};
    use bus_schema::runtime::shutdown::Shutdown;

    use super::*;
    use crate::roles::{persister, setup};
    use crate::store::Stores;
    use crate::testing::{NatsServer, eventually};

    async fn why(settings: &Settings) -> Option<String> {
        look(settings).await.err().map(|error| error.to_string())
    }

    #[tokio::test]
    async fn who_runs_is_seen() {
        let nats = NatsServer::start().await;
        let mut settings = Settings::default();
        settings.bus = nats.settings.clone();
        settings.persister.lease_renew_ms = 300;
        settings.bus.start_wait_s = 1;
        assert_eq!(why(&settings).await, None, "there never was a platform");

        let bus = nats.connect(BusUser::Setup).await;
        setup::set_up(&bus, &settings.setup).await.unwrap();
        let layout = look(&settings).await.unwrap().unwrap();
        assert_eq!(layout.count(), bus.layout().await.unwrap().count());

        let stores = Stores::embedded(&nats.directory.path().join("store")).await.unwrap();
        let shutdown = Shutdown::new();
        let bus = nats.connect(BusUser::Persister).await;
        let running = {
            let (shutdown, persister) = (shutdown.clone(), settings.persister);
            tokio::spawn(async move { persister::run(bus, stores, &persister, shutdown).await })
        };
        let seen = async || why(&settings).await.filter(|said| said.contains("a persister"));
        eventually("the persister is seen", seen).await;
        shutdown.request();
        running.await.unwrap().unwrap();
        assert_eq!(why(&settings).await, None, "it has left");

        let bus = nats.connect(BusUser::Auth).await;
        let _host = Host::new(&bus, Service::Auth, ServiceSettings::default()).await.unwrap();
        let said = why(&settings).await.unwrap();
        assert!(said.contains("natter-auth"), "{said}");
    }

    #[tokio::test]
    async fn without_nats_nobody_knows() {
        let mut settings = Settings::default();
        settings.bus.url = "nats://127.0.0.1:1".to_owned();
        let said = why(&settings).await.unwrap();
        assert!(said.contains("--assume-stopped"), "{said}");
    }
}
