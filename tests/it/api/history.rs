//! GET /conversations/{id}/messages: pages.

use natter_tests::client::paging::{Page, backwards, forwards, messages};
use natter_tests::json::Look as _;
use natter_tests::{Context as _, Outcome, ensure};
use serde_json::Value;

use crate::support::{Person, World, play};

/// A channel with messages "0", "1", ….
async fn channel_with(world: &World, count: usize) -> Outcome<(Person, u64, Vec<u64>)> {
    let ann = world.person("ann").await?;
    let channel = ann.channel("den").await?;
    let mut ids = Vec::new();
    for index in 0..count {
        ids.push(ann.post(channel, &index.to_string()).await?);
    }
    Ok((ann, channel, ids))
}

async fn page(person: &Person, channel: u64, query: &str, limit: usize) -> Outcome<Page> {
    messages(&person.api, channel, query, limit).await.during(query)
}

#[test]
fn without_a_bound_the_newest_come() {
    play(async |world| {
        let (ann, channel, ids) = channel_with(&world, 7).await?;
        let newest = page(&ann, channel, "", 3).await?;
        assert_eq!(newest.ids, ids[4..]);
        ensure!(newest.has_more, "there are more");
        let all = page(&ann, channel, "", 100).await?;
        assert_eq!(all.ids, ids);
        ensure!(!all.has_more, "there are no more");
        Ok(())
    });
}

#[test]
fn bounds_are_exclusive() {
    play(async |world| {
        let (ann, channel, ids) = channel_with(&world, 7).await?;
        let before = page(&ann, channel, &format!("before={}", ids[5]), 2).await?;
        assert_eq!((before.ids.as_slice(), before.has_more), (&ids[3..5], true));
        let after = page(&ann, channel, &format!("after={}", ids[1]), 2).await?;
        assert_eq!((after.ids.as_slice(), after.has_more), (&ids[2..4], true));
        let none = page(&ann, channel, &format!("after={}", ids[6]), 2).await?;
        assert_eq!((none.ids.as_slice(), none.has_more), (&[][..], false));
        let none = page(&ann, channel, &format!("before={}", ids[0]), 2).await?;
        assert_eq!((none.ids.as_slice(), none.has_more), (&[][..], false));
        Ok(())
    });
}

#[test]
fn around_includes_the_message_itself() {
    play(async |world| {
        let (ann, channel, ids) = channel_with(&world, 9).await?;
        let around = page(&ann, channel, &format!("around={}", ids[4]), 3).await?;
        ensure!(around.ids.contains(&ids[4]), "{:?}", around.ids);
        ensure!(around.ids.len() <= 3 && around.has_more, "{:?}", around.ids);
        let next = around.next.during("no next")?;
        let older = page(&ann, channel, &format!("before={next}"), 100).await?;
        let together = [older.ids.clone(), around.ids.clone()].concat();
        assert_eq!(together, ids[..together.len()], "next is for before");
        Ok(())
    });
}

#[test]
fn at_centres_on_a_time() {
    play(async |world| {
        let (ann, channel, ids) = channel_with(&world, 5).await?;
        let all = page(&ann, channel, "", 100).await?;
        let time = all.items[2].text("at")?;
        let first = all.items.iter().position(|message| message["at"] == time).during("no time")?;
        let found = page(&ann, channel, &format!("at={time}"), 3).await?;
        ensure!(found.ids.contains(&ids[first]), "{:?} lacks {}", found.ids, ids[first]);
        let early = page(&ann, channel, "at=2015-01-01T00:00:00.000Z", 3).await?;
        ensure!(early.ids.first() == Some(&ids[0]), "{:?}", early.ids);
        Ok(())
    });
}

#[test]
fn both_ways_give_everything_in_order_whatever_the_limit() {
    play(async |world| {
        let (ann, channel, mut ids) = channel_with(&world, 23).await?;
        for gone in [0, 7, 8, 9, 22] {
            ann.delete(channel, ids[gone]).await?;
        }
        let mut index = 0;
        ids.retain(|_| {
            index += 1;
            ![1, 8, 9, 10, 23].contains(&index)
        });
        for edge in &world.edges {
            let api = ann.api.at(edge);
            for limit in [1, 2, 5, 100] {
                let read =
                    |list: Vec<Value>| list.iter().map(|m| m.id("id")).collect::<Outcome<Vec<_>>>();
                assert_eq!(read(forwards(&api, channel, limit).await?)?, ids, "limit {limit}");
                assert_eq!(read(backwards(&api, channel, limit).await?)?, ids, "limit {limit}");
            }
        }
        Ok(())
    });
}

#[test]
fn the_default_is_fifty() {
    play(async |world| {
        let (ann, channel, ids) = channel_with(&world, 51).await?;
        let path = format!("/conversations/{channel}/messages");
        let answer = ann.api.get(&path).await?.ok(200)?;
        assert_eq!(Page::read(&answer, "messages", "id", 50)?.ids, ids[1..]);
        Ok(())
    });
}

#[test]
fn what_is_out_of_range_is_refused() {
    play(async |world| {
        let (ann, channel, ids) = channel_with(&world, 1).await?;
        let both = format!("before={}&limit=101", ids[0]);
        for query in [
            "limit=0",
            "limit=101",
            "limit=-1",
            "limit=x",
            "limit=",
            "limit=1.5",
            "before=x",
            "after=-1",
            "around=x",
            "at=yesterday",
            "at=",
            "before=99999999999999999999",
            &both,
        ] {
            for list in ["messages", "entries"] {
                if list == "entries" && !query.starts_with("limit") && !query.starts_with("after") {
                    continue;
                }
                let path = format!("/conversations/{channel}/{list}?{query}");
                ann.api.get(&path).await?.refused(400, "bad_request").during(&path)?;
            }
        }
        Ok(())
    });
}

#[test]
fn users_are_those_who_wrote_each_once() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        for _ in 0..2 {
            owner.post(channel, "a").await?;
            member.post(channel, "b").await?;
        }
        let page = page(&owner, channel, "", 50).await?;
        let count = |person: &Person| {
            page.users.iter().filter(|&user| *user == person.account.user).count()
        };
        assert_eq!((count(&owner), count(&member)), (1, 1), "{:?}", page.users);
        Ok(())
    });
}

#[test]
fn a_bound_need_not_exist() {
    play(async |world| {
        let (ann, channel, ids) = channel_with(&world, 3).await?;
        ann.delete(channel, ids[1]).await?;
        let after = page(&ann, channel, &format!("after={}", ids[1]), 50).await?;
        assert_eq!(after.ids, [ids[2]]);
        let before = page(&ann, channel, &format!("before={}", u64::MAX), 50).await?;
        assert_eq!(before.ids, [ids[0], ids[2]]);
        let after = page(&ann, channel, "after=0", 50).await?;
        assert_eq!(after.ids, [ids[0], ids[2]]);
        Ok(())
    });
}
