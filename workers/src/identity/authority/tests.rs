//! Against a server that runs: what was let in is shut out, and stays so.

use std::time::Instant as Clock;

use async_nats::{Client, ConnectOptions};
use tokio::sync::mpsc;

use super::*;
use crate::identity::directory::{self, Signer};
use crate::testing::{NatsServer, PATIENCE, eventually};

const BOT: UserId = UserId(7);

/// A bot's connection, and what happens to it.
struct Connected {
    client: Client,
    events: mpsc::Receiver<String>,
}

impl Connected {
    /// Connects once, and does not come back.
    async fn new(server: &NatsServer, creds: &str) -> Result<Self, async_nats::ConnectError> {
        let (tell, events) = mpsc::channel(64);
        let options = ConnectOptions::with_credentials(creds).unwrap();
        let options = options.custom_inbox_prefix("_INBOX_7").max_reconnects(1);
        let options = options.event_callback(move |event| {
            let _ = tell.try_send(event.to_string());
            std::future::ready(())
        });
        Ok(Self { client: options.connect(&server.settings.url).await?, events })
    }

    /// Waits until the server has ended it.
    async fn ended(&mut self) {
        let ended = async {
            while let Some(event) = self.events.recv().await {
                if event.contains("disconnected") || event.contains("closed") {
                    return;
                }
            }
        };
        timeout(PATIENCE, ended).await.unwrap();
    }

    async fn works(&self) -> bool {
        timeout(PATIENCE, self.client.flush()).await.is_ok_and(|flushed| flushed.is_ok())
    }
}

async fn authority(server: &NatsServer) -> Arc<Authority> {
    Authority::connect(&server.settings, 90).await.unwrap()
}

#[tokio::test]
async fn a_revoked_bot_is_cut_off_and_comes_back_only_with_new_credentials() {
    let mut server = NatsServer::start().await;
    let authority = authority(&server).await;
    let (first, other) = (authority.mint(BOT).await.unwrap(), authority.mint(UserId(8)).await);
    let renewed = authority.mint(BOT).await.unwrap();
    let mut bot = Connected::new(&server, &first).await.unwrap();
    let bystander = Connected::new(&server, &other.unwrap()).await.unwrap();

    authority.revoke(BOT).await.unwrap();
    bot.ended().await;
    for old in [&first, &renewed] {
        assert!(Connected::new(&server, old).await.is_err(), "it was revoked");
    }
    assert!(bystander.works().await, "others do not notice");

    let again = authority.mint(BOT).await.unwrap();
    assert!(Connected::new(&server, &again).await.unwrap().works().await);

    // The revocation is the server's own knowledge, also after its sudden end.
    server.restart().await;
    let again =
        eventually("the server is back", async || Connected::new(&server, &again).await.ok());
    assert!(again.await.works().await);
    for old in [&first, &renewed] {
        assert!(Connected::new(&server, old).await.is_err(), "it was revoked before the restart");
    }
}

#[tokio::test]
async fn two_workers_revoke_at_once_and_nothing_is_lost() {
    let server = NatsServer::start().await;
    let workers = [authority(&server).await, authority(&server).await];
    let shutdown = Shutdown::new();
    for worker in &workers {
        tokio::spawn(Arc::clone(worker).keep(shutdown.clone()));
    }
    let bots: Vec<UserId> = (1..=20).map(UserId).collect();
    let mut creds = Vec::new();
    for bot in &bots {
        creds.push(workers[0].mint(*bot).await.unwrap());
    }
    let revoking = bots.iter().enumerate().map(|(i, bot)| workers[i % 2].revoke(*bot));
    for revoked in futures::future::join_all(revoking).await {
        revoked.unwrap();
    }
    let all = eventually("every revocation is there", async || {
        let now = workers[0].lookup(Account::Bots).await.ok()?;
        Some(claims::revocations(&now.nats)).filter(|revoked| revoked.len() == bots.len())
    });
    all.await;
    for creds in &creds {
        assert!(Connected::new(&server, creds).await.is_err());
    }
    shutdown.request();
}

#[tokio::test]
async fn a_rotated_key_is_told_to_a_running_server() {
    let server = NatsServer::start().await;
    let authority = authority(&server).await;
    let shutdown = Shutdown::new();
    tokio::spawn(Arc::clone(&authority).keep(shutdown.clone()));
    let old = authority.mint(BOT).await.unwrap();
    let mut bot = Connected::new(&server, &old).await.unwrap();
    let secrets = &server.settings.secrets;
    directory::rotate(secrets, Signer::Bots, Timestamp::now()).unwrap();
    eventually("the new key is known", async || {
        let new = authority.mint(BOT).await.ok()?;
        Connected::new(&server, &new).await.ok()
    })
    .await;
    assert!(bot.works().await, "the old key is still accepted");
    directory::drop_old(secrets, Signer::Bots, Timestamp::now()).unwrap();
    bot.ended().await;
    assert!(Connected::new(&server, &old).await.is_err());
    let new = authority.mint(BOT).await.unwrap();
    assert!(Connected::new(&server, &new).await.unwrap().works().await);
    shutdown.request();
}

/// Prints the time from a revocation to the end of the connection, of 50.
#[tokio::test]
async fn fifty_revocations_end_fifty_connections() {
    let server = NatsServer::start().await;
    let authority = authority(&server).await;
    let mut took = Vec::new();
    for bot in (1..=50).map(UserId) {
        let creds = authority.mint(bot).await.unwrap();
        let mut connected = Connected::new(&server, &creds).await.unwrap();
        let began = Clock::now();
        authority.revoke(bot).await.unwrap();
        connected.ended().await;
        took.push(began.elapsed());
    }
    took.sort_unstable();
    println!("revocation to the end of the connection: p50 {:?}, worst {:?}", took[25], took[49]);
    assert!(took[49] < Duration::from_secs(5), "{took:?}");
}

#[test]
fn keys_of_bots_differ_and_stay() {
    let key = |bot, generation| bot_key(b"secret", UserId(bot), generation).unwrap().public_key();
    assert_eq!(key(7, 0), key(7, 0));
    assert_ne!(key(7, 0), key(7, 1));
    assert_ne!(key(7, 0), key(8, 0));
    assert_ne!(key(7, 0), bot_key(b"other", UserId(7), 0).unwrap().public_key());
}
