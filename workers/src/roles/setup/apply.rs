//! Bringing one stream in line with its definition.
//!
//! Invariant: ends with the stream read back; what still differs then is reported, field by field.

use async_nats::jetstream::context::CreateStreamErrorKind;
use async_nats::jetstream::stream::{Config, Info};
use async_nats::jetstream::{self, ErrorCode};

use super::drift::{Difference, differences, reconcile};
use super::info;
use crate::roles::RoleError;

/// Creates or updates a stream. What still differs.
pub(super) async fn apply(
    jetstream: &jetstream::Context,
    want: Config,
) -> Result<Vec<Difference>, RoleError> {
    let stream = want.name.as_str();
    let failed = |what: &str, error: &dyn std::fmt::Display| {
        RoleError::new(format!("cannot {what} stream {stream}: {error}"))
    };
    match info(jetstream, stream).await? {
        Some(have) => {
            let used = used(&have);
            let config = reconcile(&have.config, &want, used);
            if config != have.config {
                for changed in differences(&have.config, &config, used) {
                    let Difference { field, have, want, .. } = changed;
                    tracing::warn!(stream, field, had = have, now = want, "brought in line");
                }
                jetstream.update_stream(&config).await.map_err(|e| failed("update", &e))?;
            }
        }
        None => match jetstream.create_stream(want.clone()).await {
            Ok(_) => tracing::info!(stream, "created"),
            // Another setup was faster; what it made is compared below.
            Err(error) if exists(&error.kind()) => {}
            Err(error) => return Err(failed("create", &error)),
        },
    }
    let made = info(jetstream, stream).await?;
    let made = made.ok_or_else(|| failed("find", &"it is gone"))?;
    let left = differences(&made.config, &want, used(&made));
    for Difference { field, have, want, .. } in &left {
        tracing::warn!(stream, field, have, want, "differs from its definition; left as it is");
    }
    Ok(left)
}

fn used(info: &Info) -> bool {
    info.state.last_sequence > 0
}

fn exists(kind: &CreateStreamErrorKind) -> bool {
    matches!(kind, CreateStreamErrorKind::JetStream(e)
        if e.error_code() == ErrorCode::STREAM_NAME_EXIST)
}
