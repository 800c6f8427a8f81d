//! Why no other node leads.

use std::time::Duration;

use thiserror::Error;

use crate::cli::cluster::ClusterArgs;
use crate::peer::PeerError;
use sluice_types::readable;

#[derive(Debug, Error)]
pub(super) enum StepDownError {
    #[error(
        "find the leader of the stream {stream} of the cluster {cluster}: there is none at the \
         moment; sluice status --stream {stream} shows the nodes"
    )]
    NoLeader { cluster: String, stream: String },
    #[error("find the leader of the stream {stream}: there is no such stream; there are {names}")]
    NoStream { stream: String, names: String },
    #[error("find the leader's epoch: the key {0} in Consul holds none")]
    NoEpoch(String),
    #[error(
        "ask the leader {node} to step down: it cannot be reached at {address} from here; run this \
         where it can be reached, or stop its process with SIGTERM, which also changes the leader"
    )]
    Unreachable {
        node: String,
        address: String,
        #[source]
        cause: PeerError,
    },
    #[error(
        "see another node lead within {} s: {seen}; sluice status shows the nodes",
        .waited.as_secs()
    )]
    NoLeaderInTime { waited: Duration, seen: String },
    #[error("make {wanted} the leader: it did not take the lock in time, and {took} leads now")]
    AnotherLeads { wanted: String, took: String },
}

impl StepDownError {
    pub(super) fn no_leader(args: &ClusterArgs) -> Self {
        Self::NoLeader {
            cluster: readable::source(&args.name),
            stream: args.stream.clone(),
        }
    }
}
