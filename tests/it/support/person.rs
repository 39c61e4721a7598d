//! A person of a test: an account, the edge they use, and what people do.
//!
//! Invariant: each method is one request and demands the documented success; a test of a refusal
//! makes the request itself through [`Person::api`].

use natter_tests::client::{Account, Api, Cursors, Session, Socket};
use natter_tests::eventually::{Seen, eventually};
use natter_tests::json::Look as _;
use natter_tests::{Outcome, client};
use serde_json::{Value, json};

use super::{SOON, unique};

/// The password of everyone.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// A person.
pub(crate) struct Person {
    pub(crate) account: Account,
    pub(crate) api: Api,
    pub(crate) edge: String,
    edges: Vec<String>,
}

impl Person {
    pub(crate) async fn register(edge: &str, edges: &[String], hint: &str) -> Outcome<Self> {
        let api = Api::new(edge)?;
        let account = Account::register(&api, &unique(hint), PASSWORD, Some(hint)).await?;
        let api = api.with_token(&account.access);
        Ok(Self { account, api, edge: edge.to_owned(), edges: edges.to_vec() })
    }

    /// The same person with another session, on another edge.
    pub(crate) async fn again_on(&self, edge: &str) -> Outcome<Self> {
        let api = Api::new(edge)?;
        let account = Account::sign_in(&api, self.name(), &self.account.password).await?;
        let api = api.with_token(&account.access);
        Ok(Self { account, api, edge: edge.to_owned(), edges: self.edges.clone() })
    }

    pub(crate) fn id(&self) -> u64 {
        self.account.id
    }

    pub(crate) fn name(&self) -> &str {
        &self.account.username
    }

    pub(crate) fn token(&self) -> &str {
        &self.account.access
    }

    /// An edge that is not this person's.
    pub(crate) fn other_edge(&self) -> &str {
        self.edges.iter().find(|edge| **edge != self.edge).unwrap_or(&self.edge)
    }

    /// The same calls, waiting where they are too many.
    pub(crate) fn patient(&self) -> Api {
        self.api.patient(std::slice::from_ref(&self.edge), super::TEST_WITHIN)
    }

    /// A live connection on one's own edge.
    pub(crate) async fn session(&self) -> Outcome<Session> {
        Ok(Session::resume(&self.edge, self.token(), Cursors::default()).await?.0)
    }

    /// A connection that goes on where another ended.
    pub(crate) async fn resume(&self, edge: &str, cursors: Cursors) -> Outcome<Session> {
        Ok(Session::resume(edge, self.token(), cursors).await?.0)
    }

    /// READY as a new client sees it, on any edge.
    pub(crate) async fn ready(&self, edge: &str) -> Outcome<Value> {
        let (session, ready) = Session::resume(edge, self.token(), Cursors::default()).await?;
        session.close().await;
        Ok(ready)
    }

    /// A bare websocket, identified.
    pub(crate) async fn socket(&self) -> Outcome<Socket> {
        let mut socket = Socket::open(&self.edge).await?;
        socket.identify(self.token()).await?;
        Ok(socket)
    }

    pub(crate) async fn channel(&self, name: &str) -> Outcome<u64> {
        self.api.post("/channels", &json!({ "name": name })).await?.ok(201)?.id("id")
    }

    pub(crate) async fn add(&self, channel: u64, other: &Self) -> Outcome<Value> {
        let path = format!("/channels/{channel}/members");
        self.api.post(&path, &json!({ "username": other.name() })).await?.ok(200)
    }

    pub(crate) async fn remove(&self, channel: u64, other: &Self) -> Outcome {
        let path = format!("/channels/{channel}/members/{}", other.id());
        self.api.delete(&path).await?.ok(204).map(drop)
    }

    pub(crate) async fn leave(&self, channel: u64) -> Outcome {
        self.api.delete(&format!("/channels/{channel}/members/@me")).await?.ok(204).map(drop)
    }

    pub(crate) async fn rename(&self, channel: u64, name: &str) -> Outcome<Value> {
        self.api.patch(&format!("/channels/{channel}"), &json!({ "name": name })).await?.ok(200)
    }

    pub(crate) async fn delete_channel(&self, channel: u64) -> Outcome {
        self.api.delete(&format!("/channels/{channel}")).await?.ok(204).map(drop)
    }

    pub(crate) async fn dm(&self, other: &Self) -> Outcome<u64> {
        self.api.post("/dms", &json!({ "username": other.name() })).await?.ok(200)?.id("id")
    }

    /// Posts a message over HTTP. Returns its id.
    pub(crate) async fn post(&self, conversation: u64, content: &str) -> Outcome<u64> {
        let path = format!("/conversations/{conversation}/messages");
        let body = json!({ "content": content, "nonce": client::nonce() });
        self.patient().post(&path, &body).await?.ok(201)?.id("id")
    }

    pub(crate) async fn edit(
        &self,
        conversation: u64,
        message: u64,
        content: &str,
    ) -> Outcome<Value> {
        let path = format!("/conversations/{conversation}/messages/{message}");
        self.api.patch(&path, &json!({ "content": content })).await?.ok(200)
    }

    pub(crate) async fn delete(&self, conversation: u64, message: u64) -> Outcome {
        let path = format!("/conversations/{conversation}/messages/{message}");
        self.api.delete(&path).await?.ok(204).map(drop)
    }

    pub(crate) async fn read(&self, conversation: u64, id: u64) -> Outcome {
        let path = format!("/conversations/{conversation}/read");
        let body = json!({ "id": id.to_string() });
        self.api.put(&path, &body).await?.ok(204).map(drop)
    }

    /// The conversation as GET /conversations lists it, if it does.
    pub(crate) async fn listed(&self, conversation: u64) -> Outcome<Option<Value>> {
        let answer = self.api.get("/conversations").await?.ok(200)?;
        find(&answer, conversation)
    }

    /// Waits until the conversation is listed no more.
    pub(crate) async fn will_not_list(&self, conversation: u64) -> Outcome {
        eventually("it is not listed", SOON, async || {
            let listed = self.listed(conversation).await?;
            Ok(Seen::when(listed.is_none(), format!("{listed:?}")))
        })
        .await
    }

    /// Waits until the conversation is listed in a certain way: names, markers and counts may lag.
    pub(crate) async fn will_list(
        &self,
        conversation: u64,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Outcome<Value> {
        eventually(what, SOON, async || {
            Ok(match self.listed(conversation).await? {
                Some(listed) if wanted(&listed) => Seen::Done(listed),
                other => Seen::not_yet(format!("{other:?}")),
            })
        })
        .await
    }
}

/// A conversation in READY or GET /conversations.
pub(crate) fn find(answer: &Value, conversation: u64) -> Outcome<Option<Value>> {
    let id = conversation.to_string();
    let mut list = answer.list("conversations")?.iter();
    Ok(list.find(|listed| listed["id"] == id.as_str()).cloned())
}
