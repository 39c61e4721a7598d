//! POST /accounts.

use futures::future::join_all;
use natter_tests::client::{Account, Api};
use natter_tests::json::Look as _;
use natter_tests::{Outcome, ensure};
use serde_json::{Value, json};

use crate::support::{PASSWORD, play, unique};

fn body(username: &str) -> Value {
    json!({ "username": username, "password": PASSWORD })
}

async fn refuses(api: &Api, body: &Value) -> Outcome {
    api.post("/accounts", body).await?.refused(400, "bad_request").map(drop)
}

#[test]
fn registering_answers_with_the_user_and_tokens() {
    play(async |world| {
        let name = unique("ann");
        let mut body = body(&name);
        body["display_name"] = "Ann".into();
        let answer = world.api()?.post("/accounts", &body).await?.ok(201)?;
        assert!(answer.id("user/id")? > 0);
        assert_eq!(answer.text("user/username")?, name);
        assert_eq!(answer.text("user/display_name")?, "Ann");
        assert_eq!(answer.at("user/avatar_url")?, &Value::Null);
        assert!(!answer.flag("user/bot")?);
        let account = Account::read(&answer, PASSWORD)?;
        let api = world.api()?.with_token(&account.access);
        assert_eq!(&api.get("/users/@me").await?.ok(200)?, answer.at("user")?);
        Ok(())
    });
}

#[test]
fn an_account_works_on_every_edge_at_once() {
    play(async |world| {
        let ann = world.person("ann").await?;
        let elsewhere = ann.api.at(ann.other_edge());
        assert_eq!(elsewhere.get("/users/@me").await?.ok(200)?, ann.account.user);
        Ok(())
    });
}

#[test]
fn a_username_is_stored_in_lower_case_and_found_in_any() {
    play(async |world| {
        let name = unique("ann");
        let api = world.api()?;
        let given = name.to_uppercase();
        let account = Account::register(&api, &given, PASSWORD, None).await?;
        assert_eq!(account.username, name);
        assert!(!account.user.text("display_name")?.is_empty(), "a name is always there to show");
        let again = Account::sign_in(&api, &given, PASSWORD).await?;
        assert_eq!(again.id, account.id);
        let own = api.with_token(&account.access);
        let found = own.get(&format!("/users/by-username/{given}")).await?.ok(200)?;
        assert_eq!(found, account.user);
        Ok(())
    });
}

#[test]
fn a_username_is_unique_whatever_its_case() {
    play(async |world| {
        let ann = world.person("ann").await?;
        for name in [ann.name().to_owned(), ann.name().to_uppercase()] {
            let answer = world.api()?.post("/accounts", &body(&name)).await?;
            answer.refused(409, "username_taken")?;
        }
        Ok(())
    });
}

#[test]
fn of_many_who_want_the_same_name_one_gets_it() {
    play(async |world| {
        let body = body(&unique("ann"));
        let apis = world.edges.iter().cycle().take(6).map(|edge| Api::new(edge));
        let apis: Vec<Api> = apis.collect::<Outcome<_>>()?;
        let answers = join_all(apis.iter().map(|api| api.post("/accounts", &body))).await;
        let mut statuses = Vec::new();
        for answer in answers {
            let answer = answer?;
            ensure!(answer.status == 201 || answer.code() == Some("username_taken"), "{answer:?}");
            statuses.push(answer.status);
        }
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409, 409, 409, 409, 409]);
        Ok(())
    });
}

#[test]
fn usernames_outside_of_the_pattern_are_refused() {
    play(async |world| {
        let api = world.api()?;
        let long = "a".repeat(33);
        let wrong =
            ["", "a", &long, "a b", "a-b", "a@b", "äb", "аnn", "a\u{0}b", "a/b", "ab\n", "a*b"];
        for name in wrong {
            refuses(&api, &body(name)).await?;
        }
        Ok(())
    });
}

#[test]
fn usernames_at_their_bounds_are_accepted() {
    play(async |world| {
        let api = world.api()?;
        let long = format!("{}{}", unique("._"), "x".repeat(32));
        Account::register(&api, &long[..32], PASSWORD, None).await?;
        // The shortest names are few: any of them shows the bound, taken or not.
        let answer = api.post("/accounts", &body("q9")).await?;
        ensure!(matches!(answer.status, 201 | 409), "{answer:?}");
        Ok(())
    });
}

#[test]
fn passwords_have_8_to_256_characters() {
    play(async |world| {
        let api = world.api()?;
        for (password, accepted) in [
            ("ä".repeat(7), false),
            ("ä".repeat(8), true),
            ("ä".repeat(256), true),
            ("ä".repeat(257), false),
        ] {
            let name = unique("ann");
            let body = json!({ "username": name, "password": password });
            let answer = api.post("/accounts", &body).await?;
            if accepted {
                answer.ok(201)?;
                Account::sign_in(&api, &name, &password).await?;
            } else {
                answer.refused(400, "bad_request")?;
            }
        }
        Ok(())
    });
}

#[test]
fn display_names_are_trimmed_and_bounded() {
    play(async |world| {
        let api = world.api()?;
        let longest = "🦦".repeat(64);
        for (given, kept) in [("  Ann O \t", "Ann O"), (&longest, &longest), ("x", "x")] {
            let account = Account::register(&api, &unique("ann"), PASSWORD, Some(given)).await?;
            assert_eq!(account.user.text("display_name")?, kept);
        }
        let too_long = "🦦".repeat(65);
        for wrong in
            ["", "   ", &too_long, "a\u{0}b", "a\nb", "a\u{202e}b", "a\u{2067}b", "a\u{85}b"]
        {
            let mut body = body(&unique("ann"));
            body["display_name"] = wrong.into();
            refuses(&api, &body).await?;
        }
        Ok(())
    });
}

#[test]
fn a_refused_registration_leaves_the_name_free() {
    play(async |world| {
        let (api, name) = (world.api()?, unique("ann"));
        refuses(&api, &json!({ "username": name, "password": "short" })).await?;
        api.post("/accounts", &body(&name)).await?.ok(201)?;
        Ok(())
    });
}

#[test]
fn fields_of_the_wrong_kind_are_refused_and_unknown_ones_ignored() {
    play(async |world| {
        let (api, name) = (world.api()?, unique("ann"));
        for wrong in [
            json!({}),
            json!([]),
            json!(null),
            json!("text"),
            json!({ "username": name }),
            json!({ "password": PASSWORD }),
            json!({ "username": 5, "password": PASSWORD }),
            json!({ "username": null, "password": PASSWORD }),
            json!({ "username": name, "password": ["a"] }),
            json!({ "username": name, "password": PASSWORD, "display_name": 5 }),
        ] {
            refuses(&api, &wrong).await?;
        }
        let mut more = body(&name);
        more["colour"] = json!({ "deep": [1, 2, 3] });
        api.post("/accounts", &more).await?.ok(201)?;
        Ok(())
    });
}
