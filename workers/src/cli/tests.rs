//! Commands on stores and directories of their own.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use bus_schema::permissions::BusUser;
use clap::{CommandFactory as _, Parser as _};

use super::*;

const PROVISION: &str = "run `natter-workers permissions > nats-config/accounts.conf`";

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

#[tokio::test]
async fn secrets_are_made_once_and_are_private() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("a/secrets");
    let line = format!("secrets --dir {}", dir.display());
    let read = || {
        let mut all = Vec::new();
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            assert_eq!(mode(&path), 0o600, "{path:?}");
            all.push((path.clone(), fs::read_to_string(&path).unwrap()));
        }
        all.sort();
        all
    };
    assert_eq!(say(&Settings::default(), &line).await.unwrap(), "");
    assert_eq!(mode(&dir), 0o700);
    let first = read();
    assert_eq!(first.len(), BusUser::ALL.len() + 1, "no drafts are left");
    let env = fs::read_to_string(dir.join("nkeys.env")).unwrap();
    for user in BusUser::ALL {
        let seed = fs::read_to_string(dir.join(format!("{}.nk", user.name()))).unwrap();
        let public = nkeys::KeyPair::from_seed(seed.trim()).unwrap().public_key();
        assert!(public.starts_with('U'));
        assert!(env.contains(&format!("NATTER_NKEY_{}={public}\n", user.name().to_uppercase())));
    }
    // One is lost, one is readable by all: the first is made anew, the second made private.
    fs::remove_file(dir.join("edge.nk")).unwrap();
    fs::set_permissions(dir.join("auth.nk"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
    say(&Settings::default(), &line).await.unwrap();
    assert_eq!(mode(&dir), 0o700);
    let changed = first.iter().zip(read()).filter(|(old, new)| *old != new).count();
    assert_eq!(changed, 2, "only that key, and the list of public keys");
}

#[tokio::test]
async fn permissions_are_what_the_server_is_configured_with() {
    let printed = say(&Settings::default(), "permissions").await.unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../nats-config/accounts.conf");
    assert!(
        printed == fs::read_to_string(&file).unwrap(),
        "{} differs: {PROVISION}",
        file.display()
    );
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
