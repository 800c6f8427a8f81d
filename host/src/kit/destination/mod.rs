//! A destination over HTTP that stands in for the real one, on a thread of its
//! own. It can be slow, fail in several ways, and remembers what it took.

mod answers;
mod server;
mod state;

use std::io;
use std::sync::Arc;

use sluice_types::origin::Origin;
use tokio::sync::oneshot;

use state::State;
pub(super) use state::{Asked, Behaviour};

/// The destination. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Destination {
    state: Arc<State>,
    port: u16,
    /// Ends the server when it is dropped.
    _end: oneshot::Sender<()>,
}

impl Destination {
    /// Starts one on a port of this machine that is free.
    ///
    /// # Errors
    /// There is no port, or no thread.
    pub(super) fn start() -> io::Result<Self> {
        let state = Arc::<State>::default();
        let (end, ended) = oneshot::channel();
        let port = server::start(Arc::clone(&state), ended)?;
        Ok(Self {
            state,
            port,
            _end: end,
        })
    }

    /// The URL without a path.
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn origin(&self) -> Option<Origin> {
        self.url().parse().ok()
    }

    pub(super) fn behave(&self, behaviour: Behaviour) {
        self.state.lock().behaviour = behaviour;
    }

    /// From now on, bodies are only counted.
    pub(super) fn keep_nothing(&self) {
        self.state.lock().keeps_nothing = true;
    }

    pub(super) fn asked(&self) -> Asked {
        self.state.lock().asked
    }

    /// Calls a function with each body that was taken.
    pub(super) fn each_taken(&self, mut look: impl FnMut(&[u8])) {
        self.state.lock().bodies.iter().for_each(|body| look(body));
    }
}
