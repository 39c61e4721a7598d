//! Looking people up, and changing one's own name.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{Actor, Reply, one_of};
use crate::client::Api;
use crate::json::Look as _;
use crate::outage::kind::Kind;
use crate::outage::truth::Profile;

/// People in one look-up.
const LOOKED_UP: usize = 10;
/// A name acknowledged longer ago than that is shown wherever anybody looks.
const SHOWN_WITHIN: Duration = Duration::from_millis(2500);

impl Actor {
    pub(super) async fn look_up(&mut self) {
        let people = &self.scene.people;
        let ids: Vec<_> =
            (0..LOOKED_UP).filter_map(|_| one_of(people)).map(|p| p.id.to_string()).collect();
        let path = format!("/users?ids={}", ids.join(","));
        let before = self.scene.truth.profiles();
        let reply =
            self.ask(Kind::LookUp, &self.anywhere(), (Method::GET, &path), None, None).await;
        let Reply::Done(answer) = reply else { return };
        match answer.list("users") {
            Ok(users) if !users.is_empty() => {
                for user in users {
                    self.check(&before, user);
                }
            }
            _ => self.wrong("a look-up finds nobody"),
        }
    }

    pub(super) async fn look_up_name(&mut self) {
        let Some(person) = one_of(&self.scene.people).cloned() else { return };
        let path = format!("/users/by-username/{}", person.username);
        let before = self.scene.truth.profiles();
        let asked = (Method::GET, path.as_str());
        let reply = self.ask(Kind::LookUpName, &self.anywhere(), asked, None, None).await;
        if let Reply::Done(user) = reply {
            self.check(&before, &user);
        }
    }

    pub(super) async fn change_profile(&mut self) {
        let (user, name) = (self.person.id, self.text("name"));
        self.scene.truth.renaming(user, &name);
        let body = json!({ "display_name": name });
        let asked = (Method::PATCH, "/users/@me");
        let reply = self.ask(Kind::Profile, &self.person.api, asked, Some(&body), None).await;
        self.scene.truth.renamed(user, &name, reply.fate());
    }

    /// Any edge: what is shown of people does not depend on where one asks.
    fn anywhere(&self) -> Api {
        let edge = one_of(&self.scene.edges);
        edge.map_or_else(|| self.person.api.clone(), |edge| self.person.api.at(edge))
    }

    fn check(&self, before: &BTreeMap<u64, Profile>, user: &Value) {
        let shown = user.id("id").and_then(|id| Ok((id, user.text("display_name")?.to_owned())));
        let Ok((id, name)) = shown else { return self.wrong("a user without id or name") };
        let Some(then) = before.get(&id) else { return self.wrong("a user nobody asked for") };
        let now = self.scene.truth.profiles();
        let may_be =
            then.name.allows(&name) || now.get(&id).is_some_and(|now| now.name.allows(&name));
        if !may_be && then.at.elapsed() > SHOWN_WITHIN {
            let ago = then.at.elapsed();
            let wanted = then.name.sure();
            self.wrong(&format!("{id} is shown as {name:?}, {ago:.0?} after becoming {wanted:?}"));
        }
    }
}
