//! One session: which servers, who asks, over what, with which defaults.
//!
//! Invariant: every request has a time limit and is answered by a quorum of the datacenter.
//! Connections that break are made again by the driver, with a jittered back-off of at most 10 s.

use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use scylla::client::PoolSize;
use scylla::client::execution_profile::ExecutionProfile;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::policies::load_balancing::DefaultPolicy;
use scylla::statement::Consistency;

use super::CassandraSettings;
use super::errors::unavailable;
use crate::store::StoreError;

/// How long making a session may take in all, whatever the number of servers.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// How often an idle connection is checked, and how long it may take to answer: a server that is
/// gone without a word is noticed within their sum.
const KEEPALIVE: Duration = Duration::from_secs(5);
/// How long changes of the schema wait for all servers to agree.
const AGREEMENT: Duration = Duration::from_secs(30);

/// Connects.
pub(crate) async fn connect(settings: &CassandraSettings) -> Result<Session, StoreError> {
    let builder = builder(settings)?;
    match tokio::time::timeout(CONNECT_WITHIN, builder.build()).await {
        Ok(session) => session.map_err(unavailable),
        Err(_) => Err(unavailable("no connection in time")),
    }
}

fn builder(settings: &CassandraSettings) -> Result<SessionBuilder, StoreError> {
    let nodes = settings.url.split(',').map(str::trim).filter(|node| !node.is_empty());
    let mut policy = DefaultPolicy::builder().token_aware(true);
    if !settings.datacenter.is_empty() {
        policy = policy.prefer_datacenter(settings.datacenter.clone());
    }
    let profile = ExecutionProfile::builder()
        .consistency(Consistency::LocalQuorum)
        .request_timeout(Some(Duration::from_millis(settings.write_timeout_ms)))
        .load_balancing_policy(policy.build())
        .build();
    let connections = NonZeroUsize::new(settings.connections).unwrap_or(NonZeroUsize::MIN);
    let mut builder = SessionBuilder::new()
        .known_nodes(nodes)
        .default_execution_profile_handle(profile.into_handle())
        .connection_timeout(Duration::from_millis(settings.connect_timeout_ms))
        .pool_size(PoolSize::PerHost(connections))
        .keepalive_interval(KEEPALIVE)
        .keepalive_timeout(KEEPALIVE)
        .schema_agreement_timeout(AGREEMENT)
        .keyspaces_to_fetch([settings.keyspace.as_str()]);
    if !settings.user.is_empty() {
        let password = std::fs::read_to_string(&settings.password_file)
            .map_err(|e| unreadable("password_file", &settings.password_file, &e))?;
        builder = builder.user(&settings.user, password.trim_end_matches(['\n', '\r']));
    }
    if !settings.tls_ca.as_os_str().is_empty() {
        builder = builder.tls_context(Some(tls(&settings.tls_ca)?));
    }
    Ok(builder)
}

/// TLS that trusts one authority. Certificates must name the addresses that servers are reached at.
fn tls(ca: &Path) -> Result<Arc<rustls::ClientConfig>, StoreError> {
    let bad = |error: &dyn std::fmt::Display| unreadable("tls_ca", ca, error);
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca).map_err(|e| bad(&e))? {
        roots.add(certificate.map_err(|e| bad(&e))?).map_err(|e| bad(&e))?;
    }
    if roots.is_empty() {
        return Err(bad(&"no certificate in it"));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unavailable)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn unreadable(key: &str, file: &Path, error: &dyn std::fmt::Display) -> StoreError {
    unavailable(format!("store.cassandra.{key}: {}: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_not_what_they_should_be_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let empty = dir.path().join("ca.pem");
        std::fs::write(&empty, "").unwrap();
        let error = tls(&empty).unwrap_err().to_string();
        assert!(error.contains("store.cassandra.tls_ca") && error.contains("ca.pem"), "{error}");
        let settings = CassandraSettings {
            user: "natter".to_owned(),
            password_file: dir.path().join("gone"),
            ..CassandraSettings::default()
        };
        let error = builder(&settings).err().unwrap().to_string();
        assert!(error.contains("password_file") && error.contains("gone"), "{error}");
    }
}
