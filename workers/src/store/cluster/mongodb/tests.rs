//! What an operation comes to while the server is away, and before it is prepared.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bus_schema::ids::UserId;
use futures::future::join_all;
use mongodb::bson::{Document, doc};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::testing::{settings, with_database};
use super::*;
use crate::store::cluster::users::Users;
use crate::store::users::UserStore as _;
use crate::testing::cluster::Server;
use crate::testing::eventually;

/// The way to the server, which can be cut and blocked.
struct Way {
    address: SocketAddr,
    server: String,
    open: Option<JoinHandle<()>>,
    /// Whether anything passes.
    passes: Arc<watch::Sender<bool>>,
}

impl Way {
    /// A way that leads nowhere yet.
    async fn new() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = Server::Mongodb.url();
        let server = url.strip_prefix("mongodb://").unwrap().split(['/', ',']).next().unwrap();
        let passes = Arc::new(watch::channel(true).0);
        let address = listener.local_addr().unwrap();
        Self { address, server: server.to_owned(), open: None, passes }
    }

    async fn open(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        let (server, passes) = (self.server.clone(), self.passes.clone());
        self.open = Some(tokio::spawn(async move {
            // Dropped with this task, and then so are the connections.
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                connections.spawn(pass(client, server.clone(), passes.subscribe()));
            }
        }));
    }

    async fn cut(&mut self) {
        let open = self.open.take().unwrap();
        open.abort();
        assert!(open.await.unwrap_err().is_cancelled());
    }

    /// Settings that know no other way. A driver that is told of a replica set would go around.
    fn settings(&self, database: &str) -> MongoSettings {
        MongoSettings {
            url: format!("mongodb://{}/?directConnection=true", self.address),
            database: database.to_owned(),
            connect_timeout_ms: 500,
            primary_wait_ms: 500,
            operation_timeout_ms: 2_000,
            ..MongoSettings::default()
        }
    }
}

async fn pass(mut client: TcpStream, server: String, mut passes: watch::Receiver<bool>) {
    let mut server = TcpStream::connect(server).await.unwrap();
    loop {
        passes.wait_for(|passes| *passes).await.unwrap();
        tokio::select! {
            _ = copy_bidirectional(&mut client, &mut server) => return,
            _ = passes.wait_for(|passes| !passes) => {}
        }
    }
}

async fn ask(users: &Users) -> Result<(), StoreError> {
    users.by_id(UserId(1)).await.map(drop)
}

/// Asks, and sees to it that the answer is no and comes in time.
async fn refused(users: &Users, within: Duration) -> String {
    let start = Instant::now();
    let error = ask(users).await.unwrap_err();
    assert_eq!(error.kind, StoreErrorKind::Unavailable, "{error}");
    assert!(start.elapsed() < within, "{:?}", start.elapsed());
    error.to_string()
}

#[tokio::test]
async fn what_is_away_is_unavailable_until_it_is_back() {
    with_database(async |mongo| {
        let mut way = Way::new().await;
        let users = Users(Mongo::open(&way.settings(&mongo.0.settings.database)).unwrap());
        // Twice and a half what an operation may take: the machine may be busy.
        let soon = Duration::from_secs(5);
        refused(&users, soon).await;
        for _ in 0..2 {
            way.open().await;
            eventually("it is there", async || ask(&users).await.ok()).await;
            way.cut().await;
            refused(&users, soon).await;
        }
        way.open().await;
        eventually("it is back", async || ask(&users).await.ok()).await;
        way.passes.send_replace(false);
        let said = refused(&users, soon).await;
        assert!(said.contains("no answer in time"), "{said}");
        way.passes.send_replace(true);
        eventually("it answers again", async || ask(&users).await.ok()).await;
    })
    .await;
}

#[tokio::test]
async fn no_more_wait_than_may() {
    with_database(async |mongo| {
        let mut way = Way::new().await;
        way.open().await;
        let settings = way.settings(&mongo.0.settings.database);
        let settings = MongoSettings { max_connections: 2, max_waiting: 3, ..settings };
        let users = Users(Mongo::open(&settings).unwrap());
        eventually("it is there", async || ask(&users).await.ok()).await;
        way.passes.send_replace(false);
        let answers = join_all((0..20).map(|_| ask(&users))).await;
        let said: Vec<_> = answers.into_iter().map(|a| a.unwrap_err().to_string()).collect();
        let too_many = said.iter().filter(|said| said.contains("too many wait")).count();
        assert_eq!(too_many, 15, "{said:?}");
        way.passes.send_replace(true);
        eventually("it answers again", async || ask(&users).await.ok()).await;
    })
    .await;
}

#[tokio::test]
async fn nothing_is_written_before_the_schema_is_there() {
    let mongo = Mongo::open(&MongoSettings { operation_timeout_ms: 400, ..settings() }).unwrap();
    let users = Users(mongo.clone());
    let said = eventually("an answer from the server", async || {
        let said = ask(&users).await.unwrap_err().to_string();
        said.contains("setup role").then_some(said)
    })
    .await;
    assert!(said.contains("Unavailable"), "{said}");

    let patient = Mongo::open(&settings()).unwrap();
    let others: Vec<_> = (0..4).map(|_| patient.another()).collect();
    let waits = Users(patient.clone());
    let (asked, ..) = tokio::join!(ask(&waits), join_all(others.iter().map(Mongo::migrate)));
    let first_asked = asked;
    mongo.drop_database().await;
    patient.drop_database().await;
    first_asked.unwrap();
}

#[tokio::test]
async fn migrating_again_changes_nothing_and_a_newer_schema_is_refused() {
    with_database(async |mongo| {
        join_all((0..4).map(|_| mongo.migrate())).await.into_iter().for_each(Result::unwrap);
        let database = mongo.database().await.unwrap();
        let conversations = database.collection::<Document>(schema::CONVERSATIONS);
        assert_eq!(conversations.list_index_names().await.unwrap().len(), 8);
        let newer = doc! { "$inc": { "version": 1_i64 } };
        let recorded = database.collection::<Document>("schema");
        assert_eq!(recorded.update_many(doc! {}, newer).await.unwrap().modified_count, 1);
        let users = Users(mongo.another());
        for error in [ask(&users).await.unwrap_err(), mongo.migrate().await.unwrap_err()] {
            assert_eq!(error.kind, StoreErrorKind::Corrupt, "{error}");
            assert!(error.to_string().contains("newer than this program"), "{error}");
        }
    })
    .await;
}

#[test]
fn an_address_with_a_secret_or_without_sense_is_refused_without_repeating_it() {
    let open =
        |url: &str| Mongo::open(&MongoSettings { url: url.to_owned(), ..Default::default() });
    for url in ["mongodb://ann:s3cret@host/?replicaSet=rs0", "mongodb://s3cret@host", "s3cret", ""]
    {
        let said = open(url).unwrap_err().to_string();
        assert!(said.contains("store.mongodb.url"), "{said}");
        assert!(!said.contains("s3cret"), "{said}");
    }
    open("mongodb://a:1,b:2/?replicaSet=rs0&appName=a@b").unwrap();
}

#[tokio::test]
async fn a_missing_password_file_is_named() {
    let settings = MongoSettings {
        url: "mongodb://127.0.0.1:1".to_owned(),
        user: "natter".to_owned(),
        password_file: "/nowhere/mongodb.password".into(),
        ..MongoSettings::default()
    };
    let error = ask(&Users(Mongo::open(&settings).unwrap())).await.unwrap_err();
    assert!(error.to_string().contains("/nowhere/mongodb.password"), "{error}");
}
