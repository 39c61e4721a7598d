//! Working on what a client sent: SEND in order, TYPING and READ beside it.
//!
//! Invariant: every SEND is answered exactly once, with ACK or NACK; two SENDs of one socket are
//! appended in the order in which they came.

use std::sync::Arc;
use std::time::Duration;

use bus_schema::entry::{Body, MessageCreate};
use bus_schema::error::{Code, Failure};
use bus_schema::events::{Ack, Ephemeral, Typing};
use bus_schema::frames::{self, ClientFrame, Send, event, op};
use bus_schema::ids::{ConversationId, UserId};
use rand::distr::{Alphanumeric, SampleString as _};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::Instrument as _;

use super::outbox::Outbox;
use crate::state::Edge;
use crate::{read, send};

/// TYPING and READ frames that wait; more are dropped or refused.
const ASIDE: usize = 64;

/// How long who leaves waits for the answers to SENDs.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// The queues of one socket's commands.
pub(super) struct Commands {
    outbox: Arc<Outbox>,
    sends: mpsc::Sender<Send>,
    aside: mpsc::Sender<ClientFrame>,
    sending: JoinHandle<()>,
}

impl Commands {
    /// Starts working for one socket. What was taken is finished when the socket has gone.
    pub(super) fn start(edge: &Arc<Edge>, outbox: Arc<Outbox>, user: UserId) -> Self {
        let burst = usize::try_from(edge.settings.send_burst).unwrap_or(100).max(1);
        let (sends, mut waiting) = mpsc::channel::<Send>(burst);
        let worker = Worker { edge: edge.clone(), outbox: outbox.clone(), user };
        let second = Worker { edge: edge.clone(), outbox: outbox.clone(), user };
        let sending = tokio::spawn(async move {
            while let Some(send) = waiting.recv().await {
                let request_id = request_id();
                let span = tracing::info_span!("send", %request_id);
                worker.send(send, &request_id).instrument(span).await;
            }
        });
        let (aside, mut waiting) = mpsc::channel(ASIDE);
        tokio::spawn(async move {
            while let Some(frame) = waiting.recv().await {
                let request_id = request_id();
                let span = tracing::info_span!("frame", %request_id);
                second.aside(frame, &request_id).instrument(span).await;
            }
        });
        Self { outbox, sends, aside, sending }
    }

    /// Takes nothing more, and waits until each SEND that was taken has its answer queued, but no
    /// longer than [`LAST_ANSWERS`].
    pub(super) async fn finish(self) {
        drop(self.sends);
        let _ = timeout(LAST_ANSWERS, self.sending).await;
    }

    /// Takes a SEND.
    pub(super) fn send(&self, send: Send) {
        if let Err(full) = self.sends.try_send(send) {
            let failure = Failure::new(Code::RateLimited, "too many waiting").retry_after_ms(1_000);
            self.refuse_send(&full.into_inner(), failure);
        }
    }

    /// Takes a TYPING or READ.
    pub(super) fn aside(&self, frame: ClientFrame) {
        if let Err(full) = self.aside.try_send(frame) {
            let failure = Failure::new(Code::RateLimited, "too many waiting").retry_after_ms(1_000);
            match full.into_inner() {
                ClientFrame::Read(id, _) => refuse(&self.outbox, op::READ, id, None, failure),
                ClientFrame::Typing(id) => refuse(&self.outbox, op::TYPING, id, None, failure),
                _ => {}
            }
        }
    }

    /// Refuses a SEND.
    pub(super) fn refuse_send(&self, send: &Send, why: Failure) {
        let nonce = Some(send.nonce.to_string());
        refuse(&self.outbox, op::SEND, send.conversation_id, nonce, why);
    }
}

fn refuse(outbox: &Outbox, op: u8, id: ConversationId, nonce: Option<String>, why: Failure) {
    let nack = frames::nack(op, Some(id.to_string()), nonce, why);
    outbox.push_sure(frames::dispatch(event::NACK, &nack).into());
}

fn request_id() -> String {
    Alphanumeric.sample_string(&mut rand::rng(), 12)
}

struct Worker {
    edge: Arc<Edge>,
    outbox: Arc<Outbox>,
    user: UserId,
}

/// How long looking up a conversation may take on behalf of TYPING.
const TYPING_PATIENCE: Duration = Duration::from_secs(2);

impl Worker {
    async fn send(&self, send: Send, request_id: &str) {
        let Send { conversation_id, content, nonce } = send;
        let appended = async {
            let listed = self.edge.may_send(self.user, conversation_id, request_id).await?;
            let body = Body::MessageCreate(MessageCreate {
                conversation_id,
                author_id: self.user,
                content,
                edited_at: None,
                nonce: Some(nonce.clone()),
            });
            send::append(&self.edge, self.user, listed.place, body, Some(&nonce)).await
        };
        match appended.await {
            Ok(item) => {
                let ack = Ack { conversation_id, nonce, id: item.entry.id };
                self.outbox.push_sure(frames::dispatch(event::ACK, &ack).into());
            }
            Err(why) => {
                refuse(&self.outbox, op::SEND, conversation_id, Some(nonce.to_string()), why);
            }
        }
    }

    async fn aside(&self, frame: ClientFrame, request_id: &str) {
        let (op, id, outcome) = match frame {
            ClientFrame::Typing(id) => {
                let typing = timeout(TYPING_PATIENCE, self.typing(id, request_id));
                (op::TYPING, id, typing.await.unwrap_or(Ok(())))
            }
            ClientFrame::Read(id, entry) => {
                let marked = async {
                    let listed = self.edge.may_send(self.user, id, request_id).await?;
                    read::set(&self.edge, self.user, &listed, entry, request_id).await
                };
                (op::READ, id, marked.await)
            }
            _ => return,
        };
        if let Err(why) = outcome {
            refuse(&self.outbox, op, id, None, why);
        }
    }

    async fn typing(&self, id: ConversationId, request_id: &str) -> Result<(), Failure> {
        let listed = self.edge.may_send(self.user, id, request_id).await?;
        let typing = Typing { conversation_id: id, user_id: self.user };
        let subject = listed.place.ephemeral();
        let sent = self.edge.bus.publish_event(subject, &Ephemeral::Typing(typing)).await;
        sent.unwrap_or_else(|error| tracing::debug!(%error, "TYPING was not sent"));
        Ok(())
    }
}
