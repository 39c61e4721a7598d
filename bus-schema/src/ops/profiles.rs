//! `svc.profiles.*`: who people are, for everybody.
//!
//! Invariant: one request looks each user up at most once.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::operations;
use crate::events::User;
use crate::ids::UserId;
use crate::text::{AvatarUrl, DisplayName, Username};

operations! { Profiles:
    /// Looks up users by id; unknown ones are left out.
    GetProfiles, "get", Platform, Safe, GetProfilesRequest => Users;
    /// Looks up one user by name.
    ByUsername, "by_username", Platform, Safe, ByUsernameRequest => User;
    /// Changes the caller's own profile.
    UpdateProfile, "update", Token, Safe, UpdateProfileRequest => User;
}

/// See [`GetProfiles`]. At most 100 distinct ids.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GetProfilesRequest {
    /// Whom.
    pub ids: Vec<UserId>,
}

/// Some users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Users {
    /// Each once.
    pub users: Vec<User>,
}

/// See [`ByUsername`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ByUsernameRequest {
    /// The name.
    pub username: Username,
}

/// See [`UpdateProfile`]: absent fields stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UpdateProfileRequest {
    /// The new display name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display_name: Option<DisplayName>,
    /// The new picture; null clears it.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    #[schemars(with = "Option<AvatarUrl>")]
    pub avatar_url: Option<Option<AvatarUrl>>,
    /// The new name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<Username>,
}

/// Tells an absent field from one that is null.
#[expect(clippy::option_option, reason = "absent, null and set are three things")]
fn present<'de, D, T>(d: D) -> Result<Option<Option<T>>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(d).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_clears_and_absent_keeps() {
        let read = |json| serde_json::from_str::<UpdateProfileRequest>(json).unwrap().avatar_url;
        assert_eq!(read("{}"), None);
        assert_eq!(read(r#"{"avatar_url":null}"#), Some(None));
        assert!(matches!(read(r#"{"avatar_url":"http://a"}"#), Some(Some(_))));
    }
}
