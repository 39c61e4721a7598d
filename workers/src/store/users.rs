//! Accounts: who people are, how they prove it, whether they may.
//!
//! Invariant: usernames are unique at every moment, and a profile's version rises with every change
//! of it. Leaves out hashing passwords and caching profiles.

use std::fmt;

use async_trait::async_trait;
use bus_schema::events::{User, VersionedUser};
use bus_schema::ids::UserId;
use bus_schema::text::{AvatarUrl, DisplayName, Username};
use bus_schema::timestamp::Timestamp;

use super::StoreError;

/// A stored account.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Account {
    pub(crate) profile: VersionedUser,
    /// A PHC string; none for who cannot sign in with a password.
    pub(crate) password_hash: Option<String>,
    /// Who made it, for a bot that is not retired; none for people.
    pub(crate) owner: Option<UserId>,
    /// A disabled account cannot sign in.
    pub(crate) disabled: bool,
    pub(crate) created_at: Timestamp,
}

impl Account {
    /// A new, enabled account with the first version of its profile.
    pub(crate) fn new(user: User, password_hash: Option<String>, created_at: Timestamp) -> Self {
        let profile = VersionedUser { version: 1, user };
        Self { profile, password_hash, owner: None, disabled: false, created_at }
    }

    /// A new bot. It has no password.
    pub(crate) fn bot(user: User, owner: UserId, created_at: Timestamp) -> Self {
        Self { owner: Some(owner), ..Self::new(user, None, created_at) }
    }

    /// Whether it is a bot that was deleted, and stands for the author of its messages only.
    pub(crate) const fn is_retired(&self) -> bool {
        self.profile.user.bot && self.owner.is_none()
    }

    /// Whether it can be found by its name: not once it is being deleted.
    pub(crate) const fn has_name(&self) -> bool {
        !(self.profile.user.bot && self.disabled)
    }

    pub(crate) const fn id(&self) -> UserId {
        self.profile.user.id
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("profile", &self.profile)
            .field("disabled", &self.disabled)
            .finish_non_exhaustive()
    }
}

/// How making an account ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Created {
    Done,
    /// Choose another id.
    IdTaken,
    UsernameTaken,
    /// The owner of a bot has as many as allowed.
    TooManyBots,
}

/// Absent fields stay as they are; `avatar_url: Some(None)` clears the picture.
#[expect(clippy::option_option, reason = "absent, null and set are three things")]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ProfileChange {
    pub(crate) username: Option<Username>,
    pub(crate) display_name: Option<DisplayName>,
    pub(crate) avatar_url: Option<Option<AvatarUrl>>,
    /// The call that asks for it, to be remembered; none if empty.
    pub(crate) call: String,
}

/// How many calls that changed a profile are known, the newest.
pub(crate) const CALLS_KEPT: u32 = 16;

/// How changing a profile ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Updated {
    /// The profile now; a change that changes nothing keeps the version.
    Done(VersionedUser),
    UsernameTaken,
    NotFound,
}

/// Accounts.
#[async_trait]
pub(crate) trait UserStore: Send + Sync {
    /// Makes what accounts and all that is kept beside them (sessions, keys, invitations, channels)
    /// need, where opening does not.
    async fn migrate(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Keeps a new account.
    async fn create(&self, account: Account) -> Result<Created, StoreError>;

    /// Keeps a new bot of an owner who then has at most `most`. Exact where the backend has
    /// transactions across documents; elsewhere bots made at the same moment may exceed it.
    async fn create_bot(&self, account: Account, most: usize) -> Result<Created, StoreError>;

    /// The bots of an owner, by id.
    async fn bots_of(&self, owner: UserId) -> Result<Vec<Account>, StoreError>;

    /// Takes a bot's owner and gives it another name, so that its own is free; its profile stays
    /// for the messages it wrote. Nothing happens to one that has no owner.
    async fn retire_bot(&self, id: UserId, name: Username) -> Result<Updated, StoreError>;

    /// The account with this id.
    async fn by_id(&self, id: UserId) -> Result<Option<Account>, StoreError>;

    /// The account with this name.
    async fn by_username(&self, name: &Username) -> Result<Option<Account>, StoreError>;

    /// The profiles of those of `ids` that exist, in any order, each once.
    async fn profiles(&self, ids: Vec<UserId>) -> Result<Vec<VersionedUser>, StoreError>;

    /// Changes a profile; not again for a call that is one of the last [`CALLS_KEPT`] of the account:
    /// it is answered with the profile as it is.
    async fn update_profile(&self, id: UserId, to: ProfileChange) -> Result<Updated, StoreError>;

    /// Sets the password, with `only_if` only while the present hash is that one, so that of two
    /// people who both know the old password one succeeds. Whether it was set.
    async fn set_password(
        &self,
        id: UserId,
        only_if: Option<String>,
        hash: String,
    ) -> Result<bool, StoreError>;

    /// Disables or enables. Whether there is such an account.
    async fn set_disabled(&self, id: UserId, disabled: bool) -> Result<bool, StoreError>;

    /// Accounts after an id, ascending.
    async fn list(&self, after: Option<UserId>, limit: u32) -> Result<Vec<Account>, StoreError>;
}
