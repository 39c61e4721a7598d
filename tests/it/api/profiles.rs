//! GET and PATCH /users/@me, the password, and looking up users.

use natter_tests::client::{Account, nonce};
use natter_tests::eventually::{Seen, eventually};
use natter_tests::json::Look as _;
use natter_tests::{Context as _, ensure};
use serde_json::{Value, json};

use crate::support::{PASSWORD, SOON, nobody, play, unique};

#[test]
fn a_changed_profile_is_answered_and_seen_at_once_on_every_edge() {
    play(async |world| {
        let (ann, bob) = (world.person("ann").await?, world.person_on(1, "bob").await?);
        let change =
            json!({ "display_name": " Ann II ", "avatar_url": "https://a.example/ann.png" });
        let user = ann.api.patch("/users/@me", &change).await?.ok(200)?;
        assert_eq!(user.text("display_name")?, "Ann II");
        assert_eq!(user.text("username")?, ann.name());
        assert_eq!(ann.api.get("/users/@me").await?.ok(200)?, user);
        let seen = bob.api.get(&format!("/users/by-username/{}", ann.name())).await?.ok(200)?;
        assert_eq!(seen, user);
        let cleared = ann.api.patch("/users/@me", &json!({ "avatar_url": null })).await?.ok(200)?;
        assert_eq!(cleared.at("avatar_url")?, &Value::Null);
        assert_eq!(cleared.text("display_name")?, "Ann II", "what is not given stays");
        Ok(())
    });
}

#[test]
fn profiles_outside_of_the_bounds_are_refused_and_change_nothing() {
    play(async |world| {
        let ann = world.person("ann").await?;
        let long = format!("https://a.example/{}", "x".repeat(512));
        let name = "x".repeat(65);
        for wrong in [
            json!({ "display_name": "" }),
            json!({ "display_name": " \t " }),
            json!({ "display_name": name }),
            json!({ "display_name": "a\u{7}b" }),
            json!({ "display_name": "a\u{202d}b" }),
            json!({ "display_name": 5 }),
            json!({ "avatar_url": "ftp://a.example/x" }),
            json!({ "avatar_url": "javascript:alert(1)" }),
            json!({ "avatar_url": "data:image/png;base64,AA" }),
            json!({ "avatar_url": "" }),
            json!({ "avatar_url": long }),
            json!({ "avatar_url": 5 }),
            json!({ "username": "a" }),
            json!({ "username": "a b" }),
            json!({ "username": 7 }),
            json!({ "display_name": "good", "avatar_url": "bad" }),
        ] {
            let answer = ann.api.patch("/users/@me", &wrong).await?;
            answer.refused(400, "bad_request").during(&wrong)?;
        }
        assert_eq!(ann.api.get("/users/@me").await?.ok(200)?, ann.account.user);
        let exact = format!("https://a.example/{}", "x".repeat(494));
        assert_eq!(exact.len(), 512);
        ann.api.patch("/users/@me", &json!({ "avatar_url": exact })).await?.ok(200)?;
        Ok(())
    });
}

#[test]
fn a_new_username_is_valid_at_once_and_the_old_one_free() {
    play(async |world| {
        let ann = world.person("ann").await?;
        let (old, new) = (ann.name().to_owned(), unique("anna"));
        let change = json!({ "username": new.to_uppercase() });
        assert_eq!(ann.api.patch("/users/@me", &change).await?.ok(200)?.text("username")?, new);
        assert_eq!(Account::sign_in(&ann.api, &new, PASSWORD).await?.id, ann.id());
        let body = json!({ "username": old, "password": PASSWORD });
        world.api()?.post("/sessions", &body).await?.refused(401, "unauthorized")?;
        let other = Account::register(&world.api()?, &old, PASSWORD, None).await?;
        assert_ne!(other.id, ann.id());
        Ok(())
    });
}

#[test]
fn a_username_that_another_has_is_refused() {
    play(async |world| {
        let (ann, bob) = (world.person("ann").await?, world.person("bob").await?);
        let wanted = json!({ "username": ann.name().to_uppercase() });
        bob.api.patch("/users/@me", &wanted).await?.refused(409, "username_taken")?;
        assert_eq!(bob.api.get("/users/@me").await?.ok(200)?, bob.account.user);
        let own = json!({ "username": bob.name() });
        bob.api.patch("/users/@me", &own).await?.ok(200)?;
        Ok(())
    });
}

#[test]
fn a_new_password_ends_the_other_sessions_only() {
    play(async |world| {
        let ann = world.person("ann").await?;
        let phone = ann.again_on(ann.other_edge()).await?;
        let mut socket = phone.session().await?;
        let mut own = ann.session().await?;
        let change = json!({ "old": PASSWORD, "new": "battery horse correct" });
        ann.api.post("/users/@me/password", &change).await?.ok(204)?;
        assert_eq!(socket.closed().await?, 4004);
        eventually("the other session's token is refused", SOON, async || {
            let answer = phone.api.get("/users/@me").await?;
            Ok(Seen::when(answer.status == 401, format!("{answer:?}")))
        })
        .await?;
        ann.api.get("/users/@me").await?.ok(200)?;
        let dm = ann.dm(&world.person("bob").await?).await?;
        own.say(dm, "still here").await?;
        let body = json!({ "username": ann.name(), "password": PASSWORD });
        world.api()?.post("/sessions", &body).await?.refused(401, "unauthorized")?;
        Account::sign_in(&world.api()?, ann.name(), "battery horse correct").await?;
        let refresh = json!({ "refresh_token": ann.account.refresh, "nonce": nonce() });
        world.api()?.post("/sessions/refresh", &refresh).await?.ok(200)?;
        Ok(())
    });
}

#[test]
fn a_password_change_needs_the_old_one_and_a_good_new_one() {
    play(async |world| {
        let ann = world.person("ann").await?;
        let path = "/users/@me/password";
        let wrong = json!({ "old": "wrong horse battery", "new": "battery horse correct" });
        ann.api.post(path, &wrong).await?.refused(403, "forbidden")?;
        for new in ["short", &"x".repeat(257)] {
            let wrong = json!({ "old": PASSWORD, "new": new });
            ann.api.post(path, &wrong).await?.refused(400, "bad_request")?;
        }
        Account::sign_in(&ann.api, ann.name(), PASSWORD).await?;
        Ok(())
    });
}

#[test]
fn users_are_looked_up_by_ids_and_unknown_ones_left_out() {
    play(async |world| {
        let (ann, bob) = (world.person("ann").await?, world.person("bob").await?);
        let path = format!("/users?ids={},{},{}", bob.id(), nobody(), ann.id());
        let users = ann.api.get(&path).await?.ok(200)?;
        let mut ids: Vec<u64> =
            users.list("users")?.iter().map(|user| user.id("id")).collect::<Result<_, _>>()?;
        ids.sort_unstable();
        let mut wanted = [ann.id(), bob.id()];
        wanted.sort_unstable();
        assert_eq!(ids, wanted);
        ensure!(users.list("users")?.contains(&bob.account.user), "{users}");
        Ok(())
    });
}

#[test]
fn at_most_a_hundred_ids_and_only_ids_are_looked_up() {
    play(async |world| {
        let ann = world.person("ann").await?;
        let list = |count: usize| vec![ann.id().to_string(); count].join(",");
        let many: Vec<String> = (0..100).map(|_| nobody().to_string()).collect();
        ann.api.get(&format!("/users?ids={}", many.join(","))).await?.ok(200)?;
        for wrong in [
            list(101),
            "abc".into(),
            "1,,2".into(),
            "-1".into(),
            "1.5".into(),
            "99999999999999999999".into(),
        ] {
            ann.api.get(&format!("/users?ids={wrong}")).await?.refused(400, "bad_request")?;
        }
        Ok(())
    });
}

#[test]
fn a_name_that_nobody_has_is_not_found() {
    play(async |world| {
        let ann = world.person("ann").await?;
        for name in [unique("nobody").as_str(), "a", "%00", "%F0%9F%A6%A6", "x%2Fy"] {
            let answer = ann.api.get(&format!("/users/by-username/{name}")).await?;
            answer.refused(404, "not_found").during(name)?;
        }
        Ok(())
    });
}

#[test]
fn a_new_name_shows_on_old_messages_at_the_next_pull() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        owner.post(channel, "from before").await?;
        let change = json!({ "display_name": "renamed" });
        let user = owner.api.patch("/users/@me", &change).await?.ok(200)?;
        eventually("the new name is on the page", SOON, async || {
            let path = format!("/conversations/{channel}/messages");
            let page = member.api.get(&path).await?.ok(200)?;
            Ok(Seen::when(page.list("users")?.contains(&user), page))
        })
        .await
    });
}
