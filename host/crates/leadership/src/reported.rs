//! What a node reports about itself and its streams.

use std::collections::BTreeMap;

use tokio::sync::watch;
use tokio::sync::watch::error::RecvError;

use super::view::View;
use sluice_types::documents::{NodeDocument, StreamReport};

/// The parts of the document of this node, except for its address and the highest
/// epoch.
#[derive(Clone, Debug)]
pub(super) struct Reported {
    /// About the node and the default stream.
    pub(super) state: watch::Receiver<NodeDocument>,
    /// About the other streams.
    pub(super) streams: watch::Receiver<BTreeMap<String, StreamReport>>,
    /// Which of them it leads.
    pub(super) view: watch::Receiver<View>,
    /// Records a second that streams took lately.
    pub(super) loads: watch::Receiver<BTreeMap<String, u64>>,
}

impl Reported {
    /// Waits until a part has changed.
    pub(super) async fn changed(&mut self) -> Result<(), RecvError> {
        let led = self.view.borrow_and_update().leads.clone();
        let view = &mut self.view;
        tokio::select! {
            changed = self.state.changed() => changed,
            changed = self.streams.changed() => changed,
            changed = self.loads.changed() => changed,
            changed = view.wait_for(|view| view.leads != led) => changed.map(drop),
        }
    }

    /// The document.
    pub(super) fn document(&self) -> NodeDocument {
        let loads = self.loads.borrow();
        let led = self.view.borrow().leads.clone();
        let leads = led.keys().map(|stream| {
            let load = loads.get(&**stream).copied().unwrap_or_default();
            (stream.to_string(), load)
        });
        let tenures = led
            .iter()
            .map(|(stream, epoch)| (stream.to_string(), *epoch));
        NodeDocument {
            streams: self.streams.borrow().clone(),
            leads: leads.collect(),
            tenures: tenures.collect(),
            ..self.state.borrow().clone()
        }
    }
}

#[cfg(test)]
impl Reported {
    /// Of a node with no other stream.
    pub(super) fn only(state: watch::Receiver<NodeDocument>) -> Self {
        // Channels without a sender say that they have ended.
        let streams = Box::leak(Box::new(watch::Sender::new(BTreeMap::new())));
        let view = Box::leak(Box::new(watch::Sender::new(View::default())));
        let loads = Box::leak(Box::new(watch::Sender::new(BTreeMap::new())));
        Self {
            state,
            streams: streams.subscribe(),
            view: view.subscribe(),
            loads: loads.subscribe(),
        }
    }
}
