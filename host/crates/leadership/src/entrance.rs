//! What the control thread does for a stream beside its election: it reports on it,
//! and writes the keys of its leader.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::coordination::Coordination;
use super::joining::Joining;
use super::late_renewals::LateRenewals;
use super::lock_client::LockClient;
use super::part::Part;
use super::publisher::{Candidate, Publisher};
use super::stream_name::StreamName;
use super::tenure::Tenure;
use super::{active_key, history};
use sluice_types::documents::{ActiveDocument, NodeDocument, StreamReport};

type Nodes = Option<Arc<Vec<NodeDocument>>>;

/// Lets streams into the elections.
pub(super) struct Entrance {
    pub(super) client: Arc<LockClient>,
    pub(super) late_renewals: Arc<LateRenewals>,
    /// The documents of all nodes.
    pub(super) nodes: watch::Receiver<Nodes>,
    /// What this node reports about streams other than the default one.
    pub(super) reports: watch::Sender<BTreeMap<String, StreamReport>>,
}

impl Entrance {
    /// The part that this node takes in the election of another stream.
    pub(super) fn enter(&self, joining: Joining) -> (StreamName, Part) {
        let Joining {
            stream,
            state,
            active,
            role,
            nodes,
            peers,
        } = joining;
        let (tenure_in, tenure) = watch::channel(None);
        let mut tasks = self.write_keys(&stream, tenure, active);
        tasks.spawn(narrow(stream.clone(), self.nodes.clone(), nodes));
        let report = self.reports.clone();
        tasks.spawn(keep_report(stream.to_string(), state, report));
        let late_renewals = Arc::clone(&self.late_renewals);
        let publisher = Publisher::new(self.candidate(&stream), role, tenure_in, late_renewals);
        (stream, Part::new(publisher, peers, tasks))
    }

    /// Writes the keys of a stream's leader while that is this node.
    pub(super) fn write_keys(
        &self,
        stream: &StreamName,
        tenure: watch::Receiver<Option<Tenure>>,
        active: watch::Receiver<Option<ActiveDocument>>,
    ) -> JoinSet<()> {
        let coordination = Coordination::Consul(Arc::clone(&self.client));
        let mut tasks = JoinSet::new();
        let (leading, running) = (tenure.clone(), active.clone());
        let noting = history::keep(coordination.clone(), stream.clone(), leading, running);
        tasks.spawn(noting);
        tasks.spawn(active_key::keep(
            coordination,
            stream.clone(),
            tenure,
            active,
        ));
        tasks
    }

    /// This node in the election of a stream.
    pub(super) fn candidate(&self, stream: &StreamName) -> Candidate {
        Candidate {
            stream: stream.clone(),
            node: self.client.service.node.clone(),
            value: self.client.value.clone(),
            leader_key: self.client.stream_keys(stream).leader,
        }
    }

    /// This node has left the election of this stream.
    pub(super) fn left(&self, stream: &str) {
        self.reports.send_modify(|reports| {
            reports.remove(stream);
        });
    }
}

/// Shows to a stream what all nodes report about it.
async fn narrow(stream: StreamName, mut all: watch::Receiver<Nodes>, narrow: watch::Sender<Nodes>) {
    loop {
        let of_stream = all.borrow_and_update().as_ref().map(|all| {
            let of_stream = all.iter().filter_map(|it| it.for_stream(&stream));
            Arc::new(of_stream.collect::<Vec<_>>())
        });
        narrow.send_if_modified(|current| {
            let is_news = *current != of_stream;
            *current = of_stream;
            is_news
        });
        if all.changed().await.is_err() {
            return;
        }
    }
}

/// Keeps what this node reports about a stream current.
async fn keep_report(
    stream: String,
    mut state: watch::Receiver<NodeDocument>,
    reports: watch::Sender<BTreeMap<String, StreamReport>>,
) {
    loop {
        let report = state.borrow_and_update().clone().report();
        reports.send_if_modified(|reports| {
            let is_news = reports.get(&stream) != Some(&report);
            reports.insert(stream.clone(), report);
            is_news
        });
        if state.changed().await.is_err() {
            return;
        }
    }
}
