//! The people of a replay: those who speak, those who watch, who creates the channels, and who has bots.
//!
//! Invariant: an author's account has the same name in every run against the same data, so that a
//! platform may be replayed to more than once; who watches is new in each run, and has no past.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use rand::RngExt as _;
use serde_json::json;
use tokio::sync::Mutex;

use super::input::Input;
use super::{PATIENCE, Run};
use crate::client::{Account, Api, Cursors, content};
use crate::{Context as _, Outcome};

/// Registrations at the same time: each costs the platform a password hash.
const AT_ONCE: usize = 8;
/// Whoever waits longer than this for a registration was not started for a replay.
const TOO_SLOW: Duration = Duration::from_secs(5);

/// A person with an account.
pub struct Person {
    /// The id of the user.
    pub id: u64,
    /// The username.
    pub username: String,
    account: Mutex<Account>,
    api: Api,
    /// Where their one socket stands; held by whoever has it open.
    pub seat: Arc<Mutex<Cursors>>,
}

impl Person {
    /// A token that is good for a while.
    pub async fn token(&self) -> Outcome<String> {
        self.account.lock().await.token(&self.api).await.during(&self.username)
    }

    /// An edge as this person; calls are repeated until there is an answer.
    pub async fn api(&self) -> Outcome<Api> {
        Ok(self.api.with_token(&self.token().await?))
    }
}

/// All of them.
pub struct Cast {
    /// By their number in the input.
    pub authors: Vec<Arc<Person>>,
    /// Members of every channel.
    pub observers: Vec<Arc<Person>>,
    /// Creates the channels and adds the members.
    pub keeper: Arc<Person>,
    /// Each makes as many bots as one may have.
    pub owners: Vec<Arc<Person>>,
}

impl Cast {
    /// Registers everyone who is not registered yet.
    pub async fn register(
        run: &Run,
        input: &Input,
        observers: usize,
        owners: usize,
    ) -> Outcome<Self> {
        run.progress.phase("registering");
        let tag: u32 = rand::rng().random();
        let authors = input.authors.iter().enumerate().map(|(index, nick)| {
            let name = content::display_name(nick).unwrap_or_else(|| "nobody".to_owned());
            (format!("irc{:04}", index + 1), name)
        });
        let watchers = (0..observers)
            .map(|index| (format!("watch{index:02}_{tag:08x}"), format!("observer {index}")));
        let keeper = (format!("keeper_{tag:08x}"), "keeper".to_owned());
        let owning = (0..owners)
            .map(|index| (format!("owner{index:02}_{tag:08x}"), format!("owner {index}")));
        let names: Vec<_> = authors.chain(watchers).chain(owning).chain([keeper]).collect();
        let people = names.into_iter().enumerate().map(|(index, (username, name))| async move {
            let edge = &run.edges[index % run.edges.len()];
            let person = person(run, edge, &username, &name).await.during(&username)?;
            run.progress.accounts.up();
            Ok::<_, crate::Failure>(Arc::new(person))
        });
        let mut people: Vec<_> = stream::iter(people).buffered(AT_ONCE).try_collect().await?;
        let keeper = people.pop().during("nobody is registered")?;
        let mut watching = people.split_off(input.authors.len());
        let owners = watching.split_off(observers);
        Ok(Self { authors: people, observers: watching, keeper, owners })
    }
}

async fn person(run: &Run, edge: &str, username: &str, name: &str) -> Outcome<Person> {
    let api = Api::new(edge)?.patient(&run.edges, PATIENCE);
    let password = format!("the password of {username}");
    let body = json!({ "username": username, "password": password, "display_name": name });
    // The first try shows a platform that would take hours.
    let first = Api::new(edge)?.post("/accounts", &body).await;
    if let Ok(answer) = &first
        && answer.retry_after().is_some_and(|wait| wait > TOO_SLOW)
    {
        crate::fail!("registrations are limited: start the platform with --no-limits");
    }
    let answer = match first {
        Ok(answer) if matches!(answer.status, 201 | 409) => answer,
        _ => api.post("/accounts", &body).await?,
    };
    let account = if answer.code() == Some("username_taken") {
        let account = Account::sign_in(&api, username, &password).await?;
        if account.user["display_name"] != name {
            let own = api.with_token(&account.access);
            own.patch("/users/@me", &json!({ "display_name": name })).await?.ok(200)?;
        }
        account
    } else {
        Account::read(&answer.ok(201)?, &password)?
    };
    Ok(Person {
        id: account.id,
        username: account.username.clone(),
        account: Mutex::new(account),
        api,
        seat: Arc::default(),
    })
}
