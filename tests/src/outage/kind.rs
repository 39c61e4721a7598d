//! What people do during an outage, each counted by itself.
//!
//! Invariant: what may depend on different servers is a kind of its own, so that one that goes on
//! never hides one that does not. Pure.

/// An operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// SEND over the websocket, until its ACK.
    Send,
    /// A message over HTTP.
    HttpSend,
    /// Changing one's own recent message.
    Edit,
    /// Deleting one's own recent message.
    Delete,
    /// The newest page of a busy channel.
    ReadRecent,
    /// The newest entries of a busy channel.
    ReadEntries,
    /// A page from the beginning of a long channel.
    ReadOld,
    /// Moving a read marker.
    Mark,
    /// The list of one's conversations.
    Conversations,
    /// Profiles by their ids.
    LookUp,
    /// A profile by its username.
    LookUpName,
    /// Changing one's display name.
    Profile,
    /// A channel's document.
    ChannelGet,
    /// Making a channel.
    ChannelCreate,
    /// Adding a member.
    MemberAdd,
    /// Removing a member.
    MemberRemove,
    /// Renaming a channel.
    ChannelRename,
    /// A new session by password.
    SignIn,
    /// New tokens for a session.
    Refresh,
    /// Ending a session.
    SignOut,
    /// IDENTIFY without cursors at the edge where the same person is connected.
    Identify,
    /// IDENTIFY without cursors at another edge.
    IdentifyElsewhere,
    /// IDENTIFY with cursors at the edge where the person was connected.
    Resume,
    /// IDENTIFY with cursors at another edge.
    ResumeElsewhere,
}

impl Kind {
    /// Every kind, in the order of the table.
    pub const ALL: [Self; 24] = [
        Self::Send,
        Self::HttpSend,
        Self::Edit,
        Self::Delete,
        Self::ReadRecent,
        Self::ReadEntries,
        Self::ReadOld,
        Self::Mark,
        Self::Conversations,
        Self::LookUp,
        Self::LookUpName,
        Self::Profile,
        Self::ChannelGet,
        Self::ChannelCreate,
        Self::MemberAdd,
        Self::MemberRemove,
        Self::ChannelRename,
        Self::SignIn,
        Self::Refresh,
        Self::SignOut,
        Self::Identify,
        Self::IdentifyElsewhere,
        Self::Resume,
        Self::ResumeElsewhere,
    ];

    /// What it is called in the table.
    pub fn label(self) -> &'static str {
        match self {
            Self::Send => "send (socket)",
            Self::HttpSend => "send (HTTP)",
            Self::Edit => "edit",
            Self::Delete => "delete",
            Self::ReadRecent => "read recent page",
            Self::ReadEntries => "read recent entries",
            Self::ReadOld => "read old page",
            Self::Mark => "read marker",
            Self::Conversations => "list conversations",
            Self::LookUp => "profiles by id",
            Self::LookUpName => "profile by name",
            Self::Profile => "change profile",
            Self::ChannelGet => "show channel",
            Self::ChannelCreate => "create channel",
            Self::MemberAdd => "add member",
            Self::MemberRemove => "remove member",
            Self::ChannelRename => "rename channel",
            Self::SignIn => "sign in",
            Self::Refresh => "refresh tokens",
            Self::SignOut => "sign out",
            Self::Identify => "new device, same edge",
            Self::IdentifyElsewhere => "new device, other edge",
            Self::Resume => "resume, same edge",
            Self::ResumeElsewhere => "resume, other edge",
        }
    }
}
