//! The streams of a node.

use std::sync::Arc;

use super::handle::Stream;

/// All streams of a node. The first is the default one, which requests are for
/// that name none.
#[derive(Clone, Debug)]
pub(crate) struct Streams {
    default: Arc<Stream>,
    others: Vec<Arc<Stream>>,
}

impl Streams {
    pub(crate) const fn new(default: Arc<Stream>, others: Vec<Arc<Stream>>) -> Self {
        Self { default, others }
    }

    /// The stream of requests that name none.
    pub(crate) const fn default_stream(&self) -> &Arc<Stream> {
        &self.default
    }

    /// The stream with this name.
    pub(crate) fn get(&self, name: &str) -> Option<&Arc<Stream>> {
        self.iter().find(|stream| stream.name == name)
    }

    /// The default stream, then the others.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Stream>> {
        std::iter::once(&self.default).chain(&self.others)
    }
}
