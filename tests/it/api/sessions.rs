//! POST /sessions, POST /sessions/refresh, GET /sessions, DELETE /sessions/{id or current}.

use natter_tests::client::{Account, Api, nonce};
use natter_tests::eventually::{Seen, eventually};
use natter_tests::json::Look as _;
use natter_tests::{Outcome, ensure};
use serde_json::{Value, json};

use crate::support::{PASSWORD, Person, SOON, play, unique};

async fn refresh(api: &Api, token: &str, nonce: Option<&str>) -> Outcome<Result<Value, ()>> {
    let mut body = json!({ "refresh_token": token });
    if let Some(nonce) = nonce {
        body["nonce"] = nonce.into();
    }
    let answer = api.post("/sessions/refresh", &body).await?;
    if answer.status == 401 {
        answer.refused(401, "unauthorized")?;
        return Ok(Err(()));
    }
    Ok(Ok(answer.ok(200)?))
}

/// Waits until the access token is refused: it may take 5 s.
async fn ends(person: &Person) -> Outcome {
    eventually("the access token is refused", SOON, async || {
        let answer = person.api.get("/users/@me").await?;
        Ok(Seen::when(answer.code() == Some("unauthorized"), format!("{answer:?}")))
    })
    .await
}

async fn ids(person: &Person) -> Outcome<Vec<u64>> {
    let answer = person.api.get("/sessions").await?.ok(200)?;
    answer.list("sessions")?.iter().map(|session| session.id("id")).collect()
}

#[test]
fn signing_in_answers_like_registering() {
    play(async |world| {
        let ann = world.person("ann").await?;
        let again = ann.again_on(ann.other_edge()).await?;
        assert_eq!(again.account.user, ann.account.user);
        assert_ne!(again.account.refresh, ann.account.refresh);
        assert_eq!(ids(&again).await?.len(), 2);
        ann.api.get("/users/@me").await?.ok(200)?;
        Ok(())
    });
}

#[test]
fn a_wrong_password_and_an_unknown_name_are_told_apart_by_nobody() {
    play(async |world| {
        let ann = world.person("ann").await?;
        let mut errors = Vec::new();
        for name in [ann.name(), &unique("nobody")] {
            let body = json!({ "username": name, "password": "wrong horse battery" });
            let answer = world.api()?.post("/sessions", &body).await?;
            errors.push(answer.refused(401, "unauthorized")?);
        }
        assert_eq!(errors[0], errors[1]);
        Ok(())
    });
}

#[test]
fn a_refresh_gives_new_tokens() {
    play(async |world| {
        let (api, ann) = (world.api()?, world.person("ann").await?);
        let answer = refresh(&api, &ann.account.refresh, None).await?;
        let answer = answer.map_err(|()| natter_tests::Failure::new("refused"))?;
        let fresh = Account::read(&answer, PASSWORD)?;
        assert_ne!(fresh.refresh, ann.account.refresh);
        assert_eq!(fresh.id, ann.id());
        api.with_token(&fresh.access).get("/users/@me").await?.ok(200)?;
        assert_eq!(ids(&ann).await?.len(), 1, "a refresh is no new session");
        Ok(())
    });
}

#[test]
fn a_refresh_repeated_with_its_nonce_gets_the_same_answer() {
    play(async |world| {
        let ann = world.person("ann").await?;
        let once = nonce();
        let first = refresh(&ann.api, &ann.account.refresh, Some(&once)).await?;
        let elsewhere = ann.api.at(ann.other_edge());
        let second = refresh(&elsewhere, &ann.account.refresh, Some(&once)).await?;
        let tokens =
            |answer: &Value| (answer["access_token"].clone(), answer["refresh_token"].clone());
        ensure!(first.is_ok(), "the first refresh was refused");
        assert_eq!(first.as_ref().map(tokens), second.as_ref().map(tokens));
        Ok(())
    });
}

#[test]
fn an_old_refresh_token_used_otherwise_ends_the_session() {
    play(async |world| {
        for (first, second) in [(None, None), (Some("one"), Some("two")), (Some("one"), None)] {
            let ann = world.person("ann").await?;
            let answer = refresh(&ann.api, &ann.account.refresh, first).await?;
            let fresh = answer.map_err(|()| natter_tests::Failure::new("refused"))?;
            let reused = refresh(&ann.api, &ann.account.refresh, second).await?;
            ensure!(reused.is_err(), "{first:?} then {second:?}: an old token was accepted");
            let latest = refresh(&ann.api, fresh.text("refresh_token")?, None).await?;
            ensure!(latest.is_err(), "{first:?} then {second:?}: the session goes on");
            ends(&ann).await?;
        }
        Ok(())
    });
}

#[test]
fn what_is_no_refresh_token_is_refused() {
    play(async |world| {
        let (api, ann) = (world.api()?, world.person("ann").await?);
        for wrong in ["", "x", ann.token(), &"x".repeat(5000), "a.b.c", "../.."] {
            ensure!(refresh(&api, wrong, None).await?.is_err(), "{wrong:?} was accepted");
        }
        for wrong in [json!({}), json!({ "refresh_token": 5 }), json!([])] {
            api.post("/sessions/refresh", &wrong).await?.refused(400, "bad_request")?;
        }
        ann.api.get("/users/@me").await?.ok(200)?;
        Ok(())
    });
}

#[test]
fn ending_another_session_leaves_this_one() {
    play(async |world| {
        let ann = world.person("ann").await?;
        let old = ids(&ann).await?;
        let phone = ann.again_on(ann.other_edge()).await?;
        let new: Vec<u64> = ids(&ann).await?.into_iter().filter(|id| !old.contains(id)).collect();
        assert_eq!(new.len(), 1);
        let mut socket = phone.session().await?;
        ann.api.delete(&format!("/sessions/{}", new[0])).await?.ok(204)?;
        assert_eq!(socket.closed().await?, 4004);
        ends(&phone).await?;
        ensure!(
            refresh(&phone.api, &phone.account.refresh, None).await?.is_err(),
            "still refreshes"
        );
        ann.api.get("/users/@me").await?.ok(200)?;
        assert_eq!(ids(&ann).await?, old);
        Ok(())
    });
}

#[test]
fn signing_out_ends_the_current_session() {
    play(async |world| {
        let ann = world.person("ann").await?;
        let mut socket = ann.session().await?;
        ann.api.delete("/sessions/current").await?.ok(204)?;
        assert_eq!(socket.closed().await?, 4004);
        ends(&ann).await?;
        let again = ann.again_on(&ann.edge).await?;
        assert_eq!(ids(&again).await?.len(), 1);
        Ok(())
    });
}

#[test]
fn somebody_elses_session_is_not_found() {
    play(async |world| {
        let (ann, bob) = (world.person("ann").await?, world.person("bob").await?);
        let session = ids(&ann).await?[0];
        for id in [session.to_string(), "1".into(), "abc".into(), "-1".into()] {
            bob.api.delete(&format!("/sessions/{id}")).await?.refused(404, "not_found")?;
        }
        assert_eq!(ids(&ann).await?, [session]);
        Ok(())
    });
}
