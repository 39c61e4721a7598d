//! What a log stream is now, as its leader says.
//!
//! Invariant: an answer counts only from a node that leads the stream's group and has lately heard
//! from most of it. Any member that knows no leader answers questions about the stream as well, with what
//! it happens to have, and a leader that is cut off goes on believing in itself for 10 s, while the
//! others elect another after 4 s at the earliest: both would hide what was acknowledged since.
//! (Found by `natter-check`: a node that had been stopped for 8 s made its group vote anew, and
//! answered meanwhile.)
//!
//! Leaves out a leader that wakes from a pause and answers before it reads what has waited for it:
//! no answer can show that.

use std::time::Duration;

use async_nats::jetstream::context::GetStreamError;
use async_nats::jetstream::stream::{ClusterInfo, Info, Stream};
use tokio::time::sleep;

use crate::ids::StreamIndex;
use crate::runtime::bus::{Bus, jitter};
use crate::streams::LogStream;

/// How long ago a member may have been heard of to count: less than the shortest wait for an election
/// (4 s, `minElectionTimeout` of nats-server), and more than a leader's heartbeat (1 s).
const HEARD_WITHIN: Duration = Duration::from_secs(3);
/// Questions until a leader is given up.
const ATTEMPTS: usize = 8;
/// Between two questions; a vote takes some hundreds of milliseconds.
const AGAIN: Duration = Duration::from_millis(150);

/// Why nothing is known of a stream.
#[derive(Debug, thiserror::Error)]
pub enum Unknown {
    /// It could not be asked.
    #[error(transparent)]
    Unasked(#[from] GetStreamError),
    /// Nobody who answers leads it.
    #[error("the stream has no leader that most of its group follow")]
    NoLeader,
}

/// Asks for a log stream, again and again for about a second while it has no leader. Its
/// `cached_info` was true after the call began.
pub async fn ask(bus: &Bus, stream: StreamIndex) -> Result<Stream<Info>, Unknown> {
    let name = LogStream(stream).to_string();
    for _ in 0..ATTEMPTS {
        let found = bus.jetstream().get_stream(&name).await?;
        if leads(found.cached_info().cluster.as_ref()) {
            return Ok(found);
        }
        sleep(jitter(AGAIN)).await;
    }
    Err(Unknown::NoLeader)
}

/// Whether who answered leads the group, and most of the group follow. Without a cluster there is one
/// who could.
fn leads(cluster: Option<&ClusterInfo>) -> bool {
    let Some(cluster) = cluster else { return true };
    let led = cluster.leader.as_deref().is_some_and(|leader| !leader.is_empty());
    // Of a member that a new leader has not heard of yet, 0 is said.
    let heard = cluster.replicas.iter().filter(|peer| {
        let ever = peer.current || !peer.active.is_zero();
        ever && !peer.offline && peer.active <= HEARD_WITHIN
    });
    let following = heard.count();
    led && (following + 1) * 2 > cluster.replicas.len() + 1
}

#[cfg(test)]
mod tests {
    use async_nats::jetstream::stream::PeerInfo;

    use super::*;

    fn cluster(leader: &str, heard_s: &[u64]) -> ClusterInfo {
        let peer = |s: &u64| PeerInfo {
            active: Duration::from_secs(*s),
            current: true,
            ..PeerInfo::default()
        };
        ClusterInfo {
            leader: Some(leader.to_owned()),
            replicas: heard_s.iter().map(peer).collect(),
            ..ClusterInfo::default()
        }
    }

    #[test]
    fn one_server_and_one_replica_lead() {
        assert!(leads(None));
        assert!(leads(Some(&cluster("natter-1", &[]))));
    }

    #[test]
    fn a_leader_needs_most_of_its_group() {
        assert!(leads(Some(&cluster("natter-1", &[0, 60]))));
        assert!(!leads(Some(&cluster("natter-1", &[5, 60]))));
        assert!(leads(Some(&cluster("natter-1", &[1, 1, 60, 60]))));
        assert!(!leads(Some(&cluster("natter-1", &[1, 60, 60, 60]))));
    }

    #[test]
    fn a_member_without_a_leader_does_not_count() {
        assert!(!leads(Some(&cluster("", &[0, 0]))));
        assert!(!leads(Some(&ClusterInfo { leader: None, ..cluster("", &[0, 0]) })));
    }

    #[test]
    fn who_was_never_heard_of_is_not_heard() {
        let mut info = cluster("natter-1", &[0, 60]);
        info.replicas[0].current = false;
        assert!(!leads(Some(&info)));
    }

    #[test]
    fn who_is_offline_is_not_heard() {
        let mut info = cluster("natter-1", &[0, 60]);
        info.replicas[0].offline = true;
        assert!(!leads(Some(&info)));
    }
}
