//! What a client makes of what it hears.

use std::time::Duration;

use serde_json::Value;

use super::Client;
use crate::Outcome;
use crate::check::drive::book::PATIENT;
use crate::check::record::{Answer, Connection};
use crate::client::{Event, Kind};
use crate::json::Look as _;

impl Client {
    pub(super) fn hear(&mut self, event: &Event, connection: Connection) -> Outcome {
        let data = &event.data;
        self.parts.town.recorder.heard(connection, &event.name, data);
        match event.kind {
            Kind::Entry { .. } if event.name == "MESSAGE_CREATE" => self.created(data)?,
            Kind::Ack => {
                let (nonce, id) = (data.text("nonce")?, data.id("id")?);
                self.book.settle(nonce);
                self.answered(nonce, Answer::Done(Some(id)));
                let conversation = data.id("conversation_id")?;
                self.parts.town.said(conversation, id, self.parts.person.id);
            }
            Kind::Nack => self.refused(data)?,
            _ => {}
        }
        Ok(())
    }

    /// One's own message with a pending nonce is its ACK.
    fn created(&mut self, data: &Value) -> Outcome {
        if data.id("author_id")? == self.parts.person.id
            && let Some(nonce) = data.get("nonce").and_then(Value::as_str)
        {
            self.book.settle(nonce);
        }
        Ok(())
    }

    fn refused(&mut self, data: &Value) -> Outcome {
        let Some(nonce) = data.get("nonce").and_then(Value::as_str) else { return Ok(()) };
        let code = data.text("code")?;
        let unknown = matches!(code, "unknown_outcome" | "timeout");
        let answer = if unknown { Answer::Unknown } else { Answer::Refused };
        self.answered(nonce, answer(code.to_owned()));
        if PATIENT.contains(&code) {
            let asked = data.get("retry_after_ms").and_then(Value::as_u64).unwrap_or(0);
            self.book.again(nonce, Duration::from_millis(asked));
        } else {
            self.book.settle(nonce);
        }
        Ok(())
    }

    fn answered(&mut self, nonce: &str, answer: Answer) {
        let Some(calls) = self.asked.get_mut(nonce) else { return };
        if !calls.is_empty() {
            self.parts.town.recorder.answered(calls.remove(0), answer);
        }
        if calls.is_empty() {
            self.asked.remove(nonce);
        }
    }
}
