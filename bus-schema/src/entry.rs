//! Entries of the log: what is stored, how it is read, how it is shown to clients.
//!
//! A stored payload is the `d` of the client event without `id` and `at`, which every reader puts in
//! front; its kind stands in the `Natter-Type` header. Invariant: a payload is encoded once, when it
//! is published, and its bytes are never changed on the way out.
//!
//! Leaves out whether an entry counts: that is [`crate::verdict`].

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::value::RawValue;

use crate::ids::{ConversationId, EntryId, StreamIndex, UserId};
use crate::subjects::LogSubject;
use crate::text::{ChannelName, Content, Nonce};
use crate::timestamp::Timestamp;

/// The kind of an entry, under the name of its client event.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EntryKind {
    /// A message.
    MessageCreate,
    /// A message's content was replaced.
    MessageUpdate,
    /// A message was deleted.
    MessageDelete,
    /// Somebody became a member.
    MemberAdd,
    /// Somebody ceased to be one.
    MemberRemove,
    /// The channel was renamed.
    ChannelUpdate,
    /// The channel was deleted; nothing after it counts.
    ChannelDelete,
}

impl EntryKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::MessageCreate,
        Self::MessageUpdate,
        Self::MessageDelete,
        Self::MemberAdd,
        Self::MemberRemove,
        Self::ChannelUpdate,
        Self::ChannelDelete,
    ];

    /// The event name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MessageCreate => "MESSAGE_CREATE",
            Self::MessageUpdate => "MESSAGE_UPDATE",
            Self::MessageDelete => "MESSAGE_DELETE",
            Self::MemberAdd => "MEMBER_ADD",
            Self::MemberRemove => "MEMBER_REMOVE",
            Self::ChannelUpdate => "CHANNEL_UPDATE",
            Self::ChannelDelete => "CHANNEL_DELETE",
        }
    }

    /// The kind with this event name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// A message as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MessageCreate {
    /// Where.
    pub conversation_id: ConversationId,
    /// By whom.
    pub author_id: UserId,
    /// What.
    pub content: Content,
    /// Always null in the log: edits are entries of their own.
    pub edited_at: Option<Timestamp>,
    /// The author's name for it.
    pub nonce: Option<Nonce>,
}

/// An edit as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MessageUpdate {
    /// Where.
    pub conversation_id: ConversationId,
    /// Which message.
    pub message_id: EntryId,
    /// The new content.
    pub content: Content,
    /// By whom.
    pub author_id: UserId,
}

/// A deletion as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MessageDelete {
    /// Where.
    pub conversation_id: ConversationId,
    /// Which message.
    pub message_id: EntryId,
    /// By whom: the message's author or the channel's creator.
    pub author_id: UserId,
}

/// An addition or removal of a member as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemberChange {
    /// Where.
    pub conversation_id: ConversationId,
    /// Who was added or removed.
    pub user_id: UserId,
    /// By whom.
    pub author_id: UserId,
    /// The channel's revision that this change made.
    pub revision: u64,
}

/// A renaming as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChannelUpdate {
    /// Where.
    pub conversation_id: ConversationId,
    /// The new name.
    pub name: ChannelName,
    /// By whom.
    pub author_id: UserId,
    /// The channel's revision that this change made.
    pub revision: u64,
}

/// The end of a channel as stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChannelDelete {
    /// Where.
    pub conversation_id: ConversationId,
    /// By whom.
    pub author_id: UserId,
    /// The channel's revision that this change made.
    pub revision: u64,
}

/// A decoded entry's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// A message.
    MessageCreate(MessageCreate),
    /// An edit.
    MessageUpdate(MessageUpdate),
    /// A deletion.
    MessageDelete(MessageDelete),
    /// A member was added.
    MemberAdd(MemberChange),
    /// A member was removed.
    MemberRemove(MemberChange),
    /// A renaming.
    ChannelUpdate(ChannelUpdate),
    /// The end of the channel.
    ChannelDelete(ChannelDelete),
}

impl Body {
    /// The kind.
    pub const fn kind(&self) -> EntryKind {
        match self {
            Self::MessageCreate(_) => EntryKind::MessageCreate,
            Self::MessageUpdate(_) => EntryKind::MessageUpdate,
            Self::MessageDelete(_) => EntryKind::MessageDelete,
            Self::MemberAdd(_) => EntryKind::MemberAdd,
            Self::MemberRemove(_) => EntryKind::MemberRemove,
            Self::ChannelUpdate(_) => EntryKind::ChannelUpdate,
            Self::ChannelDelete(_) => EntryKind::ChannelDelete,
        }
    }

    /// Who did it.
    pub const fn author(&self) -> UserId {
        match self {
            Self::MessageCreate(b) => b.author_id,
            Self::MessageUpdate(b) => b.author_id,
            Self::MessageDelete(b) => b.author_id,
            Self::MemberAdd(b) | Self::MemberRemove(b) => b.author_id,
            Self::ChannelUpdate(b) => b.author_id,
            Self::ChannelDelete(b) => b.author_id,
        }
    }

    /// Where it says it belongs.
    pub const fn conversation(&self) -> ConversationId {
        match self {
            Self::MessageCreate(b) => b.conversation_id,
            Self::MessageUpdate(b) => b.conversation_id,
            Self::MessageDelete(b) => b.conversation_id,
            Self::MemberAdd(b) | Self::MemberRemove(b) => b.conversation_id,
            Self::ChannelUpdate(b) => b.conversation_id,
            Self::ChannelDelete(b) => b.conversation_id,
        }
    }

    /// The message that an edit or a deletion is about.
    pub const fn target(&self) -> Option<EntryId> {
        match self {
            Self::MessageUpdate(b) => Some(b.message_id),
            Self::MessageDelete(b) => Some(b.message_id),
            _ => None,
        }
    }

    /// The channel's revision, for what changes the channel.
    pub const fn revision(&self) -> Option<u64> {
        match self {
            Self::MemberAdd(b) | Self::MemberRemove(b) => Some(b.revision),
            Self::ChannelUpdate(b) => Some(b.revision),
            Self::ChannelDelete(b) => Some(b.revision),
            _ => None,
        }
    }

    /// Whether this one, stored under a nonce, says the same as another sent under it. What was deleted
    /// meanwhile can no longer be compared, and is no other message.
    pub fn repeats(&self, sent: &Self) -> bool {
        match (self, sent) {
            (Self::MessageCreate(a), Self::MessageCreate(b)) => {
                let same = a.content == b.content || a.content.as_str().is_empty();
                same && a.author_id == b.author_id
            }
            (stored, sent) => stored == sent,
        }
    }

    /// The payload to store.
    pub fn encode(&self) -> String {
        let json = match self {
            Self::MessageCreate(b) => serde_json::to_string(b),
            Self::MessageUpdate(b) => serde_json::to_string(b),
            Self::MessageDelete(b) => serde_json::to_string(b),
            Self::MemberAdd(b) | Self::MemberRemove(b) => serde_json::to_string(b),
            Self::ChannelUpdate(b) => serde_json::to_string(b),
            Self::ChannelDelete(b) => serde_json::to_string(b),
        };
        json.unwrap_or_default()
    }

    fn decode(kind: EntryKind, payload: &str) -> serde_json::Result<Self> {
        Ok(match kind {
            EntryKind::MessageCreate => Self::MessageCreate(serde_json::from_str(payload)?),
            EntryKind::MessageUpdate => Self::MessageUpdate(serde_json::from_str(payload)?),
            EntryKind::MessageDelete => Self::MessageDelete(serde_json::from_str(payload)?),
            EntryKind::MemberAdd => Self::MemberAdd(serde_json::from_str(payload)?),
            EntryKind::MemberRemove => Self::MemberRemove(serde_json::from_str(payload)?),
            EntryKind::ChannelUpdate => Self::ChannelUpdate(serde_json::from_str(payload)?),
            EntryKind::ChannelDelete => Self::ChannelDelete(serde_json::from_str(payload)?),
        })
    }
}

/// One entry at its place in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its id, which is its place.
    pub id: EntryId,
    /// The log's time stamp.
    pub at: Timestamp,
    /// What it says.
    pub body: Body,
    /// The stored bytes.
    pub payload: String,
}

/// Why stored bytes are not an entry. Such bytes move positions, and are shown to nobody.
#[derive(Debug, thiserror::Error)]
pub enum Undecodable {
    /// Bytes that are not UTF-8.
    #[error("not UTF-8")]
    Utf8,
    /// A kind nobody knows, or none.
    #[error("unknown kind")]
    Kind,
    /// Not the JSON of its kind.
    #[error("bad payload: {0}")]
    Json(#[from] serde_json::Error),
    /// It is no object, or names its own place or time.
    #[error("no object, or with an id or time of its own")]
    Reserved,
    /// It names another conversation than its subject.
    #[error("names another conversation than its subject")]
    Misplaced,
}

impl Entry {
    /// Reads what the log stored at `sequence` of `stream` on the subject of `place`.
    pub fn decode(
        place: LogSubject,
        stream: StreamIndex,
        sequence: u64,
        at: Timestamp,
        kind: Option<&str>,
        payload: &[u8],
    ) -> Result<Self, Undecodable> {
        let kind = kind.and_then(EntryKind::parse).ok_or(Undecodable::Kind)?;
        let payload = std::str::from_utf8(payload).map_err(|_| Undecodable::Utf8)?.trim();
        let body = Body::decode(kind, payload)?;
        Self::placed(place, EntryId::new(sequence, stream), at, body, payload)
    }

    /// Reads what [`shown_deleted`] made of a message; anything else is refused.
    pub fn decode_deleted(
        place: LogSubject,
        id: EntryId,
        at: Timestamp,
        payload: &str,
    ) -> Result<Self, Undecodable> {
        let body = serde_json::from_str::<DeletedMessage>(payload)?.into_body()?;
        Self::placed(place, id, at, body, payload)
    }

    fn placed(
        place: LogSubject,
        id: EntryId,
        at: Timestamp,
        body: Body,
        payload: &str,
    ) -> Result<Self, Undecodable> {
        if Some(body.conversation()) != place.conversation() {
            return Err(Undecodable::Misplaced);
        }
        // `id` and `at` are put in front of the payload's own members: what is no object, or has
        // these itself, would make another frame of it.
        if !payload.starts_with('{') || serde_json::from_str::<Reserved>(payload)?.is_used() {
            return Err(Undecodable::Reserved);
        }
        Ok(Self { id, at, body, payload: payload.to_owned() })
    }

    /// The `d` of the client event: the stored object with `id` and `at` in front.
    pub fn event_json(&self) -> String {
        let mut json = String::with_capacity(self.payload.len() + 72);
        self.write_event(&mut json);
        json
    }

    /// The whole DISPATCH frame.
    pub fn frame_json(&self) -> String {
        let mut json = String::with_capacity(self.payload.len() + 112);
        json.push_str(r#"{"op":0,"t":""#);
        json.push_str(self.body.kind().as_str());
        json.push_str(r#"","d":"#);
        self.write_event(&mut json);
        json.push('}');
        json
    }

    fn write_event(&self, json: &mut String) {
        use fmt::Write as _;
        // Writing to a String cannot fail.
        let _ = write!(json, r#"{{"id":"{}","at":"{}","#, self.id, self.at);
        json.push_str(self.payload.get(1..).unwrap_or("}"));
    }
}

impl Entry {
    /// This message as it is shown once it is deleted; other entries stay as they are.
    pub fn emptied(mut self) -> Result<Self, Undecodable> {
        if let Body::MessageCreate(message) = &mut self.body {
            message.content = Content::deleted();
            self.payload = shown_deleted(&self.payload)?;
        }
        Ok(self)
    }
}

/// The payload of a message as it is shown once it is deleted: the same object, its content empty.
pub fn shown_deleted(payload: &str) -> Result<String, Undecodable> {
    let Fields(mut fields) = serde_json::from_str(payload)?;
    for (name, value) in &mut fields {
        if name == "content" {
            *value = RawValue::from_string("\"\"".to_owned())?;
        }
    }
    Ok(serde_json::to_string(&Fields(fields))?)
}

/// The members of an event that are the log's to say.
#[derive(Deserialize)]
struct Reserved {
    #[serde(default)]
    id: Option<de::IgnoredAny>,
    #[serde(default)]
    at: Option<de::IgnoredAny>,
}

impl Reserved {
    const fn is_used(&self) -> bool {
        self.id.is_some() || self.at.is_some()
    }
}

/// A JSON object whose members keep their order and their text.
struct Fields(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Members;
        impl<'de> de::Visitor<'de> for Members {
            type Value = Fields;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        d.deserialize_map(Members)
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// A message whose content is empty because it was deleted.
#[derive(Deserialize)]
struct DeletedMessage {
    conversation_id: ConversationId,
    author_id: UserId,
    content: String,
    nonce: Option<Nonce>,
}

impl DeletedMessage {
    fn into_body(self) -> Result<Body, Undecodable> {
        if !self.content.is_empty() {
            let why = de::Error::custom("not the form of a deleted message");
            return Err(Undecodable::Json(why));
        }
        Ok(Body::MessageCreate(MessageCreate {
            conversation_id: self.conversation_id,
            author_id: self.author_id,
            content: Content::deleted(),
            edited_at: None,
            nonce: self.nonce,
        }))
    }
}

/// A notice in a user's own log: `log.<p>.u.<user>`. It follows the conversation's own entry, names
/// it, and is never shown to clients; it makes edges look at the user's list of conversations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "notice", rename_all = "snake_case")]
pub enum Notice {
    /// The user was added to a channel.
    AddedToChannel {
        /// Which channel.
        conversation_id: ConversationId,
        /// The MEMBER_ADD.
        entry_id: EntryId,
        /// The channel's revision that this change made.
        revision: u64,
    },
    /// The user opened a DM.
    DmOpened {
        /// Which DM.
        conversation_id: ConversationId,
    },
}

#[cfg(test)]
mod tests;
