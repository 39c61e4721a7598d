//! What runs in the process of a bot: it takes events and writes each down before acknowledging it.
//!
//! Invariant: at every moment the journal has all that was acknowledged, in the order in which it was
//! given, and at most one event more. What is given again is written again: to judge is the
//! journal's reader's. It knows the page about bots and nothing else of the product.

use std::path::PathBuf;
use std::time::Duration;

use async_nats::jetstream::{self, AckKind};
use async_nats::{Client, ConnectOptions, Subscriber};
use futures::StreamExt as _;
use rand::RngExt as _;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::journal::{Journal, Taken};
use crate::client::backoff::Backoff;
use crate::json::Look as _;
use crate::replay::ledger;
use crate::{Context as _, Failure, Outcome};

/// Events asked for at once. They are given one by one.
const ASKED: u64 = 32;
/// How long a request for events stands.
const STANDS: Duration = Duration::from_secs(20);
/// What it does with an event takes up to this long before it is written down, and up to this
/// long after: so that being killed falls into all of it.
const WORK_US: u64 = 3_000;

/// Which bot, and where.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Its id.
    #[arg(long)]
    pub id: u64,
    /// Where the bus is.
    #[arg(long, value_name = "URL")]
    pub nats: String,
    /// Its credentials.
    #[arg(long, value_name = "FILE")]
    pub creds: PathBuf,
    /// Where it writes down what it is given.
    #[arg(long, value_name = "FILE")]
    pub journal: PathBuf,
}

/// Takes events until it is killed.
pub async fn run(options: Options) -> Outcome {
    let mut journal = Journal::open(&options.journal)?;
    let creds = std::fs::read_to_string(&options.creds).during(options.creds.display())?;
    let id = options.id;
    let connecting = ConnectOptions::with_credentials(&creds)?
        .custom_inbox_prefix(format!("_INBOX_{id}"))
        .retry_on_initial_connect();
    let client = connecting.connect(&options.nats).await?;
    let inbox = client.new_inbox();
    let mut events = client.subscribe(inbox.clone()).await?;
    let mut backoff = Backoff::default();
    loop {
        let pull = json!({ "batch": ASKED, "expires": u64::try_from(STANDS.as_nanos())? });
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.BOTS.bot_{id}");
        client.publish_with_reply(subject, inbox.clone(), pull.to_string().into()).await?;
        if !take(&client, &mut events, &mut journal).await? {
            sleep(backoff.wait()).await;
        }
    }
}

/// Takes what one request brings. Returns false where nobody answered it.
async fn take(client: &Client, events: &mut Subscriber, journal: &mut Journal) -> Outcome<bool> {
    let context = jetstream::new(client.clone());
    for _ in 0..ASKED {
        let waited = timeout(STANDS + Duration::from_secs(2), events.next()).await;
        let Ok(message) = waited else { return Ok(false) };
        let message = message.during("the subscription has ended")?;
        if let Some(status) = message.status {
            // The end of a request, with or without a reason to wait.
            return Ok(status.as_u16() == 408);
        }
        let message = jetstream::Message { message, context: context.clone() };
        let event: Value = serde_json::from_slice(&message.payload)?;
        let sequence = message.info().map_err(|e| Failure::new(e.to_string()))?.stream_sequence;
        let item = ledger::item(event.text("t")?, event.at("d")?).during(&event)?;
        work().await;
        journal.write(Taken { sequence, item })?;
        work().await;
        message.ack_with(AckKind::Ack).await.map_err(|e| Failure::new(e.to_string()))?;
    }
    Ok(true)
}

async fn work() {
    let long = rand::rng().random_range(0..WORK_US);
    sleep(Duration::from_micros(long)).await;
}
