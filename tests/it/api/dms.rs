//! POST /dms.

use futures::future::join_all;
use natter_tests::Outcome;
use natter_tests::json::Look as _;
use serde_json::{Value, json};

use crate::support::{find, nobody, play, unique};

#[test]
fn a_dm_is_the_same_whoever_opens_it_whenever() {
    play(async |world| {
        let (ann, bob) = (world.person("ann").await?, world.person_on(1, "bob").await?);
        let body = json!({ "username": bob.name().to_uppercase() });
        let answer = ann.api.post("/dms", &body).await?.ok(200)?;
        assert_eq!(answer.at("user")?, &bob.account.user);
        let dm = answer.id("id")?;
        assert_eq!(ann.dm(&bob).await?, dm);
        let other = bob.api.post("/dms", &json!({ "username": ann.name() })).await?.ok(200)?;
        assert_eq!(other.id("id")?, dm);
        assert_eq!(other.at("user")?, &ann.account.user);
        Ok(())
    });
}

#[test]
fn a_dm_opened_by_both_at_once_is_one() {
    play(async |world| {
        let (ann, bob) = (world.person("ann").await?, world.person_on(1, "bob").await?);
        let pairs = [(&ann, &bob), (&bob, &ann)].into_iter().cycle().take(8);
        let opened = join_all(pairs.map(|(from, to)| from.dm(to))).await;
        let mut ids: Vec<u64> = opened.into_iter().collect::<Outcome<_>>()?;
        ids.dedup();
        assert_eq!(ids.len(), 1);
        Ok(())
    });
}

#[test]
fn with_oneself_or_nobody_there_is_none() {
    play(async |world| {
        let ann = world.person("ann").await?;
        let own = json!({ "username": ann.name() });
        ann.api.post("/dms", &own).await?.refused(400, "bad_request")?;
        let missing = json!({ "username": unique("nobody") });
        ann.api.post("/dms", &missing).await?.refused(404, "not_found")?;
        for wrong in [json!({}), json!({ "username": 5 }), json!(null), json!("ann")] {
            ann.api.post("/dms", &wrong).await?.refused(400, "bad_request")?;
        }
        Ok(())
    });
}

#[test]
fn it_shows_to_its_opener_at_once_and_to_the_partner_with_its_first_message() {
    play(async |world| {
        let (ann, bob) = (world.person("ann").await?, world.person_on(1, "bob").await?);
        let dm = ann.dm(&bob).await?;
        let shown = ann.listed(dm).await?;
        let wanted = json!({
            "id": dm.to_string(), "kind": "dm", "user_id": bob.id().to_string(),
            "last_id": null, "read_id": null, "unread": 0,
        });
        for (key, value) in wanted.as_object().into_iter().flatten() {
            assert_eq!(shown.as_ref().map(|shown| &shown[key]), Some(value), "{key}");
        }
        assert_eq!(find(&bob.ready(&bob.edge).await?, dm)?, None);
        let message = ann.post(dm, "hello").await?;
        let shown = bob.will_list(dm, "the DM", |dm| dm["unread"] == 1).await?;
        assert_eq!(shown.id("user_id")?, ann.id());
        assert_eq!(shown.id("last_id")?, message);
        Ok(())
    });
}

#[test]
fn a_third_person_finds_no_dm() {
    play(async |world| {
        let (ann, bob) = (world.person("ann").await?, world.person("bob").await?);
        let carl = world.person_on(1, "carl").await?;
        let dm = ann.dm(&bob).await?;
        let message = ann.post(dm, "between us").await?;
        let words = json!({ "content": "x" });
        for id in [dm, nobody()] {
            let path = format!("/conversations/{id}/messages");
            carl.api.get(&path).await?.refused(404, "not_found")?;
            carl.api.post(&path, &words).await?.refused(404, "not_found")?;
            let path = format!("{path}/{message}");
            carl.api.patch(&path, &words).await?.refused(404, "not_found")?;
            carl.api.delete(&path).await?.refused(404, "not_found")?;
            let path = format!("/conversations/{id}/entries");
            carl.api.get(&path).await?.refused(404, "not_found")?;
            let path = format!("/conversations/{id}/read");
            let marker = json!({ "id": message.to_string() });
            carl.api.put(&path, &marker).await?.refused(404, "not_found")?;
        }
        Ok(())
    });
}

#[test]
fn both_may_delete_only_what_is_theirs() {
    play(async |world| {
        let (ann, bob) = (world.person("ann").await?, world.person_on(1, "bob").await?);
        let dm = ann.dm(&bob).await?;
        let message = ann.post(dm, "mine").await?;
        let path = format!("/conversations/{dm}/messages/{message}");
        bob.api.delete(&path).await?.refused(403, "forbidden")?;
        ann.delete(dm, message).await?;
        let page = bob.api.get(&format!("/conversations/{dm}/messages")).await?.ok(200)?;
        assert_eq!(page.at("messages")?, &Value::Array(Vec::new()));
        Ok(())
    });
}
