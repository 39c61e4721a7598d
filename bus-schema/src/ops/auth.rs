//! `svc.auth.*`: accounts, sessions and tokens.
//!
//! Invariant: passwords and refresh tokens travel only in requests to this service (and, once
//! made, in its answers), and no type here shows them in `Debug`.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Empty, operations};
use crate::events::User;
use crate::ids::SessionId;
use crate::text::{DisplayName, Nonce, Password, Username};
use crate::timestamp::Timestamp;

operations! { Auth:
    /// Makes an account and signs it in.
    Register, "register", Nobody, Unsafe, RegisterRequest => SignedIn;
    /// Signs in with a password.
    SignIn, "sign_in", Nobody, Unsafe, SignInRequest => SignedIn;
    /// Turns a refresh token into a new pair.
    Refresh, "refresh", Nobody, Unsafe, RefreshRequest => SignedIn;
    /// Lists the caller's sessions.
    ListSessions, "list_sessions", Token, Safe, Empty => Sessions;
    /// Ends one of the caller's sessions.
    EndSession, "end_session", Token, Safe, EndSessionRequest => Empty;
    /// Changes the password and ends the other sessions.
    ChangePassword, "change_password", Token, Unsafe, ChangePasswordRequest => Empty;
    /// The public keys that access tokens are verified with.
    Keys, "keys", Platform, Safe, Empty => PublicKeys;
    /// Which of these sessions are gone.
    CheckSessions, "check_sessions", Platform, Safe, CheckSessionsRequest => SessionList;
    /// The sessions revoked within the life of an access token.
    RecentlyRevoked, "recently_revoked", Platform, Safe, Empty => SessionList;
}

/// Text that must not be seen: a password to be tried, a token. `Debug` hides it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub const fn new(secret: String) -> Self {
        Self(secret)
    }

    /// The secret itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// See [`Register`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RegisterRequest {
    /// The name to take.
    pub username: Username,
    /// The password to set.
    pub password: Password,
    /// What others see; the username if none is given.
    pub display_name: Option<DisplayName>,
    /// An invitation, where registration needs one.
    pub invite: Option<Secret>,
    /// The client's address, for the rate limit.
    pub address: Option<String>,
}

/// See [`SignIn`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SignInRequest {
    /// Whose account: as typed, for a name that breaks the rules is just one that does not exist.
    pub username: String,
    /// The password to try.
    pub password: Secret,
    /// The client's address, for the rate limit.
    pub address: Option<String>,
}

/// See [`Refresh`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RefreshRequest {
    /// The token.
    pub refresh_token: Secret,
    /// Repeated with it within 2 minutes: the same answer.
    pub nonce: Option<Nonce>,
}

/// A session and its tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SignedIn {
    /// Oneself.
    pub user: User,
    /// For requests and IDENTIFY.
    pub access_token: Secret,
    /// For the next pair; each is used once.
    pub refresh_token: Secret,
    /// Seconds the access token lives.
    pub expires_in: u64,
}

/// One sign-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// When it began.
    pub created_at: Timestamp,
    /// When its tokens were last renewed.
    pub last_used_at: Timestamp,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// The caller's sessions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sessions {
    /// Newest first.
    pub sessions: Vec<Session>,
}

/// See [`EndSession`].
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct EndSessionRequest {
    /// Which; none means the one that asks.
    pub id: Option<SessionId>,
}

/// See [`ChangePassword`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ChangePasswordRequest {
    /// The present one.
    pub old: Secret,
    /// The one to set.
    pub new: Password,
}

/// One public key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKey {
    /// Names it in a token's header.
    pub kid: String,
    /// Ed25519, base64url without padding (RFC 8037 `x`).
    pub x: String,
}

/// The keys that are valid now, the signing one first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKeys {
    /// Two while one is being replaced.
    pub keys: Vec<PublicKey>,
}

/// See [`CheckSessions`]. At most 5,000.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CheckSessionsRequest {
    /// Which sessions to look up.
    pub sessions: Vec<SessionId>,
}

/// Some sessions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionList {
    /// Which.
    pub sessions: Vec<SessionId>,
}

/// What an access token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The account.
    pub sub: crate::ids::UserId,
    /// The session.
    pub sid: SessionId,
    /// Issued, seconds since the Unix epoch.
    pub iat: u64,
    /// Expires, seconds since the Unix epoch.
    pub exp: u64,
    /// Always [`ISSUER`].
    pub iss: String,
}

/// The issuer of access tokens.
pub const ISSUER: &str = "natter";
