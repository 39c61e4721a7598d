//! Commands on stores and directories of their own.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use bus_schema::permissions::BusUser;
use bus_schema::runtime::credentials::Credentials;
use clap::{CommandFactory as _, Parser as _};

use super::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

async fn say(settings: &Settings, line: &str) -> Result<String, CommandError> {
    let words = std::iter::once("natter-workers").chain(line.split(' '));
    let mut out = Vec::new();
    execute(Arguments::parse_from(words).command.unwrap(), settings, &mut out).await?;
    Ok(String::from_utf8(out).unwrap())
}

fn settings(directory: &Path) -> Settings {
    let mut settings = Settings::default();
    settings.store.embedded = directory.to_owned();
    settings.auth.argon2_memory_kib = 64;
    settings
}

#[test]
fn arguments_are_sound() {
    Arguments::command().debug_assert();
    let line = ["natter-workers", "--roles", "auth,history", "--admin-listen", "127.0.0.1:1"];
    let flags = serde_json::to_value(Arguments::parse_from(line).flags()).unwrap();
    let wanted = serde_json::json!({
        "workers": { "roles": ["auth", "history"], "admin_listen": "127.0.0.1:1" }
    });
    assert_eq!(flags, wanted);
    Arguments::try_parse_from(["natter-workers", "--roles", "auth,nobody"]).unwrap_err();
    Arguments::try_parse_from(["natter-workers", "invite", "create", "--uses", "0"]).unwrap_err();
}

/// Every file of a directory of secrets with what is in it, each private.
fn secrets_in(dir: &Path) -> BTreeMap<PathBuf, String> {
    let mut all = BTreeMap::new();
    for folder in [dir.to_owned(), dir.join("keys"), dir.join("accounts")] {
        assert_eq!(mode(&folder), 0o700, "{folder:?}");
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                assert_eq!(mode(&path), 0o600, "{path:?}");
                let name = path.strip_prefix(dir).unwrap().to_owned();
                all.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    all
}

fn changed(before: &BTreeMap<PathBuf, String>, after: &BTreeMap<PathBuf, String>) -> Vec<String> {
    let names = before.keys().chain(after.keys()).collect::<BTreeSet<_>>();
    let names = names.into_iter().filter(|name| before.get(*name) != after.get(*name));
    names.map(|name| name.display().to_string()).collect()
}

/// The file of an account.
fn account(dir: &Path, name: &str) -> String {
    let id = fs::read_to_string(dir.join(format!("keys/{name}.pub"))).unwrap();
    format!("accounts/{}.jwt", id.trim())
}

#[tokio::test]
async fn secrets_are_made_once_and_are_private() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("a/secrets");
    let line = format!("secrets --dir {}", dir.display());
    assert_eq!(say(&Settings::default(), &line).await.unwrap(), "");
    let first = secrets_in(&dir);
    // The operator's key, four that sign and the bots' secret; names of accounts; their claims and
    // the operator's.
    let wanted = BusUser::ALL.len() + 1 + 6 + 3 + 4;
    assert_eq!(first.len(), wanted, "no drafts are left: {:?}", first.keys());
    say(&Settings::default(), &line).await.unwrap();
    assert_eq!(changed(&first, &secrets_in(&dir)), [""; 0]);

    // One is lost, one is readable by all: the first is made anew, the second made private.
    fs::remove_file(dir.join("edge.creds")).unwrap();
    fs::set_permissions(dir.join("auth.creds"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
    say(&Settings::default(), &line).await.unwrap();
    assert_eq!(changed(&first, &secrets_in(&dir)), ["edge.creds"]);

    // The operator's own key may be kept elsewhere, until it is needed.
    fs::remove_file(dir.join("keys/operator.nk")).unwrap();
    say(&Settings::default(), &line).await.unwrap();
    let refused = say(&Settings::default(), &format!("{line} rotate operator")).await.unwrap_err();
    assert!(refused.to_string().contains("the operator's key is needed"), "{refused}");
}

#[tokio::test]
async fn a_rotated_key_is_followed_by_what_it_signs() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("secrets");
    let line = format!("secrets --dir {}", dir.display());
    say(&Settings::default(), &line).await.unwrap();
    let mut before = secrets_in(&dir);
    let old = "keys/bots-signing.old.nk".to_owned();
    let now = "keys/bots-signing.nk".to_owned();
    for (command, also) in
        [("rotate bots", vec![now, old.clone()]), ("drop-old bots", vec![old.clone()])]
    {
        say(&Settings::default(), &format!("{line} {command}")).await.unwrap();
        let after = secrets_in(&dir);
        let mut wanted = vec![account(&dir, "bots")];
        wanted.extend(also);
        wanted.sort();
        assert_eq!(changed(&before, &after), wanted, "{command}");
        before = after;
    }
    say(&Settings::default(), &format!("{line} drop-old bots")).await.unwrap_err();

    // Users that `secrets` itself signs are signed anew, with the keys they had.
    say(&Settings::default(), &format!("{line} rotate bus")).await.unwrap();
    let twice = say(&Settings::default(), &format!("{line} rotate bus")).await.unwrap_err();
    assert!(twice.to_string().contains("drop it first"), "{twice}");
    let after = secrets_in(&dir);
    for user in BusUser::ALL {
        let name = PathBuf::from(format!("{}.creds", user.name()));
        let key = |files: &BTreeMap<PathBuf, String>| {
            Credentials::parse(&files[&name]).unwrap().into_key().public_key()
        };
        assert_ne!(before[&name], after[&name], "{user:?}");
        assert_eq!(key(&before), key(&after), "{user:?}");
    }
    assert_eq!(before[Path::new("sys.creds")], after[Path::new("sys.creds")]);
}

#[tokio::test]
async fn a_mistyped_directory_makes_no_store() {
    let dir = tempfile::tempdir().unwrap();
    let nowhere = dir.path().join("nowhere");
    let refused = say(&settings(&nowhere), "user list").await.unwrap_err();
    assert!(matches!(refused, CommandError::NoStore(_)), "{refused}");
    assert!(!nowhere.exists());
}

#[tokio::test]
async fn users_and_invitations() {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(dir.path());
    let stores = Stores::embedded(dir.path()).await.unwrap();
    assert_eq!(mode(&dir.path().join("people.db")), 0o600);
    let user = bus_schema::events::User {
        id: bus_schema::ids::UserId(7),
        username: bus_schema::text::Username::parse("ann").unwrap(),
        display_name: bus_schema::text::DisplayName::parse("Ann").unwrap(),
        avatar_url: None,
        bot: false,
    };
    let account =
        crate::store::users::Account::new(user, None, bus_schema::timestamp::Timestamp::now());
    stores.users.create(account).await.unwrap();
    assert!(say(&settings, "user list").await.unwrap().contains(" active "));
    say(&settings, "user disable Ann").await.unwrap();
    assert!(say(&settings, "user list").await.unwrap().contains(" disabled "));
    say(&settings, "user enable ann").await.unwrap();
    assert!(say(&settings, "user list").await.unwrap().contains(" active "));
    let reset = say(&settings, "user reset-password ann").await.unwrap();
    assert!(reset.lines().last().unwrap().len() >= 20);
    let unknown = say(&settings, "user disable nobody").await.unwrap_err();
    assert_eq!(unknown.to_string(), "there is no account nobody");

    let invite = say(&settings, "invite create --uses 3").await.unwrap();
    assert!(invite.trim().len() >= 20);
    let list = say(&settings, "invite list").await.unwrap();
    let line = list.lines().nth(1).unwrap();
    assert!(line.ends_with(" 3") && !list.contains(invite.trim()), "{list}");
    let name = line.split(' ').next().unwrap();
    say(&settings, &format!("invite revoke {name}")).await.unwrap();
    assert_eq!(say(&settings, "invite list").await.unwrap().lines().count(), 1);
    say(&settings, &format!("invite revoke {name}")).await.unwrap_err();
}
