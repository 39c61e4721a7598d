//! What every [`UserStore`] must do. Expects an empty store.

use bus_schema::events::User;
use bus_schema::ids::UserId;
use bus_schema::text::{AvatarUrl, DisplayName, Username};
use bus_schema::timestamp::Timestamp;
use futures::future::join_all;

use crate::store::users::{Account, CALLS_KEPT, Created, ProfileChange, Updated, UserStore};

fn name(text: &str) -> Username {
    Username::parse(text).unwrap()
}

fn account(id: u64, username: &str) -> Account {
    let user = User {
        id: UserId(id),
        username: name(username),
        display_name: DisplayName::parse(username).unwrap(),
        avatar_url: None,
        bot: id.is_multiple_of(2),
    };
    Account::new(user, Some(format!("hash of {username}")), Timestamp::from_millis(id))
}

fn rename(to: &str) -> ProfileChange {
    ProfileChange { username: Some(name(to)), ..ProfileChange::default() }
}

pub(crate) async fn suite(store: &dyn UserStore) {
    creating(store).await;
    reading(store).await;
    changing(store).await;
    repeating(store).await;
    racing(store).await;
    administering(store).await;
    bots(store).await;
}

async fn creating(store: &dyn UserStore) {
    // Ids use all 64 bits.
    for (id, username) in [(1, "ann"), (2, "bob"), (u64::MAX, "zoe")] {
        assert_eq!(store.create(account(id, username)).await.unwrap(), Created::Done);
    }
    assert_eq!(store.create(account(9, "ann")).await.unwrap(), Created::UsernameTaken);
    assert_eq!(store.create(account(1, "cyd")).await.unwrap(), Created::IdTaken);
    let both = store.create(account(1, "bob")).await.unwrap();
    assert_eq!(both, Created::UsernameTaken, "another id would not help");
    assert_eq!(store.by_id(UserId(9)).await.unwrap(), None);
}

async fn reading(store: &dyn UserStore) {
    let ann = account(1, "ann");
    assert_eq!(store.by_id(UserId(1)).await.unwrap(), Some(ann.clone()));
    assert_eq!(store.by_username(&name("ANN")).await.unwrap(), Some(ann.clone()));
    assert_eq!(store.by_username(&name("nobody")).await.unwrap(), None);
    let ids = vec![UserId(u64::MAX), UserId(1), UserId(7), UserId(1)];
    let mut found = store.profiles(ids).await.unwrap();
    found.sort_by_key(|p| p.user.id);
    assert_eq!(found, [ann.profile, account(u64::MAX, "zoe").profile]);
    assert_eq!(store.profiles(Vec::new()).await.unwrap(), []);
}

async fn changing(store: &dyn UserStore) {
    let id = UserId(1);
    let change = ProfileChange {
        display_name: Some(DisplayName::parse("Ann Élise").unwrap()),
        avatar_url: Some(Some(AvatarUrl::parse("https://example.org/a.png").unwrap())),
        ..ProfileChange::default()
    };
    let Updated::Done(first) = store.update_profile(id, change.clone()).await.unwrap() else {
        panic!("not updated")
    };
    assert_eq!((first.version, first.user.display_name.as_str()), (2, "Ann Élise"));
    assert_eq!(store.by_id(id).await.unwrap().unwrap().profile, first);
    let same = store.update_profile(id, change).await.unwrap();
    assert_eq!(same, Updated::Done(first), "a change that changes nothing keeps the version");
    // What people write is never taken for what a database calls by such names.
    for text in ["$bot", "$$ROOT", "'; DROP TABLE users; --", "{$ne: 1}"] {
        let name = DisplayName::parse(text).unwrap();
        let change = ProfileChange { display_name: Some(name), ..ProfileChange::default() };
        let Updated::Done(written) = store.update_profile(id, change.clone()).await.unwrap() else {
            panic!("not updated")
        };
        assert_eq!(written.user.display_name.as_str(), text);
        let again = store.update_profile(id, change).await.unwrap();
        assert_eq!(again, Updated::Done(written), "the same again");
    }
    let clear = ProfileChange { avatar_url: Some(None), ..ProfileChange::default() };
    let Updated::Done(cleared) = store.update_profile(id, clear).await.unwrap() else {
        panic!("not updated")
    };
    assert_eq!((cleared.version, cleared.user.avatar_url), (7, None));
    assert_eq!(store.update_profile(id, rename("bob")).await.unwrap(), Updated::UsernameTaken);
    assert_eq!(store.update_profile(UserId(7), rename("x7")).await.unwrap(), Updated::NotFound);
    let renamed = store.update_profile(id, rename("ann2")).await.unwrap();
    assert!(matches!(renamed, Updated::Done(p) if p.version == 8));
    assert_eq!(store.by_username(&name("ann")).await.unwrap(), None);
    assert_eq!(store.create(account(3, "ann")).await.unwrap(), Created::Done, "the name is free");
}

/// A call is done once, however often it comes, until many others have come.
async fn repeating(store: &dyn UserStore) {
    let id = UserId(u64::MAX);
    let change = |text: &str, call: &str| {
        let display_name = Some(DisplayName::parse(text).unwrap());
        ProfileChange { display_name, call: call.to_owned(), ..ProfileChange::default() }
    };
    let shown = async |change: ProfileChange| match store.update_profile(id, change).await {
        Ok(Updated::Done(profile)) => (profile.version, profile.user.display_name.to_string()),
        other => panic!("{other:?}"),
    };
    let first = shown(change("first", "call-1")).await;
    assert_eq!(first.1, "first");
    let second = shown(change("second", "call-2")).await;
    assert_eq!(second, (first.0 + 1, "second".to_owned()));
    assert_eq!(shown(change("first", "call-1")).await, second, "it came again, late");
    assert_eq!(store.by_id(id).await.unwrap().unwrap().profile.version, second.0);
    // One that was refused is not done.
    let taken = ProfileChange { call: "call-3".to_owned(), ..rename("ann2") };
    assert_eq!(store.update_profile(id, taken.clone()).await.unwrap(), Updated::UsernameTaken);
    assert_eq!(store.update_profile(id, taken).await.unwrap(), Updated::UsernameTaken);
    for n in 0..u64::from(CALLS_KEPT) {
        let last = shown(change(&format!("name {n}"), &format!("later-{n}"))).await;
        assert_eq!(last.0, second.0 + n + 1);
    }
    assert_eq!(shown(change("first", "call-1")).await.1, "first", "forgotten by now");
}

async fn racing(store: &dyn UserStore) {
    let tries = (100..120).map(|id| store.create(account(id, "wanted")));
    let results = join_all(tries).await;
    let won = results.into_iter().filter(|r| matches!(r, Ok(Created::Done))).count();
    assert_eq!(won, 1, "one of many gets a name");
    let changes = (0..20).map(|n| store.update_profile(UserId(2), rename(&format!("bob{n}"))));
    let results = join_all(changes).await;
    assert!(results.iter().all(|r| matches!(r, Ok(Updated::Done(_)))));
    let bob = store.by_id(UserId(2)).await.unwrap().unwrap();
    assert_eq!(bob.profile.version, 21, "every change has its version");
}

async fn administering(store: &dyn UserStore) {
    let id = UserId(1);
    let old = store.by_id(id).await.unwrap().unwrap().password_hash;
    assert!(store.set_password(id, old.clone(), "new".to_owned()).await.unwrap());
    assert!(!store.set_password(id, old, "newer".to_owned()).await.unwrap());
    assert!(store.set_password(id, None, "newest".to_owned()).await.unwrap());
    assert!(!store.set_password(UserId(7), None, "x".to_owned()).await.unwrap());
    assert!(store.set_disabled(id, true).await.unwrap());
    assert!(!store.set_disabled(UserId(7), true).await.unwrap());
    let now = store.by_id(id).await.unwrap().unwrap();
    assert_eq!((now.password_hash.as_deref(), now.disabled), (Some("newest"), true));
    assert_eq!(store.list(None, 0).await.unwrap(), []);
    let mut all = Vec::new();
    while let Ok(page) = store.list(all.last().copied(), 2).await
        && !page.is_empty()
    {
        all.extend(page.iter().map(Account::id));
    }
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 5, "ann2, bob, zoe, ann and the one who wanted it: {all:?}");
}

fn bot(id: u64, username: &str, owner: u64) -> Account {
    let Account { profile, created_at, .. } = account(id, username);
    let user = User { bot: true, ..profile.user };
    Account::bot(user, UserId(owner), created_at)
}

async fn bots(store: &dyn UserStore) {
    let ids = async |owner| -> Vec<u64> {
        let all = store.bots_of(UserId(owner)).await.unwrap();
        all.iter().map(|account| account.id().0).collect()
    };
    assert!(ids(500).await.is_empty());
    for id in [503, 501, u64::MAX - 1] {
        let made = store.create_bot(bot(id, &format!("bot{id}"), 500), 3).await.unwrap();
        assert_eq!(made, Created::Done);
    }
    let one_more = store.create_bot(bot(504, "bot504", 500), 3).await.unwrap();
    assert_eq!(one_more, Created::TooManyBots);
    let others = store.create_bot(bot(504, "bot504", 600), 3).await.unwrap();
    assert_eq!(others, Created::Done, "each owner has their own");
    let taken = store.create_bot(bot(505, "bot504", 600), 3).await.unwrap();
    assert_eq!(taken, Created::UsernameTaken);
    let taken = store.create_bot(bot(504, "bot505", 600), 3).await.unwrap();
    assert_eq!(taken, Created::IdTaken);
    assert_eq!(ids(600).await, [504]);
    let mut mine = ids(500).await;
    mine.sort_unstable();
    assert_eq!(mine, [501, 503, u64::MAX - 1]);
    let whole = bot(501, "bot501", 500);
    assert_eq!(store.by_id(UserId(501)).await.unwrap(), Some(whole.clone()));

    let clash = store.retire_bot(UserId(501), name("bot503")).await.unwrap();
    assert_eq!(clash, Updated::UsernameTaken);
    assert_eq!(store.by_id(UserId(501)).await.unwrap(), Some(whole), "all of it or nothing");
    let retired = store.retire_bot(UserId(501), name("deleted_501")).await.unwrap();
    assert!(matches!(retired, Updated::Done(ref p) if p.version == 2), "{retired:?}");
    let left = store.by_id(UserId(501)).await.unwrap().unwrap();
    assert!(left.is_retired() && left.disabled);
    assert_eq!(left.profile.user.display_name.as_str(), "bot501", "as its messages show it");
    let again = store.retire_bot(UserId(501), name("deleted_x")).await.unwrap();
    assert_eq!(again, Updated::NotFound);
    let person = store.retire_bot(UserId(1), name("deleted_1")).await.unwrap();
    assert_eq!(person, Updated::NotFound, "people have no owner");
    assert_eq!(store.by_username(&name("bot501")).await.unwrap(), None);
    let made = store.create_bot(bot(506, "bot501", 500), 3).await.unwrap();
    assert_eq!(made, Created::Done, "the name and the place are free");
}
