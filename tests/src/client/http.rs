//! The HTTP half: one call, one answer, and what was asked kept beside it for the failure.
//!
//! Invariant: an answer is never judged here beyond being JSON or empty; tests say which status they
//! want ([`Answer::ok`]) or which refusal ([`Answer::refused`]). One call is one request, unless the
//! caller asked for patience ([`Api::patient`]) and so promises that asking twice does no harm.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::Value;

use super::backoff::Backoff;
use crate::json::Look as _;
use crate::{Context as _, Outcome, ensure};

/// No call may take longer, whatever happens to the platform meanwhile.
const CALL_WITHIN: Duration = Duration::from_secs(30);

/// One edge as seen by one person, or by nobody yet.
#[derive(Clone)]
pub struct Api {
    base: String,
    token: Option<String>,
    http: reqwest::Client,
    patience: Option<Patience>,
}

/// Whom else to ask, and for how long, when an edge does not answer.
#[derive(Clone)]
struct Patience {
    edges: Arc<[String]>,
    within: Duration,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The JSON body; null where there was none.
    pub body: Value,
    /// All headers.
    pub headers: HeaderMap,
    /// The method and path that were asked.
    pub asked: String,
}

impl Api {
    /// The edge at the address (`http://host:port`), without a token.
    pub fn new(base: &str) -> Outcome<Self> {
        let http = reqwest::Client::builder().timeout(CALL_WITHIN).build()?;
        Ok(Self { base: base.to_owned(), token: None, http, patience: None })
    }

    /// The same edge with a token.
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// The same person at another edge.
    pub fn at(&self, base: &str) -> Self {
        Self { base: base.to_owned(), ..self.clone() }
    }

    /// The same, asking one edge after the other for that long while there is no answer or one that
    /// says to come again (429, 503, 504). Only for calls that may be repeated.
    pub fn patient(&self, edges: &[String], within: Duration) -> Self {
        Self { patience: Some(Patience { edges: edges.into(), within }), ..self.clone() }
    }

    /// The edge's address.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The token that calls carry.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// GET of a path below `/v1`.
    pub async fn get(&self, path: &str) -> Outcome<Answer> {
        self.call(Method::GET, path, None).await
    }

    /// POST of a path below `/v1`.
    pub async fn post(&self, path: &str, body: &Value) -> Outcome<Answer> {
        self.call(Method::POST, path, Some(body)).await
    }

    /// PATCH of a path below `/v1`.
    pub async fn patch(&self, path: &str, body: &Value) -> Outcome<Answer> {
        self.call(Method::PATCH, path, Some(body)).await
    }

    /// PUT of a path below `/v1`.
    pub async fn put(&self, path: &str, body: &Value) -> Outcome<Answer> {
        self.call(Method::PUT, path, Some(body)).await
    }

    /// DELETE of a path below `/v1`.
    pub async fn delete(&self, path: &str) -> Outcome<Answer> {
        self.call(Method::DELETE, path, None).await
    }

    /// Any method on a path below `/v1`, with a JSON body or none.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>) -> Outcome<Answer> {
        let path = format!("/v1{path}");
        let bytes = body.map(|body| body.to_string().into_bytes());
        match &self.patience {
            None => self.raw(method, &path, bytes, &[]).await,
            Some(patience) => self.insist(patience, method, &path, bytes).await,
        }
    }

    async fn insist(
        &self,
        patience: &Patience,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Outcome<Answer> {
        let deadline = Instant::now() + patience.within;
        let mut backoff = Backoff::default();
        let first = patience.edges.iter().position(|edge| *edge == self.base).unwrap_or(0);
        for edge in patience.edges.iter().cycle().skip(first) {
            let tried = self.at(edge).raw(method.clone(), path, body.clone(), &[]).await;
            let wait = match &tried {
                Ok(answer) if !matches!(answer.status, 429 | 503 | 504) => return tried,
                Ok(answer) => answer.retry_after(),
                Err(_) => None,
            };
            let wait = wait.unwrap_or(Duration::ZERO).max(backoff.wait());
            if Instant::now() + wait > deadline {
                return tried.during(format_args!("after {:?} of trying", patience.within));
            }
            tokio::time::sleep(wait).await;
        }
        crate::fail!("no edges")
    }

    /// Any method on any path with any bytes as its body, and further headers.
    pub async fn raw(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
        headers: &[(&str, &str)],
    ) -> Outcome<Answer> {
        let asked = format!("{method} {path}");
        let mut request = self.http.request(method, format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        if let Some(bytes) = body {
            request = request.header("content-type", "application/json").body(bytes);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.during(&asked)?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let bytes = response.bytes().await.during(&asked)?;
        let body = if bytes.is_empty() {
            Value::Null
        } else {
            let text = String::from_utf8_lossy(&bytes);
            serde_json::from_slice(&bytes).during(format_args!("{asked}: {status} {text}"))?
        };
        Ok(Answer { status, body, headers, asked })
    }
}

impl Answer {
    /// The body, when the status is the wanted one.
    #[track_caller]
    pub fn ok(self, status: u16) -> Outcome<Value> {
        let Self { body, asked, .. } = self;
        ensure!(self.status == status, "{asked}: wanted {status}, got {} {body}", self.status);
        Ok(body)
    }

    /// The error, when it is the wanted one in the documented form.
    #[track_caller]
    pub fn refused(self, status: u16, code: &str) -> Outcome<Value> {
        let Self { body, asked, .. } = self;
        let wanted = format!("{asked}: wanted {status} {code}, got {} {body}", self.status);
        ensure!(self.status == status, "{wanted}");
        ensure!(body.text("error/code").during(&wanted)? == code, "{wanted}");
        ensure!(!body.text("error/message").during(&wanted)?.is_empty(), "{wanted}");
        Ok(body)
    }

    /// The error's code, where this is an error.
    pub fn code(&self) -> Option<&str> {
        self.body.pointer("/error/code").and_then(Value::as_str)
    }

    /// How long the server asks to wait before the next try.
    pub fn retry_after(&self) -> Option<Duration> {
        let wait = self.body.pointer("/error/retry_after_ms")?.as_u64()?;
        Some(Duration::from_millis(wait))
    }
}
