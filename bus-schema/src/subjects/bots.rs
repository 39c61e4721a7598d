//! The subjects of bots: what they ask on, what they receive on, and where they are answered.
//!
//! Invariant: as of all subjects, and a request's subject alone says whose it is, for the server lets
//! a bot publish to its own only.

use super::{BadSubject, number};
use crate::ids::{ConversationId, StreamIndex, UserId};

/// What bots ask for, for the roles that serve them.
pub const BOT_SENDS: &str = "bot.*.send.*";
/// What bots ask for beside sending: `bot.<bot>.api.<area>.<verb>`.
pub const BOT_APIS: &str = "bot.*.api.*.*";
/// What bots receive, of all bots.
pub const BOT_EVENTS: &str = "bot.*.events";
/// How far each log stream was delivered to bots.
pub const DELIVERED: &str = "delivered.*";

/// Where a bot's events are stored for it.
pub fn bot_events(bot: UserId) -> String {
    format!("bot.{bot}.events")
}

/// The durable consumer with which a bot takes its events.
pub fn bot_consumer(bot: UserId) -> String {
    format!("bot_{bot}")
}

/// What a bot's inboxes begin with.
pub fn bot_inbox_prefix(bot: UserId) -> String {
    format!("_INBOX_{bot}")
}

/// The requests of all bots for one operation, such as `users.get`.
pub fn bot_api(operation: &str) -> String {
    format!("bot.*.api.{operation}")
}

/// How far a log stream was delivered, beside what was delivered of it.
pub fn delivered(stream: StreamIndex) -> String {
    format!("delivered.{stream}")
}

/// A request by a bot: who the server let say it, and what it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BotRequest<'a> {
    /// `bot.<bot>.send.<conversation>`
    Send(UserId, ConversationId),
    /// `bot.<bot>.api.<operation>`
    Api(UserId, &'a str),
}

impl<'a> BotRequest<'a> {
    /// Reads the subject of a request.
    pub fn parse(subject: &'a str) -> Result<Self, BadSubject> {
        let rest = subject.strip_prefix("bot.").ok_or(BadSubject)?;
        let (bot, rest) = rest.split_once('.').ok_or(BadSubject)?;
        let bot = number(bot)?;
        match rest.split_once('.').ok_or(BadSubject)? {
            ("send", conversation) => Ok(Self::Send(bot, number(conversation)?)),
            ("api", operation) => Ok(Self::Api(bot, operation)),
            _ => Err(BadSubject),
        }
    }

    /// Who asks.
    pub const fn bot(self) -> UserId {
        match self {
            Self::Send(bot, _) | Self::Api(bot, _) => bot,
        }
    }

    /// Whether an answer may go there: only to where the server brought the question from another
    /// account, or into an inbox of the bot that asks. Between accounts the server shows no inbox,
    /// and does not check where in the other account somebody wants the answer sent; so inboxes are
    /// long random names.
    pub fn accepts_reply(self, reply: &str) -> bool {
        if let Some(rest) = reply.strip_prefix("_R_.") {
            return !rest.is_empty() && !rest.contains(['*', '>', ' ']);
        }
        let rest = reply.strip_prefix(&*bot_inbox_prefix(self.bot()));
        rest.and_then(|rest| rest.strip_prefix('.')).is_some_and(|rest| {
            !rest.is_empty()
                && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_bots() {
        let send = BotRequest::parse("bot.7.send.9");
        assert_eq!(send, Ok(BotRequest::Send(UserId(7), ConversationId(9))));
        let api = BotRequest::parse("bot.7.api.users.get");
        assert_eq!(api, Ok(BotRequest::Api(UserId(7), "users.get")));
        for bad in ["bot.7.send", "bot.07.send.9", "bot.7.send.9.1", "bot.7.events", "bot.*.send.9"]
        {
            assert_eq!(BotRequest::parse(bad), Err(BadSubject), "{bad}");
        }
        let asked = BotRequest::Send(UserId(7), ConversationId(9));
        assert!(asked.accepts_reply("_INBOX_7.abc.DEF-1_2"));
        assert!(asked.accepts_reply("_R_.AwUWle.YdSlEn"));
        for bad in ["", "_INBOX_7", "_INBOX_7.", "_INBOX_77.a", "_INBOX_8.a", "_INBOX.7.a", "x"] {
            assert!(!asked.accepts_reply(bad), "{bad}");
        }
        for bad in ["_INBOX_7.>", "_INBOX_7.*", "_INBOX_7.a b"] {
            assert!(!asked.accepts_reply(bad), "{bad}");
        }
    }
}
