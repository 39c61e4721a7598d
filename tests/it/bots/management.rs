//! POST, GET and DELETE /bots.

use natter_tests::eventually::{Seen, eventually};
use natter_tests::json::Look as _;
use natter_tests::{Outcome, ensure};
use serde_json::{Value, json};

use crate::support::{Bot, SOON, nobody, play, unique};

async fn ids(person: &crate::support::Person) -> Outcome<Vec<u64>> {
    let answer = person.api.get("/bots").await?.ok(200)?;
    answer.list("bots")?.iter().map(|bot| bot.id("id")).collect()
}

#[test]
fn a_bot_is_its_owners_and_everybody_sees_that_it_is_one() {
    play(async |world| {
        let (owner, other) = (world.person("owner").await?, world.person_on(1, "other").await?);
        let name = unique("helper");
        let body = json!({ "username": name.to_uppercase(), "display_name": " Helper " });
        let bot = owner.api.post("/bots", &body).await?.ok(201)?;
        let wanted = json!({ "id": bot["id"], "username": name, "display_name": "Helper",
            "avatar_url": null, "bot": true });
        assert_eq!(bot, wanted);
        let id = bot.id("id")?;
        assert_eq!(ids(&owner).await?, [id]);
        ensure!(ids(&other).await?.is_empty(), "bots of others");
        let shown = other.api.get(&format!("/users/by-username/{name}")).await?.ok(200)?;
        assert_eq!(shown, wanted);
        let plain = json!({ "username": unique("plain") });
        let plain = owner.api.post("/bots", &plain).await?.ok(201)?;
        assert_eq!(plain["display_name"], plain["username"]);
        assert_eq!(ids(&owner).await?, [id, plain.id("id")?]);
        Ok(())
    });
}

#[test]
fn names_are_shared_with_people_and_a_bot_never_signs_in() {
    play(async |world| {
        let owner = world.person("owner").await?;
        let body = json!({ "username": owner.name() });
        owner.api.post("/bots", &body).await?.refused(409, "username_taken")?;
        let bot = Bot::of(&owner, &world, "silent").await?;
        for password in ["", "x", "password", "null"] {
            let body = json!({ "username": bot.username, "password": password });
            world.api()?.post("/sessions", &body).await?.refused(401, "unauthorized")?;
        }
        let body = json!({ "username": bot.username, "password": "correct horse" });
        world.api()?.post("/accounts", &body).await?.refused(409, "username_taken")?;
        Ok(())
    });
}

#[test]
fn nobody_else_manages_a_bot() {
    play(async |world| {
        let (owner, other) = (world.person("owner").await?, world.person_on(1, "other").await?);
        let bot = Bot::of(&owner, &world, "mine").await?;
        for path in [format!("/bots/{}", bot.id), format!("/bots/{}", owner.id())] {
            other.api.delete(&path).await?.refused(404, "not_found")?;
            let path = format!("{path}/credentials");
            other.api.post(&path, &json!({})).await?.refused(404, "not_found")?;
        }
        for path in ["/bots/x".to_owned(), format!("/bots/{}", nobody()), "/bots/-1".to_owned()] {
            owner.api.delete(&path).await?.refused(404, "not_found")?;
        }
        let api = world.api()?;
        api.get("/bots").await?.refused(401, "unauthorized")?;
        api.post("/bots", &json!({ "username": unique("x") }))
            .await?
            .refused(401, "unauthorized")?;
        for wrong in [json!({}), json!({ "username": "A B" }), json!({ "username": 5 }), json!([])]
        {
            owner.api.post("/bots", &wrong).await?.refused(400, "bad_request")?;
        }
        Ok(())
    });
}

#[test]
fn an_owner_has_at_most_twenty() {
    play(async |world| {
        let owner = world.person("owner").await?;
        for _ in 0..20 {
            owner.api.post("/bots", &json!({ "username": unique("one") })).await?.ok(201)?;
        }
        let one_more = json!({ "username": unique("more") });
        owner.api.post("/bots", &one_more).await?.refused(409, "conflict")?;
        let first = ids(&owner).await?[0];
        owner.api.delete(&format!("/bots/{first}")).await?.ok(204)?;
        owner.api.post("/bots", &one_more).await?.ok(201)?;
        Ok(())
    });
}

#[test]
fn a_deleted_bot_leaves_its_channels_and_its_name_and_is_still_the_author_of_what_it_said() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let bot = Bot::of(&owner, &world, "short").await?;
        owner.add_bot(channel, &bot).await?;
        let said = bot.say(channel, "so long").await?;
        let mut session = member.session().await?;
        owner.api.delete(&format!("/bots/{}", bot.id)).await?.ok(204)?;
        let removed = session.expect("MEMBER_REMOVE").await?;
        ensure!(bot.is(&removed["user_id"]) && bot.is(&removed["author_id"]), "{removed}");
        owner.api.delete(&format!("/bots/{}", bot.id)).await?.refused(404, "not_found")?;
        let members = owner.api.get(&format!("/channels/{channel}")).await?.ok(200)?;
        let listed = members.list("member_ids")?;
        ensure!(!listed.iter().any(|id| bot.is(id)), "{members}");
        let path = format!("/conversations/{channel}/messages");
        let page = member.api.get(&path).await?.ok(200)?;
        assert_eq!(page["messages"][0].id("id")?, said);
        let author = page.list("users")?.iter().find(|user| bot.is(&user["id"])).cloned();
        let author = author.unwrap_or(Value::Null);
        ensure!(author["display_name"] == "short" && author["bot"] == true, "{page}");
        let body = json!({ "username": bot.username });
        let path = format!("/channels/{channel}/members");
        owner.api.post(&path, &body).await?.refused(404, "not_found")?;
        owner.api.post("/bots", &body).await?.ok(201)?;
        eventually("what is left of it has another name", SOON, async || {
            let path = format!("/users?ids={}", bot.id);
            let left = member.api.get(&path).await?.ok(200)?;
            let name = left["users"][0]["username"].clone();
            Ok(Seen::when(name != bot.username.as_str(), name))
        })
        .await
    });
}
