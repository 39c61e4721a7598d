//! One user's connection, and whether the server refuses what it tries.
//!
//! Invariant: an answer never depends on how long something took. After each attempt the user tries
//! what nobody may, under a new name each time; the server handles a connection's commands in order,
//! so when it has refused that, it has refused the attempt too, or has allowed it.

use std::path::Path;
use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event, Subscriber};
use natter_tests::{Context as _, Outcome, fail};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// How long the server may take for one refusal.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connected user.
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) client: Client,
    /// What the server complained about, and what else happened to the connection.
    said: mpsc::Receiver<String>,
    attempts: u32,
}

impl User {
    /// Connects with the credentials of that name.
    pub(crate) async fn connect(url: &str, secrets: &Path, name: &str) -> Outcome<Self> {
        let file = secrets.join(format!("{name}.creds"));
        let text = std::fs::read_to_string(&file).during(file.display())?;
        Self::with(url, name, &text).await
    }

    /// Connects with a file's text. A bot's name is its id.
    pub(crate) async fn with(url: &str, name: &str, credentials: &str) -> Outcome<Self> {
        let (tell, said) = mpsc::channel(64);
        let options = ConnectOptions::with_credentials(credentials)?
            .custom_inbox_prefix(format!("_INBOX_{name}"))
            .event_callback(move |event| {
                let tell = tell.clone();
                async move {
                    if !matches!(event, Event::Connected) {
                        // Nobody listens once the test has ended.
                        let _ = tell.send(event.to_string()).await;
                    }
                }
            });
        let client = options.connect(url).await.during(name)?;
        Ok(Self { name: name.to_owned(), client, said, attempts: 0 })
    }

    /// Whether it may publish there.
    pub(crate) async fn may_say(&mut self, subject: &str) -> Outcome<bool> {
        self.client.publish(subject.to_owned(), "".into()).await?;
        Ok(!self.refused("Publish", subject).await?)
    }

    /// Whether it may publish that there, to be answered at its own inbox; and all answers.
    pub(crate) async fn may_ask(
        &mut self,
        subject: &str,
        what: &str,
    ) -> Outcome<(bool, Subscriber)> {
        let inbox = self.client.new_inbox();
        let answers = self.client.subscribe(inbox.clone()).await?;
        let (subject, what) = (subject.to_owned(), what.to_owned());
        self.client.publish_with_reply(subject.clone(), inbox, what.into()).await?;
        Ok((!self.refused("Publish", &subject).await?, answers))
    }

    /// Whether it may ask that to be answered there.
    pub(crate) async fn may_ask_for(&mut self, subject: &str, place: &str) -> Outcome<bool> {
        let (subject, reply) = (subject.to_owned(), place.to_owned());
        self.client.publish_with_reply(subject, reply, "".into()).await?;
        Ok(!self.refused("Publish with Reply of", place).await?)
    }

    /// Whether it may subscribe to that, alone and as one of a group.
    pub(crate) async fn may_hear(&mut self, subject: &str) -> Outcome<bool> {
        let alone = self.client.subscribe(subject.to_owned()).await?;
        let may_alone = !self.refused("Subscription", subject).await?;
        drop(alone);
        let shared = self.client.queue_subscribe(subject.to_owned(), "group".to_owned()).await?;
        let may_shared = !self.refused("Subscription", subject).await?;
        drop(shared);
        if may_alone != may_shared {
            fail!("{} may hear {subject} alone: {may_alone}, in a group: {may_shared}", self.name);
        }
        Ok(may_alone)
    }

    /// Subscribes to what it may, and returns once the server knows.
    pub(crate) async fn hear(&mut self, subject: &str) -> Outcome<Subscriber> {
        let heard = self.client.subscribe(subject.to_owned()).await?;
        if self.refused("Subscription", subject).await? {
            fail!("{} may not hear {subject}", self.name);
        }
        Ok(heard)
    }

    /// Whether the server refused what was just done with the subject.
    async fn refused(&mut self, what: &str, subject: &str) -> Outcome<bool> {
        self.attempts += 1;
        let end = format!("nobody.may.{}", self.attempts);
        self.client.publish(end.clone(), "".into()).await?;
        let end = format!("Permissions Violation for Publish to \"{end}\"");
        let to = if what.ends_with("of") { "" } else { "to " };
        let expected = format!("Permissions Violation for {what} {to}\"{subject}\"");
        let mut refused = false;
        loop {
            let next = timeout(PATIENCE, self.said.recv()).await;
            let next = next.during(format_args!("{} waits for {end}", self.name))?;
            let next = next.during("the connection's events ended")?;
            if next.contains(&end) {
                return Ok(refused);
            }
            if !next.contains(&expected) || refused {
                fail!("{} tried {what} {subject}, and got: {next}", self.name);
            }
            refused = true;
        }
    }
}
