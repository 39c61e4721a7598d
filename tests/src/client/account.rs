//! A person: who they are and the tokens of one of their sessions.
//!
//! Invariant: tokens are those of the last answer; an account that has refreshed forgets the old
//! ones, for using one again ends the session. Passwords here are made up, never anyone's.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Api, nonce};
use crate::json::Look as _;
use crate::{Outcome, ensure};

/// An access token this close to its end is refreshed before it is used.
const SPARE: Duration = Duration::from_mins(1);

/// A registered person with one session.
#[derive(Clone, Debug)]
pub struct Account {
    /// The id of the user.
    pub id: u64,
    /// The username, as stored.
    pub username: String,
    /// The password.
    pub password: String,
    /// The user as the last answer showed it.
    pub user: Value,
    /// The access token.
    pub access: String,
    /// The refresh token.
    pub refresh: String,
    /// When the access token ends.
    pub until: Instant,
}

impl Account {
    /// Registers.
    pub async fn register(
        api: &Api,
        username: &str,
        password: &str,
        display_name: Option<&str>,
    ) -> Outcome<Self> {
        let mut body = json!({ "username": username, "password": password });
        if let Some(name) = display_name {
            body["display_name"] = name.into();
        }
        let answer = api.post("/accounts", &body).await?.ok(201)?;
        Self::read(&answer, password)
    }

    /// Opens another session.
    pub async fn sign_in(api: &Api, username: &str, password: &str) -> Outcome<Self> {
        let body = json!({ "username": username, "password": password });
        let answer = api.post("/sessions", &body).await?.ok(201)?;
        Self::read(&answer, password)
    }

    /// Reads the answer to a registration, a sign-in or a refresh.
    pub fn read(answer: &Value, password: &str) -> Outcome<Self> {
        let seconds = answer.number("expires_in")?;
        ensure!(seconds > 0, "expires_in is {seconds}");
        let user = answer.at("user")?;
        Ok(Self {
            id: user.id("id")?,
            username: user.text("username")?.to_owned(),
            password: password.to_owned(),
            user: user.clone(),
            access: answer.text("access_token")?.to_owned(),
            refresh: answer.text("refresh_token")?.to_owned(),
            until: Instant::now() + Duration::from_secs(seconds),
        })
    }

    /// An access token that is good for a while, refreshed where needed.
    pub async fn token(&mut self, api: &Api) -> Outcome<String> {
        if Instant::now() + SPARE > self.until {
            let body = json!({ "refresh_token": self.refresh, "nonce": nonce() });
            let answer = api.post("/sessions/refresh", &body).await?.ok(200)?;
            *self = Self::read(&answer, &self.password)?;
        }
        Ok(self.access.clone())
    }
}
