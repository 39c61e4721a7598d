//! Signing in, staying signed in, and connecting new devices.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use tokio::time::timeout_at;

use super::{Actor, Reply, one_of};
use crate::client::{Account, Api, Cursors, Kind as What, Session, nonce};
use crate::outage::kind::Kind;
use crate::outage::watcher::{RESUMED_WITHIN, code};

/// Devices that one person keeps signed in beside the one that is connected.
const DEVICES: usize = 3;
/// A refresh without an answer is repeated with its nonce for less than the two minutes in which
/// that gives the same answer.
const REPEATED_FOR: Duration = Duration::from_secs(110);

/// A device that is signed in and not connected.
pub(super) struct Device {
    account: Account,
    /// A refresh that has no answer yet, and when it was first asked.
    asked: Option<(String, Instant)>,
}

impl Actor {
    pub(super) async fn sign_in(&mut self) {
        if self.devices.len() >= DEVICES {
            return self.sign_out().await;
        }
        let body = json!({ "username": self.person.username, "password": self.person.password });
        let asked = (Method::POST, "/sessions");
        let reply = self.ask(Kind::SignIn, &self.nobody(), asked, Some(&body), None).await;
        let Reply::Done(answer) = reply else { return };
        match Account::read(&answer, &self.person.password) {
            Ok(account) => self.devices.push(Device { account, asked: None }),
            Err(failure) => self.wrong(&format!("signing in: {failure}")),
        }
    }

    pub(super) async fn refresh(&mut self) {
        let Some(mut device) = self.devices.pop() else { return self.sign_in().await };
        let (nonce, first) = device.asked.take().unwrap_or_else(|| (nonce(), Instant::now()));
        if first.elapsed() > REPEATED_FOR {
            // Whether its token was used up nobody can know any more.
            return;
        }
        let body = json!({ "refresh_token": device.account.refresh, "nonce": nonce });
        let asked = (Method::POST, "/sessions/refresh");
        let reply = self.ask(Kind::Refresh, &self.nobody(), asked, Some(&body), None).await;
        if let Reply::Done(answer) = reply {
            match Account::read(&answer, &self.person.password) {
                Ok(account) => device.account = account,
                Err(failure) => return self.wrong(&format!("refreshing: {failure}")),
            }
        } else {
            device.asked = Some((nonce, first));
        }
        self.devices.insert(0, device);
    }

    pub(super) async fn sign_out(&mut self) {
        let Some(device) = self.devices.pop() else { return };
        let api = self.nobody().with_token(&device.account.access);
        let asked = (Method::DELETE, "/sessions/current");
        let reply = self.ask(Kind::SignOut, &api, asked, None, None).await;
        if let Reply::Refused = reply {
            self.devices.push(device);
        }
    }

    /// Connects a device that knows nothing, and leaves again.
    pub(super) async fn identify(&mut self, kind: Kind) {
        let edges = &self.scene.edges;
        let turn = usize::from(kind == Kind::IdentifyElsewhere);
        let edge = &edges[(self.person.home + turn) % edges.len()];
        let began = Instant::now();
        let deadline = began + RESUMED_WITHIN;
        let token = self.person.api.token().unwrap_or_default().to_owned();
        let refused = match Box::pin(Session::open(edge, &token, Cursors::default())).await {
            Err(_) => Some("no connection".to_owned()),
            Ok(mut session) => loop {
                match timeout_at(deadline.into(), session.next()).await {
                    Err(_) => break Some("no RESUMED".to_owned()),
                    Ok(Err(ended)) => break Some(code(&ended)),
                    Ok(Ok(event)) if event.kind == What::Ready => {
                        self.check_rooms("READY", &event.data);
                    }
                    Ok(Ok(event)) if event.kind == What::Resumed => break None,
                    Ok(Ok(_)) => {}
                }
            },
        };
        self.scene.journal.note(kind, began, refused);
    }

    fn nobody(&self) -> Api {
        let edge = one_of(&self.scene.edges);
        edge.map_or_else(|| self.scene.nobody.clone(), |edge| self.scene.nobody.at(edge))
    }
}
