//! The streams of a node.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use super::handle::Stream;
use sluice_types::stream::DEFAULT_STREAM;

/// All streams of a node. One is the default one, which requests are for that name
/// none. The others come and go.
#[derive(Clone, Debug)]
pub(crate) struct Streams {
    default: Arc<Stream>,
    others: Arc<RwLock<Others>>,
}

#[derive(Debug, Default)]
struct Others {
    open: BTreeMap<String, Arc<Stream>>,
    /// Those that exist and are not open yet.
    awaited: BTreeSet<String>,
    /// Those that exist and are too many for this node.
    refused: BTreeSet<String>,
    /// Whether Consul has said which there are.
    is_synchronised: bool,
}

/// What there is of a name.
#[derive(Clone, Debug)]
pub(crate) enum Found {
    /// A stream that is open.
    Open(Arc<Stream>),
    /// A stream that is not open yet, or a name of which this node does not know
    /// whether there is a stream.
    NotYet,
    /// A stream that exists, and is one too many for this node.
    Refused,
    /// There is no such stream.
    Nothing,
}

impl Streams {
    pub(crate) fn new(default: Arc<Stream>) -> Self {
        Self {
            default,
            others: Arc::default(),
        }
    }

    /// The stream of requests that name none.
    pub(crate) const fn default_stream(&self) -> &Arc<Stream> {
        &self.default
    }

    /// The open stream with this name.
    pub(crate) fn get(&self, name: &str) -> Option<Arc<Stream>> {
        match self.find(name) {
            Found::Open(stream) => Some(stream),
            Found::NotYet | Found::Refused | Found::Nothing => None,
        }
    }

    /// Whether there is an open stream with this name.
    pub(super) fn has(&self, name: &str) -> bool {
        matches!(self.find(name), Found::Open(_))
    }

    /// What there is of this name.
    pub(crate) fn find(&self, name: &str) -> Found {
        if name == DEFAULT_STREAM {
            return Found::Open(Arc::clone(&self.default));
        }
        let others = self.read();
        match others.open.get(name) {
            Some(stream) => Found::Open(Arc::clone(stream)),
            None if !others.is_synchronised || others.awaited.contains(name) => Found::NotYet,
            None if others.refused.contains(name) => Found::Refused,
            None => Found::Nothing,
        }
    }

    /// The default stream, then the others that are open, by their names.
    pub(crate) fn all(&self) -> Vec<Arc<Stream>> {
        let others = self.read();
        let default = std::iter::once(&self.default);
        default.chain(others.open.values()).cloned().collect()
    }

    /// A stream is there and will be open soon.
    pub(super) fn await_stream(&self, name: &str) {
        self.change(|others| {
            others.awaited.insert(name.to_owned());
        });
    }

    /// A stream is open.
    pub(super) fn open(&self, stream: Stream) {
        self.change(|others| {
            others.awaited.remove(&stream.name);
            others.open.insert(stream.name.clone(), Arc::new(stream));
        });
    }

    /// A stream is not there any more.
    pub(super) fn remove(&self, name: &str) {
        self.change(|others| {
            others.awaited.remove(name);
            others.open.remove(name);
        });
    }

    /// Consul has said which streams there are. Of those that are not open, `is_awaited`
    /// tells those that will be, and `refused` are too many for this node.
    pub(super) fn synchronised(
        &self,
        is_awaited: impl Fn(&str) -> bool,
        refused: BTreeSet<String>,
    ) {
        self.change(|others| {
            others.is_synchronised = true;
            others.refused = refused;
            others.awaited.retain(|name| is_awaited(name));
        });
    }

    fn read(&self) -> RwLockReadGuard<'_, Others> {
        self.others.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Others)) {
        change(&mut self.others.write().unwrap_or_else(PoisonError::into_inner));
    }
}
