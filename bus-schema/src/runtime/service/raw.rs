//! Subjects beside operations, for those who ask without knowing operations: bots.

use async_nats::Message;
use futures::FutureExt as _;

use super::{Host, ServeError};

impl Host {
    /// Serves whatever comes to a subject. The handler answers by itself, or lets it be.
    pub async fn raw<F, R>(
        &mut self,
        name: &str,
        subject: String,
        handler: F,
    ) -> Result<(), ServeError>
    where
        F: Fn(Message) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        self.accept(name.to_owned(), subject, move |request| handler(request).map(|()| None)).await
    }
}
