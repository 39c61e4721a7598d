//! GET /conversations/{id}/entries: the log as it was.

use natter_tests::client::paging::{all_entries, entries};
use natter_tests::ensure;
use natter_tests::json::Look as _;
use serde_json::Value;

use crate::support::play;

#[test]
fn every_kind_is_there_in_order_with_its_documented_fields() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        let first = owner.post(channel, "one").await?;
        let second = member.post(channel, "two").await?;
        owner.edit(channel, first, "ONE").await?;
        owner.delete(channel, second).await?;
        owner.rename(channel, "lair").await?;
        owner.remove(channel, &member).await?;
        let all = all_entries(&owner.api.at(owner.other_edge()), channel, 0).await?;
        let names: Vec<_> =
            all.iter().map(|entry| entry["t"].as_str().unwrap_or_default()).collect();
        let wanted = [
            "MEMBER_ADD",
            "MEMBER_ADD",
            "MESSAGE_CREATE",
            "MESSAGE_CREATE",
            "MESSAGE_UPDATE",
            "MESSAGE_DELETE",
            "CHANNEL_UPDATE",
            "MEMBER_REMOVE",
        ];
        assert_eq!(names, wanted);
        for entry in &all {
            assert_eq!(entry.id("d/conversation_id")?, channel);
            assert_eq!(entry.text("d/at")?.len(), 24);
            entry.id("d/author_id")?;
        }
        assert_eq!(all[2].text("d/content")?, "one", "a message is as it was sent");
        assert_eq!(all[3].text("d/content")?, "", "a deleted one is empty");
        assert_eq!(all[4].id("d/message_id")?, first);
        assert_eq!(all[4].text("d/content")?, "ONE");
        assert_eq!(all[5].id("d/message_id")?, second);
        assert_eq!(all[5].id("d/author_id")?, owner.id());
        assert_eq!(all[6].text("d/name")?, "lair");
        assert_eq!(all[7].id("d/user_id")?, member.id());
        Ok(())
    });
}

#[test]
fn pages_join_without_holes() {
    play(async |world| {
        let ann = world.person("ann").await?;
        let channel = ann.channel("den").await?;
        for index in 0..12 {
            ann.post(channel, &index.to_string()).await?;
        }
        let all = all_entries(&ann.api, channel, 0).await?;
        assert_eq!(all.len(), 13);
        for limit in [1, 4, 13, 100] {
            let (mut got, mut after, mut more) = (Vec::new(), 0, true);
            while more {
                let page = entries(&ann.api, channel, after, limit).await?;
                after = page.next.unwrap_or(after);
                more = page.has_more;
                ensure!(!page.items.is_empty() || !more, "an empty page with more after it");
                got.extend(page.items);
            }
            assert_eq!(got, all, "limit {limit}");
        }
        Ok(())
    });
}

#[test]
fn an_empty_page_has_no_next() {
    play(async |world| {
        let ann = world.person("ann").await?;
        let channel = ann.channel("den").await?;
        let last = ann.post(channel, "last").await?;
        for after in [last, u64::MAX] {
            let path = format!("/conversations/{channel}/entries?after={after}");
            let page = ann.api.get(&path).await?.ok(200)?;
            assert_eq!(page.at("next")?, &Value::Null);
            assert_eq!(page.list("entries")?.len(), 0);
            ensure!(!page.flag("has_more")?, "{page}");
        }
        Ok(())
    });
}

#[test]
fn the_default_is_fifty_from_the_start() {
    play(async |world| {
        let ann = world.person("ann").await?;
        let channel = ann.channel("den").await?;
        for index in 0..51 {
            ann.post(channel, &index.to_string()).await?;
        }
        let page = ann.api.get(&format!("/conversations/{channel}/entries")).await?.ok(200)?;
        assert_eq!(page.list("entries")?.len(), 50);
        assert_eq!(page.text("entries/0/t")?, "MEMBER_ADD");
        ensure!(page.flag("has_more")?, "{page}");
        assert_eq!(page.id("next")?, page.id("entries/49/d/id")?);
        Ok(())
    });
}

#[test]
fn entries_mention_their_users() {
    play(async |world| {
        let (owner, member, channel) = world.channel_of_two().await?;
        member.post(channel, "hello").await?;
        let page = entries(&owner.api, channel, 0, 50).await?;
        for person in [&owner, &member] {
            let count = page.users.iter().filter(|&user| *user == person.account.user).count();
            assert_eq!(count, 1, "{}: {:?}", person.name(), page.users);
        }
        Ok(())
    });
}
