//! What nodes have written for the streams other than the default one.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::stream_name::StreamName;
use sluice_consul::Entry;
use sluice_types::keys::ClusterKeys;

/// The keys below `<c>/run/` that are no locks, as one read has shown them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runs {
    /// The documents of the active sinks, with their `ModifyIndex`.
    pub active: BTreeMap<StreamName, (u64, Arc<[u8]>)>,
    /// The notes that streams were closed, with their `ModifyIndex`. Such a note stays,
    /// also if the stream comes back.
    pub closed: BTreeMap<StreamName, u64>,
}

impl Runs {
    /// Takes note of a key that is no lock.
    pub(super) fn add(&mut self, keys: &ClusterKeys, entry: Entry) {
        if let Some(stream) = keys.stream_of_active(&entry.key) {
            let value = (entry.modify_index, entry.value.into());
            self.active.insert(stream.into(), value);
        } else if let Some(stream) = keys.stream_of_closed(&entry.key) {
            self.closed.insert(stream.into(), entry.modify_index);
        }
    }
}
