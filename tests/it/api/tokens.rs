//! What is no valid access token opens nothing.

use natter_tests::client::Api;
use natter_tests::{Context as _, Outcome, ensure};
use reqwest::Method;
use serde_json::json;

use crate::support::{Person, nobody, play};

/// Every route that needs a token, with ids that nobody has.
fn routes() -> Vec<(Method, String)> {
    let id = nobody();
    [
        (Method::GET, "/sessions".to_owned()),
        (Method::DELETE, "/sessions/current".to_owned()),
        (Method::DELETE, format!("/sessions/{id}")),
        (Method::GET, "/users/@me".to_owned()),
        (Method::PATCH, "/users/@me".to_owned()),
        (Method::POST, "/users/@me/password".to_owned()),
        (Method::GET, format!("/users?ids={id}")),
        (Method::GET, "/users/by-username/ann".to_owned()),
        (Method::POST, "/channels".to_owned()),
        (Method::GET, format!("/channels/{id}")),
        (Method::PATCH, format!("/channels/{id}")),
        (Method::DELETE, format!("/channels/{id}")),
        (Method::POST, format!("/channels/{id}/members")),
        (Method::DELETE, format!("/channels/{id}/members/@me")),
        (Method::POST, "/dms".to_owned()),
        (Method::GET, "/conversations".to_owned()),
        (Method::POST, format!("/conversations/{id}/messages")),
        (Method::GET, format!("/conversations/{id}/messages")),
        (Method::GET, format!("/conversations/{id}/entries")),
        (Method::PATCH, format!("/conversations/{id}/messages/{id}")),
        (Method::DELETE, format!("/conversations/{id}/messages/{id}")),
        (Method::PUT, format!("/conversations/{id}/read")),
    ]
    .to_vec()
}

async fn refused_everywhere(api: &Api, why: &str) -> Outcome {
    for (method, path) in routes() {
        let body = json!({ "id": "1", "name": "x", "username": "ann", "content": "x" });
        let body = (method != Method::GET && method != Method::DELETE).then_some(&body);
        let answer = api.call(method, &path, body).await?;
        answer.refused(401, "unauthorized").during(why)?;
    }
    Ok(())
}

/// The token with one character of each of its parts changed, and further things that look like one.
fn forged(person: &Person) -> Vec<String> {
    let token = person.token();
    let mut all = vec![format!("{token}x"), token[..token.len() - 2].to_owned()];
    let mut start = 0;
    for part in token.split('.') {
        let mut bytes = token.as_bytes().to_vec();
        let middle = start + part.len() / 2;
        bytes[middle] = if bytes[middle] == b'A' { b'B' } else { b'A' };
        all.extend(String::from_utf8(bytes));
        start += part.len() + 1;
    }
    let parts: Vec<&str> = token.split('.').collect();
    if let [_, claims, _] = parts[..] {
        // {"alg":"none","typ":"JWT"} and {"alg":"HS256","typ":"JWT"}, with and without a signature.
        for header in
            ["eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0", "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9"]
        {
            all.push(format!("{header}.{claims}."));
            all.push(format!("{header}.{claims}.AAAA"));
        }
    }
    all
}

#[test]
fn without_a_token_everything_is_unauthorized() {
    play(async |world| refused_everywhere(&world.api()?, "no token").await);
}

#[test]
fn a_forged_token_is_unauthorized() {
    play(async |world| {
        let ann = world.person("ann").await?;
        for token in forged(&ann) {
            let answer = ann.api.with_token(&token).get("/users/@me").await?;
            answer.refused(401, "unauthorized").during(&token)?;
        }
        refused_everywhere(&ann.api.with_token(&forged(&ann)[0]), "a forged token").await?;
        ann.api.get("/users/@me").await?.ok(200)?;
        Ok(())
    });
}

#[test]
fn a_refresh_token_is_no_access_token() {
    play(async |world| {
        let ann = world.person("ann").await?;
        let api = ann.api.with_token(&ann.account.refresh);
        api.get("/users/@me").await?.refused(401, "unauthorized")?;
        Ok(())
    });
}

#[test]
fn another_scheme_is_unauthorized() {
    play(async |world| {
        let ann = world.person("ann").await?;
        for header in ["", "Bearer", "Bearer ", "Basic YTpi", ann.token()] {
            let headers = [("authorization", header)];
            let answer = world.api()?.raw(Method::GET, "/v1/users/@me", None, &headers).await?;
            ensure!(answer.status == 401, "{header:?}: {answer:?}");
            answer.refused(401, "unauthorized")?;
        }
        Ok(())
    });
}
