//! Every route that takes a body, with bodies that nobody should send.

use std::time::Duration;

use natter_tests::client::nonce;
use natter_tests::{Context as _, Outcome, ensure};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use reqwest::Method;
use serde_json::{Value, json};

use super::bystanders::Bystanders;
use super::mutate;
use crate::support::{PASSWORD, Person, World, play_within, unique};

/// A route, and a body it would accept.
type Route = (Method, String, Value);

/// Random changes to each valid body.
const MUTATIONS: usize = 60;

async fn routes(world: &World) -> Outcome<(Person, Vec<Route>)> {
    let ann = world.person("ann").await?;
    let bob = world.person("bob").await?;
    let channel = ann.channel("den").await?;
    let message = ann.post(channel, "hello").await?;
    let name = unique("other");
    let routes = vec![
        (Method::POST, "/accounts".to_owned(), json!({ "username": name, "password": PASSWORD })),
        (
            Method::POST,
            "/sessions".to_owned(),
            json!({ "username": ann.name(), "password": PASSWORD }),
        ),
        (
            Method::POST,
            "/sessions/refresh".to_owned(),
            json!({ "refresh_token": "x", "nonce": "y" }),
        ),
        (Method::PATCH, "/users/@me".to_owned(), json!({ "display_name": "Ann" })),
        (
            Method::POST,
            "/users/@me/password".to_owned(),
            json!({ "old": "wrong horse battery", "new": PASSWORD }),
        ),
        (Method::POST, "/channels".to_owned(), json!({ "name": "x", "nonce": nonce() })),
        (Method::PATCH, format!("/channels/{channel}"), json!({ "name": "lair" })),
        (Method::POST, format!("/channels/{channel}/members"), json!({ "username": bob.name() })),
        (Method::POST, "/dms".to_owned(), json!({ "username": bob.name() })),
        (
            Method::POST,
            format!("/conversations/{channel}/messages"),
            json!({ "content": "hello", "nonce": nonce() }),
        ),
        (
            Method::PATCH,
            format!("/conversations/{channel}/messages/{message}"),
            json!({ "content": "HELLO" }),
        ),
        (
            Method::PUT,
            format!("/conversations/{channel}/read"),
            json!({ "id": message.to_string() }),
        ),
    ];
    Ok((ann, routes))
}

/// Bodies that are no JSON object of any kind.
fn hopeless() -> Vec<Vec<u8>> {
    let deep = format!("{}1{}", "[".repeat(20_000), "]".repeat(20_000));
    let mut bodies: Vec<Vec<u8>> =
        ["", "{", "[1", "nul", "{\"a\":}", "{'a':1}", "{\"a\":1}}", "\u{feff}{}", "\u{0}"]
            .map(|text| text.as_bytes().to_vec())
            .to_vec();
    bodies.push(b"{\"username\":\"\xff\xfe\"}".to_vec());
    bodies.push(deep.into_bytes());
    bodies
}

#[test]
fn what_is_no_json_is_a_bad_request() {
    play_within(Duration::from_mins(2), async |world| {
        let bystanders = Bystanders::new(&world).await?;
        let (ann, routes) = routes(&world).await?;
        for (method, path, _) in &routes {
            for body in hopeless() {
                let start = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
                let path = format!("/v1{path}");
                let answer = ann.api.raw(method.clone(), &path, Some(body), &[]).await?;
                answer.refused(400, "bad_request").during(start)?;
            }
        }
        bystanders.undisturbed().await
    });
}

#[test]
fn what_is_too_large_is_413() {
    play_within(Duration::from_mins(1), async |world| {
        let (ann, routes) = routes(&world).await?;
        for (method, path, valid) in &routes {
            let mut body = valid.clone();
            body["padding"] = "x".repeat(512 * 1024).into();
            let answer = ann.api.call(method.clone(), path, Some(&body)).await?;
            answer.refused(413, "too_large")?;
        }
        ann.api.get("/users/@me").await?.ok(200)?;
        Ok(())
    });
}

#[test]
fn changed_bodies_are_answered_or_refused_as_documented() {
    play_within(Duration::from_mins(5), async |world| {
        let bystanders = Bystanders::new(&world).await?;
        let (ann, routes) = routes(&world).await?;
        let mut random = StdRng::seed_from_u64(0x726f_7574_6573);
        for (method, path, valid) in &routes {
            for turn in 0..MUTATIONS {
                let body = if turn % 2 == 0 {
                    mutate::value(valid, &mut random).to_string().into_bytes()
                } else {
                    mutate::bytes(&valid.to_string(), &mut random)
                };
                let shown = String::from_utf8_lossy(&body).into_owned();
                let full = format!("/v1{path}");
                let answer =
                    ann.api.raw(method.clone(), &full, Some(body), &[]).await.during(&shown)?;
                let documented = match answer.status {
                    200 | 201 | 204 => answer.code().is_none(),
                    400 | 401 | 403 | 404 | 409 | 413 | 429 => answer.code().is_some(),
                    _ => false,
                };
                ensure!(documented, "{shown}: {answer:?}");
                let own = ann.api.get("/users/@me").await?;
                ensure!(own.status == 200, "{shown} ended the session: {own:?}");
            }
        }
        bystanders.undisturbed().await
    });
}

#[test]
fn a_method_that_a_path_has_not_is_405_or_404_and_changes_nothing() {
    play_within(Duration::from_mins(1), async |world| {
        let bystanders = Bystanders::new(&world).await?;
        let channel = bystanders.channel;
        for (method, path) in [
            (Method::PUT, "/accounts".to_owned()),
            (Method::DELETE, "/accounts".to_owned()),
            (Method::POST, format!("/channels/{channel}")),
            (Method::PATCH, format!("/conversations/{channel}/messages")),
            (Method::DELETE, format!("/conversations/{channel}/messages")),
            (Method::DELETE, format!("/conversations/{channel}")),
            (Method::POST, format!("/conversations/{channel}/entries")),
        ] {
            let url = format!("{}/v1{path}", bystanders.owner.edge);
            let client = reqwest::Client::new();
            let sent = client.request(method.clone(), url).bearer_auth(bystanders.owner.token());
            let status = sent.send().await?.status().as_u16();
            ensure!(matches!(status, 404 | 405), "{method} {path}: {status}");
        }
        bystanders.undisturbed().await
    });
}
