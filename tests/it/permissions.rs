//! What each user of the bus may do, tried against a real server with the product's configuration
//! and secrets: everything a role needs works, everything else is refused.
//!
//! No worker or edge runs here, except for [`bots`]; the connections of these tests are the only ones.

mod bots;
mod table;
mod user;

use std::collections::BTreeSet;
use std::time::Duration;

use async_nats::jetstream::consumer::pull::OrderedConfig;
use async_nats::jetstream::context::Context as JetStream;
use async_nats::jetstream::stream::{Config, Republish};
use async_nats::{Message, Subscriber, jetstream};
use futures::{FutureExt as _, StreamExt as _};
use natter_tests::nats::NatsServer;
use natter_tests::{Context as _, Outcome, ensure, stack};
use tempfile::TempDir;
use tokio::time::timeout;

use table::{NOBODY_HEARS, NOBODY_SAYS, USERS};
use user::User;

/// How long each test may take.
const LIMIT: Duration = Duration::from_mins(1);
/// How long a message may take.
const SOON: Duration = Duration::from_secs(10);

/// A server, and where its users' credentials are.
struct Server {
    nats: NatsServer,
    directory: TempDir,
}

impl Server {
    async fn start() -> Outcome<Self> {
        let directory = tempfile::Builder::new().prefix("natter-permissions-").tempdir()?;
        let secrets = directory.path().join("secrets");
        stack::make_secrets(&secrets)?;
        let mut named = BTreeSet::new();
        for entry in std::fs::read_dir(&secrets)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            named.extend(name.strip_suffix(".creds").map(str::to_owned));
        }
        let known = USERS.iter().map(|row| row.name).chain(["sys"]);
        let known: BTreeSet<_> = known.map(str::to_owned).collect();
        ensure!(named == known, "users {named:?}, but the table has {known:?}");
        let nats = NatsServer::configured(&secrets, directory.path()).await?;
        Ok(Self { nats, directory })
    }

    async fn user(&self, name: &'static str) -> Outcome<User> {
        User::connect(&self.nats.url(), &self.directory.path().join("secrets"), name).await
    }
}

/// Runs a test within its limit. A failure panics while the server is there to show its log.
async fn play(test: impl AsyncFnOnce(&Server) -> Outcome) {
    let started = Server::start().await;
    assert!(started.is_ok(), "{:?}", started.err());
    let Ok(server) = started else { return };
    let outcome = timeout(LIMIT, Box::pin(test(&server))).await;
    let outcome = outcome.during(format_args!("the test, within {LIMIT:?}")).flatten();
    assert!(outcome.is_ok(), "{:?}", outcome.err());
}

#[tokio::test]
async fn each_user_may_publish_what_its_role_needs_and_nothing_else() {
    play(async |server| {
        let mut subjects: BTreeSet<String> = NOBODY_SAYS.iter().map(|&s| s.to_owned()).collect();
        for row in &USERS {
            subjects.extend(row.says.concat().into_iter().map(str::to_owned));
            // Its own inbox too: only who was asked answers there.
            subjects.insert(format!("_INBOX_{}.x", row.name));
        }
        let mut wrong = Vec::new();
        for row in &USERS {
            let mut user = server.user(row.name).await?;
            for subject in &subjects {
                let may = user.may_say(subject).await?;
                if may != row.may_say(subject) {
                    wrong.push(format!("{} may publish to {subject}: {may}", row.name));
                }
            }
        }
        ensure!(wrong.is_empty(), "{wrong:#?}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn each_user_may_subscribe_to_what_its_role_needs_and_nothing_else() {
    play(async |server| {
        let mut subjects: BTreeSet<String> = NOBODY_HEARS.iter().map(|&s| s.to_owned()).collect();
        for row in &USERS {
            subjects.extend(row.hears.iter().map(|&subject| subject.to_owned()));
            subjects.insert(row.inbox());
        }
        let mut wrong = Vec::new();
        for row in &USERS {
            let mut user = server.user(row.name).await?;
            for subject in &subjects {
                let may = user.may_hear(subject).await?;
                if may != row.may_hear(subject) {
                    wrong.push(format!("{} may subscribe to {subject}: {may}", row.name));
                }
            }
        }
        ensure!(wrong.is_empty(), "{wrong:#?}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn whoever_was_asked_answers_once_and_nobody_else() {
    play(async |server| {
        let mut edge = server.user("edge").await?;
        for (name, question) in [
            ("auth", "svc.auth.sign_in"),
            ("profiles", "svc.profiles.get"),
            ("channels", "svc.channels.access"),
            ("history", "svc.history.0.range"),
            ("auditor", "svc.audit.0.report"),
        ] {
            let mut service = server.user(name).await?;
            let mut questions = service.hear(question).await?;
            let (asked, mut answers) = edge.may_ask(question, "?").await?;
            ensure!(asked, "edge may not ask {question}");
            let place = next(&mut questions, question).await?.reply.during("nowhere to answer")?;
            ensure!(service.may_say(&place).await?, "{name} may not answer");
            next(&mut answers, "the answer").await?;
            ensure!(!service.may_say(&place).await?, "{name} may answer twice");
            ensure!(!edge.may_say(&place).await?, "edge may answer itself");
        }

        // What merely hears may not answer.
        let mut edge = server.user("edge").await?;
        let mut events = edge.hear("ev.>").await?;
        let mut profiles = server.user("profiles").await?;
        let (said, _answers) = profiles.may_ask("ev.eph.profiles", "?").await?;
        ensure!(said, "profiles may not announce a profile");
        let place = next(&mut events, "the event").await?.reply.during("nowhere to answer")?;
        ensure!(!edge.may_say(&place).await?, "edge may publish to the inbox of profiles");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn what_the_roles_do_with_the_streams_works_for_them() {
    play(async |server| {
        let setup = jetstream::new(server.user("setup").await?.client);
        streams(&setup).await?;

        let mut edge = server.user("edge").await?;
        let mut live = edge.hear("ev.log.>").await?;
        let edges = jetstream::new(edge.client.clone());
        edges.publish("log.1.c.513", "one".into()).await?.await.during("edge appends")?;
        let said = next(&mut live, "the entry, live").await?;
        assert_eq!((said.subject.as_str(), &said.payload[..]), ("ev.log.1.c.513", &b"one"[..]));
        let channels = jetstream::new(server.user("channels").await?.client);
        channels.publish("log.255.u.255", "two".into()).await?.await.during("a notice")?;
        channels.get_stream("LOG_0").await.during("channels looks at the log")?;

        for name in ["edge", "history", "persister"] {
            let reader = jetstream::new(server.user(name).await?.client);
            let read = reader.create_consumer_on_stream(OrderedConfig::default(), "LOG_0").await;
            let mut entries = read.during(name)?.messages().await.during(name)?;
            for expected in ["one", "two"] {
                let entry = timeout(SOON, entries.next()).await.during(name)?.during(name)?;
                assert_eq!(entry.during(name)?.payload, expected, "{name}");
            }
        }

        let persister = jetstream::new(server.user("persister").await?.client);
        let leases = persister.get_key_value("natter_leases").await.during("the leases")?;
        leases.put("0", "mine".into()).await.during("taking a lease")?;
        let lease = leases.get("0").await.during("looking at a lease")?.during("no lease")?;
        assert_eq!(lease, "mine");
        persister.publish("dead.0", "?".into()).await?.await.during("keeping what is dead")?;
        let log = persister.get_stream("LOG_0").await.during("persister looks at the log")?;
        let purged = log.purge().sequence(2).await.during("trimming")?.purged;
        assert_eq!(purged, 1);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn an_edge_gets_no_stored_message_except_by_reading_in_order() {
    play(async |server| {
        let setup = jetstream::new(server.user("setup").await?.client);
        streams(&setup).await?;
        let mut edge = server.user("edge").await?;
        let edges = jetstream::new(edge.client.clone());
        edges.publish("log.1.c.513", "secret".into()).await?.await?;

        // The control: the same way of asking is answered where it is allowed.
        let mut persister = server.user("persister").await?;
        let leases =
            jetstream::new(persister.client.clone()).get_key_value("natter_leases").await?;
        leases.put("0", "mine".into()).await?;
        let first = r#"{"seq":1}"#;
        let direct = "DIRECT.GET.KV_natter_leases.$KV.natter_leases.0";
        let of_leases = [("STREAM.MSG.GET.KV_natter_leases", first), (direct, "")];
        for (subject, what) in of_leases {
            let subject = format!("$JS.API.{subject}");
            let (asked, mut answers) = persister.may_ask(&subject, what).await?;
            ensure!(asked, "persister may not ask {subject}");
            next(&mut answers, &subject).await?;
        }
        let of_log = [
            ("STREAM.MSG.GET.LOG_0", first),
            ("DIRECT.GET.LOG_0", first),
            ("DIRECT.GET.LOG_0.log.1.c.513", ""),
        ];
        for (subject, what) in of_leases.into_iter().chain(of_log) {
            let (asked, mut answers) = edge.may_ask(&format!("$JS.API.{subject}"), what).await?;
            ensure!(!asked, "edge may ask {subject}");
            ensure!(answers.next().now_or_never().is_none(), "{subject} was answered");
        }
        Ok(())
    })
    .await;
}

/// Makes the three streams as setup does, as far as permissions are concerned. Here any message may
/// be asked for directly, so that only permissions stand before it.
async fn streams(setup: &JetStream) -> Outcome {
    let (source, destination) = ("log.>".to_owned(), "ev.log.>".to_owned());
    let republish = Some(Republish { source, destination, headers_only: false });
    let named = |name: &str, subject: &str| Config {
        name: name.to_owned(),
        subjects: vec![subject.to_owned()],
        allow_direct: true,
        ..Config::default()
    };
    let leases = named("KV_natter_leases", "$KV.natter_leases.>");
    for config in [
        Config { republish, ..named("LOG_0", "log.>") },
        named("DEAD", "dead.>"),
        Config { max_messages_per_subject: 1, allow_rollup: true, ..leases },
    ] {
        let name = config.name.clone();
        setup.create_stream(config).await.during(format_args!("setup makes {name}"))?;
    }
    setup.get_stream("LOG_0").await.during("setup looks at the log")?;
    Ok(())
}

async fn next(messages: &mut Subscriber, what: &str) -> Outcome<Message> {
    timeout(SOON, messages.next()).await.during(what)?.during(what)
}
