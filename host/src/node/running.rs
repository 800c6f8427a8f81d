//! A node that serves, and the order in which its parts end.

use std::time::Duration;

use futures_util::future::{join_all, select_all};
use tokio::task::JoinHandle;

use super::error::NodeError;
use crate::http::{Server, WorkerThreads};
use crate::listeners::Listeners;
use crate::stream::{StreamKeeper, StreamTasks};
use crate::traces::Traces;
use sluice_access::Audit;
use sluice_leadership::{Control, Order, StreamOrder};
use sluice_sandbox::NodeStdout;
use sluice_types::stream::DEFAULT_STREAM;

/// The time for connections that are idle, and then for what sinks have printed,
/// to end with the node.
const LEAVE_LIMIT: Duration = Duration::from_secs(1);

/// The time for what clients of listeners have sent before the node ends.
const LISTENERS_LIMIT: Duration = Duration::from_secs(2);

/// A node that serves.
#[derive(Debug)]
pub(super) struct Running {
    /// The default one, and at the end all.
    pub(super) streams: Vec<StreamTasks>,
    /// Keeps the others.
    pub(super) keeper: Option<StreamKeeper>,
    /// Keeps the cluster's secret.
    pub(super) secret: JoinHandle<()>,
    /// Passes on what the control thread asks of other nodes.
    pub(super) pleas: Option<JoinHandle<()>>,
    /// Read files again when they change: tokens, certificates, authorities of nodes.
    pub(super) files: [Option<JoinHandle<()>>; 3],
    /// Takes the samples of the streams' histories.
    pub(super) history: JoinHandle<()>,
    pub(super) control: Control,
    pub(super) listeners: Listeners,
    pub(super) server: Server,
    /// What connections have begun may go on until the streams have ended.
    pub(super) _threads: WorkerThreads,
    pub(super) stdout: NodeStdout,
    pub(super) audit: Audit,
    pub(super) traces: Traces,
    /// Held for its lock.
    pub(super) _data_dir: crate::data_dir::DataDir,
}

impl Running {
    pub(super) async fn run(mut self, stop: impl Future<Output = ()>) -> Result<(), NodeError> {
        let eligible = Order::Stream(DEFAULT_STREAM.into(), StreamOrder::Eligible(true));
        self.control.order(eligible).await;
        let ended = tokio::select! {
            () = stop => None,
            part = self.ended() => Some(part),
        };
        tracing::info!("stopping");
        self.shutdown().await;
        ended.map_or(Ok(()), |part| Err(NodeError::Ended(part)))
    }

    /// Waits until a part has ended by itself, and names it.
    async fn ended(&mut self) -> &'static str {
        let streams = self.streams.iter_mut();
        let streams = streams.map(|stream| Box::pin(stream.ended()));
        let keeper = async {
            match &mut self.keeper {
                Some(keeper) => keeper.ended().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = keeper => "the streams",
            (part, _, _) = select_all(streams) => part,
            _ = &mut self.secret => "the watch of the cluster's secret",
            _ = &mut self.history => "the history",
            () = self.control.ended() => "the control thread",
        }
    }

    /// First no new work, then what was accepted, then the lock, so that the
    /// next leader starts as soon as this one has finished.
    async fn shutdown(mut self) {
        // What has arrived at listeners is lost with their connections, so it goes
        // while this node may still lead.
        self.listeners.close(LISTENERS_LIMIT).await;
        if let Some(keeper) = self.keeper.take() {
            self.streams.extend(keeper.stop().await);
        }
        self.streams.iter().for_each(StreamTasks::stop);
        self.server.close();
        // Together, so that they take no longer than one.
        let elector = self.control.elector.clone();
        join_all(self.streams.iter_mut().map(|it| it.left(&elector))).await;
        self.control.shutdown().await;
        self.listeners.cut();
        self.secret.abort();
        if let Some(pleas) = &self.pleas {
            pleas.abort();
        }
        for watching in self.files.iter().flatten() {
            watching.abort();
        }
        self.history.abort();
        join_all(self.streams.iter_mut().map(StreamTasks::end)).await;
        self.server.leave(LEAVE_LIMIT).await;
        if !self.stdout.drained(LEAVE_LIMIT).await {
            tracing::warn!("stdout did not take everything that the sink wrote");
        }
        self.stdout.close();
        join_all(self.streams.into_iter().map(StreamTasks::close)).await;
        self.audit.flush(LEAVE_LIMIT);
        self.traces.close().await;
    }
}
