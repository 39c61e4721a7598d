//! What the claims of the operator, the accounts and their users say.
//!
//! Invariant: a pure function of the table of permissions and of public keys, so that running
//! `natter-workers secrets` again signs nothing anew unless one of these changed.
//!
//! Leaves out times and signatures.

use std::collections::BTreeMap;

use bus_schema::permissions::{
    BOT_PUBLISHES, BOT_SUBSCRIBES, BOTS_ASK, BusUser, SYSTEM_PUBLISHES, SYSTEM_SUBSCRIBES,
};
use serde_json::{Value, json};

/// An account of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Account {
    /// The server's own, for revoking.
    System,
    /// Edges, workers, and the log.
    Bus,
    /// Every bot.
    Bots,
}

impl Account {
    pub(crate) const ALL: [Self; 3] = [Self::System, Self::Bus, Self::Bots];

    /// As the server shows it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::System => "SYS",
            Self::Bus => "BUS",
            Self::Bots => "BOTS",
        }
    }

    /// In the names of files.
    pub(crate) const fn file_name(self) -> &'static str {
        match self {
            Self::System => "sys",
            Self::Bus => "bus",
            Self::Bots => "bots",
        }
    }
}

/// The names of the accounts: public keys whose seeds nobody has.
#[derive(Debug, Clone)]
pub(crate) struct Ids {
    pub(crate) system: String,
    pub(crate) bus: String,
    pub(crate) bots: String,
}

impl Ids {
    pub(crate) fn of(&self, account: Account) -> &str {
        match account {
            Account::System => &self.system,
            Account::Bus => &self.bus,
            Account::Bots => &self.bots,
        }
    }
}

/// Until when which users' tokens are refused: those issued up to that second.
pub(crate) type Revocations = BTreeMap<String, u64>;

/// How long whoever was asked may take to answer, in nanoseconds: a minute.
const ANSWER_WITHIN_NS: u64 = 60_000_000_000;
/// Subscriptions a bot may have on one connection.
const BOT_SUBSCRIPTIONS: u64 = 64;
/// The longest message a bot may send without being cut off: twice what is taken, so that who sends
/// a little too much is told so.
const BOT_PAYLOAD: usize = 2 * bus_schema::limits::BODY_BYTES;
/// Connections of all bots together. Fewer than the server takes, so that bots alone never keep an
/// edge or a worker out.
const BOT_CONNECTIONS: u64 = 4_096;

/// The operator: whose signing keys make accounts.
pub(crate) fn operator(ids: &Ids, signing: &[String]) -> Value {
    json!({
        "type": "operator",
        "version": 2,
        "signing_keys": signing,
        "system_account": ids.system,
        "strict_signing_key_usage": true,
    })
}

/// An account whose users are signed with any of `signing`.
pub(crate) fn account(
    which: Account,
    ids: &Ids,
    signing: &[String],
    revocations: &Revocations,
) -> Value {
    let mut limits = json!({
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true,
        "conn": -1, "leaf": 0, "disallow_bearer": true,
    });
    let mut said = json!({ "type": "account", "version": 2, "signing_keys": signing });
    let services: Vec<Value> = match which {
        Account::System => Vec::new(),
        Account::Bus => {
            for unlimited in ["mem_storage", "disk_storage", "streams", "consumer"] {
                limits[unlimited] = json!(-1);
            }
            BOTS_ASK.iter().map(|ask| exported(*ask)).collect()
        }
        Account::Bots => {
            limits["conn"] = json!(BOT_CONNECTIONS);
            said["signing_keys"] = signing.iter().map(|key| bots_scope(key)).collect();
            BOTS_ASK.iter().map(|(subject, _)| imported(subject, &ids.bus)).collect()
        }
    };
    match which {
        Account::Bus => said["exports"] = services.into(),
        Account::Bots => said["imports"] = services.into(),
        Account::System => {}
    }
    if !revocations.is_empty() {
        said["revocations"] = json!(revocations);
    }
    said["limits"] = limits;
    said
}

/// Which users of an account are revoked, as it says itself.
pub(crate) fn revocations(said: &Value) -> Revocations {
    let all = said["revocations"].as_object().into_iter().flatten();
    all.filter_map(|(user, until)| Some((user.clone(), until.as_u64()?))).collect()
}

fn exported((subject, many): (&str, bool)) -> Value {
    let response = if many { "Stream" } else { "Singleton" };
    json!({ "name": subject, "subject": subject, "type": "service", "response_type": response })
}

/// Shared: the server then tells whoever is asked which user asked, in `Nats-Request-Info`.
fn imported(subject: &str, from: &str) -> Value {
    json!({ "name": subject, "subject": subject, "account": from, "type": "service", "share": true })
}

/// What a key that signs bots may sign, and what the server makes of each.
fn bots_scope(key: &str) -> Value {
    json!({
        "kind": "user_scope",
        "key": key,
        "role": "bots",
        "description": "bots: each named by its id",
        "template": {
            "pub": { "allow": BOT_PUBLISHES },
            "sub": { "allow": BOT_SUBSCRIBES },
            "subs": BOT_SUBSCRIPTIONS,
            "data": -1,
            "payload": BOT_PAYLOAD,
            "allowed_connection_types": ["STANDARD", "WEBSOCKET"],
        },
    })
}

/// A user of the platform.
pub(crate) fn bus_user(user: BusUser, ids: &Ids) -> Value {
    let mut said = user_of(&ids.bus, &user.publish(), &user.deny(), &user.subscribe());
    if user.answers() {
        said["resp"] = json!({ "max": 1, "ttl": ANSWER_WITHIN_NS });
    }
    said
}

/// The user of the system account.
pub(crate) fn system_user(ids: &Ids) -> Value {
    let list = |subjects: &[&str]| subjects.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
    user_of(&ids.system, &list(&SYSTEM_PUBLISHES), &[], &list(&SYSTEM_SUBSCRIBES))
}

/// A bot: nothing but that, as all it may do follows from the key that signs it.
pub(crate) fn bot_user(ids: &Ids) -> Value {
    json!({ "type": "user", "version": 2, "issuer_account": ids.bots })
}

fn user_of(account: &str, publish: &[String], deny: &[String], subscribe: &[String]) -> Value {
    let mut said = json!({
        "type": "user",
        "version": 2,
        "issuer_account": account,
        "pub": { "allow": publish },
        "sub": { "allow": subscribe },
        "subs": -1, "data": -1, "payload": -1,
    });
    // An empty list of what is allowed would allow everything.
    if publish.is_empty() {
        said["pub"] = json!({ "deny": [">"] });
    } else if !deny.is_empty() {
        said["pub"]["deny"] = json!(deny);
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids() -> Ids {
        Ids { system: "AS".to_owned(), bus: "AB".to_owned(), bots: "AX".to_owned() }
    }

    #[test]
    fn what_bots_import_is_what_the_platform_exports() {
        let none = Revocations::new();
        let subjects = |list: &Value| -> Vec<String> {
            let list = list.as_array().unwrap();
            list.iter().map(|one| one["subject"].as_str().unwrap().to_owned()).collect()
        };
        let bus = account(Account::Bus, &ids(), &["K".to_owned()], &none);
        let bots = account(Account::Bots, &ids(), &["K".to_owned()], &none);
        assert_eq!(subjects(&bus["exports"]), subjects(&bots["imports"]));
        assert!(bots["limits"].get("disk_storage").is_none(), "bots have no streams of their own");
    }

    #[test]
    fn revocations_are_read_back() {
        let all = Revocations::from([("UA".to_owned(), 5), ("UB".to_owned(), 7)]);
        let said = account(Account::Bots, &ids(), &[], &all);
        assert_eq!(revocations(&said), all);
        assert_eq!(revocations(&account(Account::Bots, &ids(), &[], &Revocations::new())).len(), 0);
    }

    #[test]
    fn nobody_is_allowed_everything_by_an_empty_list() {
        for user in BusUser::ALL {
            let said = bus_user(user, &ids());
            let allowed = said["pub"]["allow"].as_array().is_some_and(|all| !all.is_empty());
            assert!(allowed || said["pub"]["deny"] == json!([">"]), "{user:?}");
            assert!(said["sub"]["allow"].as_array().is_some_and(|all| !all.is_empty()), "{user:?}");
        }
    }
}
