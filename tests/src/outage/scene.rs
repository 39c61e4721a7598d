//! The people and channels of one outage, new for each so that none hides what another did.
//!
//! Invariant: everyone is a member of every busy channel and of the long one before traffic begins.
//! A person's access token outlives the outage, so nobody is refused for its age.

use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use rand::RngExt as _;
use serde_json::json;
use tokio::sync::{mpsc, watch};

use super::journal::Journal;
use super::settled::Settled;
use super::truth::{Channel, Truth};
use super::watcher::Targets;
use crate::client::{Account, Api, nonce};
use crate::json::Look as _;
use crate::replay::pending::Order;
use crate::{Context as _, Outcome, ensure};

/// Registrations and other preparations at the same time.
const AT_ONCE: usize = 8;
/// Members added at the same time.
const ADDED_AT_ONCE: usize = 4;
/// Busy channels.
const ROOMS: usize = 3;
/// SENDs that wait for a person's socket.
const ORDERS: usize = 64;
/// How long preparations are repeated.
const PATIENCE: Duration = Duration::from_mins(2);
/// The least life an access token must have left.
const TOKEN_LIFE: Duration = Duration::from_mins(8);

/// A person with one socket.
pub struct Person {
    /// The id of the user.
    pub id: u64,
    /// The username.
    pub username: String,
    /// The password.
    pub password: String,
    /// The number of the edge they use.
    pub home: usize,
    /// That edge, as this person.
    pub api: Api,
    /// What their socket shall send.
    pub orders: mpsc::Sender<Order>,
}

/// A long channel, most of which no worker has in memory.
pub struct Old {
    /// Who made it, and every other channel that nobody changes.
    pub keeper: Account,
    /// The channel.
    pub conversation: u64,
    /// Its messages: ids and contents.
    pub said: Vec<(u64, String)>,
}

/// Everything that the parts of one run share.
pub struct Scene {
    /// The addresses of the edges.
    pub edges: Vec<String>,
    /// Everybody.
    pub people: Vec<Arc<Person>>,
    /// The keeper at the first edge.
    pub keeper: Api,
    /// The first edge, as nobody yet.
    pub nobody: Api,
    /// The busy channels.
    pub rooms: Vec<u64>,
    /// The long one.
    pub old: Arc<Old>,
    /// What happened.
    pub journal: Journal,
    /// What was acknowledged.
    pub truth: Truth,
    /// The last entries of all conversations, once nothing more will be sent.
    pub targets: watch::Sender<Option<Targets>>,
}

/// Orders for the sockets of a scene, in the order of its people.
pub type Orders = Vec<mpsc::Receiver<Order>>;

impl Old {
    /// Writes a long channel.
    pub async fn write(edges: &[String], messages: usize) -> Outcome<Self> {
        let api = Api::new(edges.first().during("no edges")?)?;
        let tag: u32 = rand::rng().random();
        let keeper =
            Account::register(&api, &format!("keeper_{tag:08x}"), "a keeper's password", None)
                .await?;
        let api = api.with_token(&keeper.access).patient(edges, PATIENCE);
        let made =
            api.post("/channels", &json!({ "name": "long", "nonce": nonce() })).await?.ok(201)?;
        let conversation = made.id("id")?;
        let path = &format!("/conversations/{conversation}/messages");
        let saying = (0..messages).map(|index| {
            let api = api.at(&edges[index % edges.len()]);
            async move {
                let content = format!("message {index} of long ago");
                let body = json!({ "content": content, "nonce": nonce() });
                let id = api.post(path, &body).await?.ok(201)?.id("id")?;
                Ok::<_, crate::Failure>((id, content))
            }
        });
        let mut said: Vec<_> =
            stream::iter(saying).buffer_unordered(4 * AT_ONCE).try_collect().await?;
        said.sort_unstable();
        Ok(Self { keeper, conversation, said })
    }
}

impl Scene {
    /// Registers people and makes the busy channels.
    pub async fn build(edges: &[String], old: Arc<Old>, people: usize) -> Outcome<(Self, Orders)> {
        let api = Api::new(edges.first().during("no edges")?)?;
        // A session of its own: its tokens are new when the scene begins.
        let Account { username, password, .. } = &old.keeper;
        let keeper = Account::sign_in(&api, username, password).await?;
        let nobody = api.clone();
        let api = api.with_token(&keeper.access).patient(edges, PATIENCE);
        let truth = Truth::default();
        let tag: u32 = rand::rng().random();
        let registering = (0..people).map(|index| register(edges, &truth, tag, index));
        let registered: Vec<_> = stream::iter(registering).buffered(AT_ONCE).try_collect().await?;
        let (people, orders): (Vec<_>, Vec<_>) = registered.into_iter().unzip();
        let mut rooms = Vec::new();
        for index in 0..ROOMS {
            let name = format!("busy {index}");
            let body = json!({ "name": name, "nonce": nonce() });
            let room = api.post("/channels", &body).await?.ok(201)?.id("id")?;
            let mut members: Vec<u64> = people.iter().map(|person| person.id).collect();
            members.push(keeper.id);
            let members = members.into_iter().map(|id| (id, Settled::new(true))).collect();
            let channel = Channel { owner: keeper.id, name: Settled::new(name), members };
            truth.made("", room, channel);
            rooms.push(room);
        }
        let places = rooms.iter().copied().chain([old.conversation]);
        let pairs = places.flat_map(|place| people.iter().map(move |person| (place, person)));
        let adding = pairs.map(|(place, person)| add(&api, place, &person.username));
        stream::iter(adding).buffer_unordered(ADDED_AT_ONCE).try_collect::<Vec<()>>().await?;
        let scene = Self {
            edges: edges.to_vec(),
            people,
            keeper: api,
            nobody,
            rooms,
            old,
            journal: Journal::default(),
            truth,
            targets: watch::Sender::new(None),
        };
        Ok((scene, orders))
    }

    /// Whoever made a channel, at their edge.
    pub fn owner(&self, owner: u64) -> &Api {
        let person = self.people.iter().find(|person| person.id == owner);
        person.map_or(&self.keeper, |person| &person.api)
    }
}

async fn register(
    edges: &[String],
    truth: &Truth,
    tag: u32,
    index: usize,
) -> Outcome<(Arc<Person>, mpsc::Receiver<Order>)> {
    let home = index % edges.len();
    let username = format!("out{index:03}_{tag:08x}");
    let api = Api::new(&edges[home])?;
    let password = format!("the password of {username}");
    let body = json!({ "username": username, "password": password, "display_name": username });
    let answer = api.patient(edges, PATIENCE).post("/accounts", &body).await?.ok(201)?;
    let account = Account::read(&answer, &password)?;
    let left = account.until.saturating_duration_since(std::time::Instant::now());
    ensure!(left > TOKEN_LIFE, "an access token lives for {left:?} only");
    truth.named(account.id, &username);
    let (orders, receiver) = mpsc::channel(ORDERS);
    let api = api.with_token(&account.access);
    let person = Person { id: account.id, username, password, home, api, orders };
    Ok((Arc::new(person), receiver))
}

async fn add(api: &Api, channel: u64, username: &str) -> Outcome {
    let body = json!({ "username": username });
    api.post(&format!("/channels/{channel}/members"), &body).await?.ok(200)?;
    Ok(())
}
