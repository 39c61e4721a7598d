//! The people of a run, and what all of them believe about who talks where.
//!
//! Invariant: beliefs are for choosing what to do only: they come from answers, may be wrong, and
//! nothing is judged by them. Whoever acts on a wrong one is refused, which is a test too.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use tokio::sync::Mutex as Seat;

use crate::check::proxy::Network;
use crate::check::record::{Op, Recorder};
use crate::client::{Account, Api, nonce};
use crate::json::Look as _;
use crate::stack::Wiring as _;
use crate::{Context as _, Outcome};

/// Messages of a place that may be edited or deleted.
const RECENT: usize = 30;
/// How long preparations are repeated.
const PATIENCE: Duration = Duration::from_mins(1);
/// Whoever waits longer has no answer.
const ANSWERED_WITHIN: Duration = Duration::from_secs(12);

/// Somebody.
pub struct Person {
    /// Their place among all.
    pub index: usize,
    /// The id of the user.
    pub id: u64,
    /// The username.
    pub username: String,
    account: Seat<Account>,
}

/// A conversation, as far as anybody knows.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// Which.
    pub id: u64,
    /// The creator of a channel.
    pub owner: Option<u64>,
    /// Who is in it.
    pub people: BTreeSet<u64>,
    /// Its newest messages: id and author.
    pub messages: VecDeque<(u64, u64)>,
    /// Its newest entry that anybody was told of.
    pub last: u64,
}

/// Everything that the parts of a driver share.
pub struct Town {
    /// Everybody.
    pub people: Vec<Arc<Person>>,
    /// How many edges.
    pub edges: usize,
    /// What happens.
    pub recorder: Recorder,
    network: Arc<Network>,
    direct: Vec<String>,
    places: Mutex<Vec<Place>>,
    http: Api,
}

impl Town {
    /// Registers people, past all faults.
    pub async fn build(
        edges: &[String],
        network: Arc<Network>,
        recorder: Recorder,
        people: usize,
    ) -> Outcome<Self> {
        let http = Api::new(edges.first().during("no edges")?)?;
        let api = http.patient(edges, PATIENCE);
        let tag: u32 = rand::rng().random();
        let mut town = Self {
            people: Vec::new(),
            edges: edges.len(),
            recorder,
            network,
            direct: edges.to_vec(),
            places: Mutex::new(Vec::new()),
            http,
        };
        for index in 0..people {
            let username = format!("c{index}_{tag:08x}");
            let account = Account::register(&api, &username, "a checker's password", None).await?;
            town.recorder.person(&account.user)?;
            let id = account.id;
            let account = Seat::new(account);
            town.people.push(Arc::new(Person { index, id, username, account }));
            for (edge, url) in edges.iter().enumerate() {
                let port = url.rsplit(':').next().and_then(|port| port.parse().ok());
                let port = port.during(format_args!("no port in {url}"))?;
                town.network.port(&client(index), &format!("edge-{edge}"), port)?;
            }
        }
        Ok(town)
    }

    /// Where a person reaches an edge: through their own link.
    pub fn url(&self, person: &Person, edge: usize) -> Outcome<String> {
        let port = self.network.port(&client(person.index), &format!("edge-{edge}"), 0)?;
        Ok(format!("http://127.0.0.1:{port}"))
    }

    /// The same edge, past all links.
    pub fn direct(&self) -> &[String] {
        &self.direct
    }

    /// A token that is good for a while.
    pub async fn token(&self, person: &Person) -> Outcome<String> {
        person.account.lock().await.token(&self.http.patient(&self.direct, PATIENCE)).await
    }

    /// An edge as a person sees it.
    pub async fn api(&self, person: &Person, edge: usize) -> Outcome<Api> {
        let token = self.token(person).await?;
        Ok(self.http.at(&self.url(person, edge)?).with_token(&token))
    }

    /// An edge as a person sees it who waits until there is an answer, past all links.
    pub async fn patient(&self, person: &Person, edge: usize, within: Duration) -> Outcome<Api> {
        let token = self.token(person).await?;
        let first = self.direct.get(edge).during("no such edge")?;
        Ok(self.http.at(first).with_token(&token).patient(&self.direct, within))
    }

    /// Asks for something over HTTP, and notes that and the answer. None: there was none.
    pub async fn call(
        &self,
        person: &Person,
        edge: usize,
        op: Op,
        (method, path, body): (reqwest::Method, &str, Option<Value>),
    ) -> Outcome<Option<(u16, Value)>> {
        let api = self.api(person, edge).await?;
        let call = self.recorder.asked(person.id, edge, op);
        let asked = tokio::time::timeout(ANSWERED_WITHIN, api.call(method, path, body.as_ref()));
        let answer = asked.await.ok().and_then(Result::ok);
        let answer = answer.map(|answer| (answer.status, answer.body));
        self.recorder.answered_http(call, answer.as_ref().map(|(status, body)| (*status, body)));
        Ok(answer)
    }

    /// All beliefs.
    pub fn places(&self) -> MutexGuard<'_, Vec<Place>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the belief about one place.
    pub fn believe(&self, conversation: u64, change: impl FnOnce(&mut Place)) {
        let mut places = self.places();
        if let Some(place) = places.iter_mut().find(|place| place.id == conversation) {
            change(place);
        }
    }

    /// A message is there.
    pub fn said(&self, conversation: u64, id: u64, author: u64) {
        self.believe(conversation, |place| {
            place.last = place.last.max(id);
            if place.messages.len() >= RECENT {
                place.messages.pop_front();
            }
            place.messages.push_back((id, author));
        });
    }

    /// One of the places that are wanted.
    pub fn place(&self, random: &mut StdRng, wanted: impl Fn(&Place) -> bool) -> Option<Place> {
        let places = self.places();
        let wanted: Vec<&Place> = places.iter().filter(|place| wanted(place)).collect();
        let index = (!wanted.is_empty()).then(|| random.random_range(0..wanted.len()))?;
        wanted.get(index).map(|&place| place.clone())
    }

    /// Makes a channel with everybody in it.
    pub async fn channel_of_all(&self, owner: &Person, name: &str) -> Outcome {
        let post = reqwest::Method::POST;
        let body = json!({ "name": name, "nonce": nonce() });
        let op = Op::CreateChannel { name: name.to_owned() };
        let made = self.call(owner, 0, op, (post.clone(), "/channels", Some(body))).await?;
        let (status, made) = made.during("no answer to a channel's creation")?;
        crate::ensure!(status == 201, "creating a channel: {status} {made}");
        let id = made.id("id")?;
        let mut place = Place { id, owner: Some(owner.id), ..Place::default() };
        place.people.insert(owner.id);
        for person in self.people.iter().filter(|person| person.id != owner.id) {
            let op = Op::AddMember { conversation: id, user: person.id };
            let path = format!("/channels/{id}/members");
            let body = json!({ "username": person.username });
            let added = self.call(owner, 0, op, (post.clone(), &path, Some(body))).await?;
            let (status, added) = added.during("no answer to an addition")?;
            crate::ensure!(status == 200, "adding to a channel: {status} {added}");
            place.people.insert(person.id);
        }
        self.places().push(place);
        Ok(())
    }
}

/// What the links of a person are called.
fn client(index: usize) -> String {
    format!("client-{index}")
}
