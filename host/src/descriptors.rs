//! The limit on file descriptors, and how many connections fit below it.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use sluice_coordinator::MAX_CONNECTIONS;
use sluice_sandbox as sandbox;

/// Descriptors for everything but client connections: all instances of the sink
/// that writes and of the one before, which is being closed; an instance that is
/// being opened; what all sinks have connected to; the 256 connections of the
/// health port; and the rest of the node.
const RESERVED: u64 =
    (2 * sandbox::MAX_SINK_HANDLES + sandbox::MAX_HANDLES + sandbox::MAX_CONNECTIONS) as u64
        + 256
        + 256;
/// What the runtime of each thread has open: the poller, twice, and what wakes it.
const PER_THREAD: usize = 4;

/// Raises the limit on file descriptors as far as it goes, and returns how many
/// client connections, `wanted` at most, leave enough of them for the rest of
/// the node. To that belong `others`, the connections of listeners and of an
/// embedded coordinator and the sockets to listen on, and what `threads` need.
pub(crate) fn limit_connections(wanted: usize, others: usize, threads: usize) -> usize {
    let descriptors = raised_limit();
    let others = others.saturating_add(threads.saturating_mul(PER_THREAD));
    let others = u64::try_from(others).unwrap_or(u64::MAX);
    let reserved = RESERVED.saturating_add(others).min(descriptors / 2);
    let most = usize::try_from(descriptors.saturating_sub(reserved).max(1));
    let bounded = wanted.min(most.unwrap_or(usize::MAX));
    if bounded < wanted {
        tracing::warn!(
            wanted,
            bounded,
            descriptors,
            "fewer connections than --max-connections, for lack of file descriptors (ulimit -n)"
        );
    }
    bounded
}

/// How many connections a coordinator in this process may have. They leave
/// enough file descriptors for its checks and its disk.
pub(crate) fn coordinator_connections() -> usize {
    let share = usize::try_from(raised_limit() / 4);
    share.map_or(MAX_CONNECTIONS, |share| share.min(MAX_CONNECTIONS))
}

/// Raises the limit on file descriptors as far as it goes, and returns it.
fn raised_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "could not raise the limit on open files");
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}
