//! Whole processes: all roles, some roles, roles that cannot start.

use bus_schema::runtime::shutdown::Shutdown;
use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::*;
use crate::testing::{NatsServer, PATIENCE, eventually};

struct Process {
    admin: SocketAddr,
    shutdown: Shutdown,
    task: JoinHandle<Result<(), RunError>>,
}

/// A port that was free a moment ago.
async fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

async fn start(server: &NatsServer, roles: &[Role]) -> Process {
    let mut settings = Settings::default();
    settings.bus = server.settings.clone();
    settings.store.embedded = server.directory.path().join("store");
    settings.workers.roles = roles.to_vec();
    settings.workers.admin_listen = free_address().await;
    settings.auth.argon2_memory_kib = 64;
    let (admin, shutdown) = (settings.workers.admin_listen, Shutdown::new());
    let stop = shutdown.clone();
    let metrics = PrometheusBuilder::new().build_recorder().handle();
    let task = tokio::spawn(async move { run(&settings, metrics, stop).await });
    Process { admin, shutdown, task }
}

impl Process {
    /// The status line and the body of a page of the admin port.
    async fn page(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.admin).await.ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.ok()?;
        Some(answer)
    }

    async fn becomes(&self, wanted: &str) {
        eventually(wanted, async || self.page("/readyz").await?.contains(wanted).then_some(()))
            .await;
    }

    async fn ended(self) -> Result<(), RunError> {
        tokio::time::timeout(PATIENCE, self.task).await.expect("ends in time").unwrap()
    }
}

#[tokio::test]
async fn all_roles_together_become_ready_and_stop_in_good_order() {
    let server = NatsServer::start().await;
    let process = start(&server, &Role::ALL).await;
    process.becomes("200 OK").await;
    assert!(process.page("/healthz").await.unwrap().contains("200 OK"));
    process.shutdown.request();
    process.ended().await.unwrap();
    let again = start(&server, &Role::ALL).await;
    again.becomes("200 OK").await;
    again.shutdown.request();
    again.ended().await.unwrap();
}

#[tokio::test]
async fn roles_of_several_processes_wait_for_setup() {
    let server = NatsServer::start().await;
    let history = start(&server, &[Role::History, Role::Persister]).await;
    history.becomes("history does not serve yet").await;
    let channels = start(&server, &[Role::Channels, Role::Auth]).await;
    channels.becomes("channels does not serve yet").await;
    let setup = start(&server, &[Role::Setup]).await;
    setup.ended().await.unwrap();
    history.becomes("200 OK").await;
    channels.becomes("200 OK").await;
    for process in [history, channels] {
        process.shutdown.request();
        process.ended().await.unwrap();
    }
}

#[tokio::test]
async fn losing_nats_is_not_being_ready() {
    let server = NatsServer::start().await;
    let process = start(&server, &[Role::Auth]).await;
    process.becomes("200 OK").await;
    drop(server);
    process.becomes("auth has lost NATS").await;
    process.shutdown.request();
    process.ended().await.unwrap();
}

#[tokio::test]
async fn what_cannot_start_ends_the_process_and_says_why() {
    let mut server = NatsServer::start().await;
    let nothing = start(&server, &[]).await.ended().await.unwrap_err();
    assert!(matches!(nothing, RunError::NoRoles));
    std::fs::remove_file(server.settings.secrets.join("auth.creds")).unwrap();
    let keyless = start(&server, &[Role::Auth, Role::Profiles]).await.ended().await.unwrap_err();
    assert!(keyless.to_string().starts_with("auth: cannot read the credentials"), "{keyless}");
    server.settings.url = format!("nats://{}", free_address().await);
    server.settings.start_wait_s = 0;
    let alone = start(&server, &[Role::Profiles]).await.ended().await.unwrap_err();
    assert!(alone.to_string().starts_with("profiles: cannot connect to NATS"), "{alone}");
    let occupied = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut settings = Settings::default();
    settings.workers.admin_listen = occupied.local_addr().unwrap();
    let metrics = PrometheusBuilder::new().build_recorder().handle();
    let refused = run(&settings, metrics, Shutdown::new()).await.unwrap_err();
    assert!(matches!(refused, RunError::Admin(..)), "{refused}");
}
