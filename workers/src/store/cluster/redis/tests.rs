//! What is refused before there is a connection, and signing in on real servers.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use super::link::Link;
use super::*;
use crate::testing::eventually;
use crate::testing::redis::RedisServer;

const SECRET: &str = "hunter2-and-more";

fn refused(settings: &RedisSettings) -> String {
    let error = Redis::new(settings).unwrap_err();
    let said = format!("{error} {error:?}");
    assert!(!said.contains(SECRET), "{said}");
    said
}

fn at(url: &str) -> RedisSettings {
    RedisSettings { url: url.to_owned(), ..RedisSettings::default() }
}

#[test]
fn an_address_carries_no_password_and_no_user() {
    for url in [
        format!("redis://:{SECRET}@127.0.0.1"),
        format!("rediss://natter:{SECRET}@127.0.0.1:1/2"),
        format!("redis://{SECRET}@127.0.0.1"),
    ] {
        assert!(refused(&at(&url)).contains("store.redis.password_file"), "{url}");
    }
}

#[test]
fn what_is_no_address_is_refused_without_being_shown() {
    for url in
        ["", "redis", "127.0.0.1:6379", "redis://h/x", "redis://:0/?protocol=hunter2-and-more"]
    {
        assert!(refused(&at(url)).contains("store.redis.url"), "{url}");
    }
    assert!(refused(&at(&format!("http://:{SECRET}@h"))).contains("store.redis.url"));
}

#[test]
fn files_that_are_named_must_be_there() {
    let gone = PathBuf::from("/nowhere/secret");
    let password = RedisSettings { password_file: gone.clone(), ..at("redis://h") };
    assert!(refused(&password).contains("store.redis.password_file: /nowhere/secret"));
    let authority = RedisSettings { tls_ca: gone, ..at("rediss://h") };
    assert!(refused(&authority).contains("store.redis.tls_ca: /nowhere/secret"));
    let user = RedisSettings { user: "natter".to_owned(), ..at("redis://h") };
    assert!(refused(&user).contains("needs store.redis.password_file"));
    let empty = tempfile::NamedTempFile::new().unwrap();
    let nothing = RedisSettings { password_file: empty.path().to_owned(), ..at("redis://h") };
    assert!(refused(&nothing).contains("nothing in it"));
}

async fn answers(link: &Link) -> Option<()> {
    let asked = link.ask(async move |mut connection, _| {
        ::redis::cmd("DBSIZE").query_async::<u64>(&mut connection).await
    });
    asked.await.map(|_| ())
}

/// Long enough for several attempts to connect.
async fn stays_without_an_answer(link: &Link) {
    for _ in 0..20 {
        assert_eq!(answers(link).await, None);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn signs_in_with_the_password_that_is_in_the_file_now() {
    let server = RedisServer::with(|_, port| {
        let (port, password) = (port.to_string(), format!(">{SECRET}"));
        let mut arguments = vec!["--port", &port, "--user", "natter", "on", &password];
        arguments.extend(["~natter:*", "+@all", "--user", "default", "off"]);
        arguments.into_iter().map(str::to_owned).collect()
    })
    .await;
    let password_file = server.directory.path().join("password");
    std::fs::write(&password_file, "not this one\n").unwrap();
    let settings = RedisSettings {
        user: "natter".to_owned(),
        password_file: password_file.clone(),
        pause_max_ms: 100,
        ..server.settings()
    };
    let redis = Redis::new(&settings).unwrap();
    let link = Link::start(redis.clone());
    stays_without_an_answer(&link).await;
    std::fs::write(&password_file, format!("{SECRET}\n")).unwrap();
    eventually("the new password is used", async || answers(&link).await).await;
    let shown = format!("{redis:?} {settings:?} {:?}", redis.client().unwrap());
    assert!(!shown.contains(SECRET), "{shown}");
}

/// A certificate for 127.0.0.1 that is its own authority, and its key.
fn certificate(directory: &Path) -> (PathBuf, PathBuf) {
    let (certificate, key) = (directory.join("cert.pem"), directory.join("key.pem"));
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-nodes", "-days", "2", "-subj", "/CN=redis"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args([Path::new("-out"), &certificate, Path::new("-keyout"), &key])
        .output()
        .expect("openssl makes certificates");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    (certificate, key)
}

#[tokio::test]
async fn trusts_the_authority_it_is_given_and_no_other() {
    let server = RedisServer::with(|directory, port| {
        let (certificate, key) = certificate(directory);
        let (certificate, key) = (certificate.display().to_string(), key.display().to_string());
        let port = port.to_string();
        let mut arguments = vec!["--port", "0", "--tls-port", &port, "--tls-auth-clients", "no"];
        arguments.extend(["--tls-cert-file", &certificate, "--tls-ca-cert-file", &certificate]);
        arguments.extend(["--tls-key-file", &key]);
        arguments.into_iter().map(str::to_owned).collect()
    })
    .await;
    let url = server.settings().url.replace("redis://", "rediss://");
    let strange = RedisSettings { url, pause_max_ms: 100, ..RedisSettings::default() };
    let tls_ca = server.directory.path().join("cert.pem");
    let trusted = RedisSettings { tls_ca, ..strange.clone() };
    let link = Arc::new(Link::start(Redis::new(&trusted).unwrap()));
    eventually("the server is trusted", async || answers(&link).await).await;
    stays_without_an_answer(&Link::start(Redis::new(&strange).unwrap())).await;
}
