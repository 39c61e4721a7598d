//! The one platform that all tests share that kill nothing.
//!
//! Invariant: it is started once; when that fails, every test fails at once with the same words. It
//! is in a `static`, so the warden ends it when the test program is gone.

use std::sync::{Mutex, MutexGuard, PoisonError};

use natter_tests::stack::{Plan, Stack};
use natter_tests::{Failure, Outcome};
use tokio::sync::OnceCell;

static SHARED: OnceCell<Result<Shared, String>> = OnceCell::const_new();

/// The shared platform.
pub(crate) struct Shared {
    stack: Mutex<Stack>,
}

/// The shared platform, started by whoever asks first.
pub(crate) async fn stack() -> Outcome<&'static Shared> {
    let start = async || {
        let stack = Box::pin(Stack::start(Plan::default())).await;
        let shared = stack.map(|stack| Shared { stack: Mutex::new(stack) });
        shared.map_err(|failure| format!("{failure:?}"))
    };
    SHARED.get_or_init(start).await.as_ref().map_err(|text| Failure::new(text.clone()))
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Stack> {
        self.stack.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn edges(&self) -> Vec<String> {
        self.lock().edges().to_vec()
    }

    pub(crate) fn nats(&self) -> String {
        self.lock().nats().url()
    }

    pub(crate) fn marks(&self) -> Vec<u64> {
        self.lock().marks()
    }

    pub(crate) fn logs_since(&self, marks: &[u64]) -> String {
        self.lock().logs_since(marks)
    }

    /// Fails when a process has ended or panicked since.
    pub(crate) fn unharmed(&self, marks: &[u64]) -> Outcome {
        let mut stack = self.lock();
        stack.must_run()?;
        super::no_panic(&stack.logs_since(marks))
    }
}
