//! GET /edges, what needs no prefix, and Origins.

use natter_tests::client::Socket;
use natter_tests::eventually::{Seen, eventually};
use natter_tests::json::Look as _;
use natter_tests::{Context as _, ensure};
use reqwest::Method;
use serde_json::Value;

use crate::support::{SOON, play};

#[test]
fn every_edge_names_all_edges() {
    play(async |world| {
        let ann = world.person("ann").await?;
        let mut wanted = world.edges.clone();
        wanted.sort();
        for edge in &world.edges {
            let api = ann.api.at(edge);
            eventually("all edges are named", SOON, async || {
                let answer = api.get("/edges").await?.ok(200)?;
                let urls = answer.list("edges")?.iter().filter_map(Value::as_str);
                let mut urls: Vec<_> = urls.map(str::to_owned).collect();
                urls.sort();
                Ok(Seen::when(urls == wanted, answer))
            })
            .await?;
            let ready = ann.ready(edge).await?;
            assert_eq!(ready.list("edges")?.len(), wanted.len());
        }
        Ok(())
    });
}

#[test]
fn an_edge_says_that_it_is_well() {
    play(async |world| {
        for edge in &world.edges {
            for path in ["/healthz", "/readyz"] {
                let answer = reqwest::get(format!("{edge}{path}")).await?;
                assert_eq!(answer.status(), 200, "{edge}{path}");
            }
        }
        Ok(())
    });
}

#[test]
fn the_protocol_is_described_in_two_documents() {
    play(async |world| {
        for (path, key) in [("/openapi.json", "openapi"), ("/asyncapi.json", "asyncapi")] {
            let document = world.api()?.raw(Method::GET, path, None, &[]).await?.ok(200)?;
            document.text(key).during(path)?;
            document.text("info/title").during(path)?;
        }
        let openapi = world.api()?.raw(Method::GET, "/openapi.json", None, &[]).await?.ok(200)?;
        let paths = openapi.at("paths")?.as_object().during("paths")?;
        // Whatever its parameters are called.
        let named =
            |path: &String| path.contains("/conversations/{") && path.ends_with("/messages");
        ensure!(paths.keys().any(|path| path.ends_with("/accounts")), "accounts: {openapi}");
        ensure!(paths.keys().any(named), "messages: {openapi}");
        Ok(())
    });
}

#[test]
fn any_page_may_call_but_never_with_credentials() {
    play(async |world| {
        let headers = [("origin", "https://elsewhere.example")];
        let answer = world.api()?.raw(Method::GET, "/v1/users/@me", None, &headers).await?;
        let header = |name: &str| answer.headers.get(name).and_then(|value| value.to_str().ok());
        assert_eq!(header("access-control-allow-origin"), Some("*"));
        assert_eq!(header("access-control-allow-credentials"), None);
        assert_eq!(header("set-cookie"), None);
        Ok(())
    });
}

#[test]
fn a_preflight_is_answered() {
    play(async |world| {
        let url = format!("{}/v1/channels", world.edges[0]);
        let answer = reqwest::Client::new()
            .request(Method::OPTIONS, url)
            .header("origin", "https://elsewhere.example")
            .header("access-control-request-method", "PATCH")
            .header("access-control-request-headers", "authorization,content-type")
            .send()
            .await?;
        ensure!(answer.status().is_success(), "{answer:?}");
        let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok());
        assert_eq!(header("access-control-allow-origin"), Some("*"));
        let allowed = header("access-control-allow-headers").unwrap_or_default().to_lowercase();
        ensure!(allowed.contains("authorization"), "{allowed}");
        Ok(())
    });
}

#[test]
fn websockets_are_for_our_own_pages() {
    play(async |world| {
        let (own, other) = (&world.edges[0], &world.edges[1]);
        for origin in [own, other] {
            let opened = Socket::open_from(own, origin).await?;
            ensure!(opened.is_ok(), "{origin} was refused");
        }
        for origin in ["https://elsewhere.example", "null", "http://127.0.0.1:1", "file://"] {
            let opened = Socket::open_from(own, origin).await?;
            assert_eq!(opened.err(), Some(403), "{origin}");
        }
        Ok(())
    });
}

#[test]
fn an_unknown_path_is_not_found() {
    play(async |world| {
        let ann = world.person("ann").await?;
        for path in ["/nothing", "/channels/1/2/3/4", "/users/@you"] {
            let answer = ann.api.get(path).await?;
            ensure!(answer.status == 404, "{path}: {answer:?}");
        }
        Ok(())
    });
}
