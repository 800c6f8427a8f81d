//! A destination over HTTP that stands in for the real one, on a thread of its
//! own. It can be slow, fail in several ways, and remembers what it took.

mod answers;
mod server;

use std::io;
use std::io::Read;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flate2::read::MultiGzDecoder;
use flate2::read::ZlibDecoder;
use sluice_types::origin::Origin;
use tokio::sync::oneshot;

/// The most of a body when it is unpacked, in bytes.
const UNPACKED_MAX: u64 = 256 << 20;
/// The most bytes of bodies that are kept. Later ones are only counted.
const KEPT_MAX: usize = 512 << 20;

/// How the destination behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Behaviour {
    /// It takes everything.
    #[default]
    Takes,
    /// It takes everything, and answers this long after it has all of a request.
    Slow(Duration),
    /// It takes nothing, and answers with this status.
    Refuses {
        status: u16,
        /// In seconds.
        retry_after: Option<u32>,
    },
    /// It closes the connection instead of an answer.
    Closes,
    /// It never answers.
    Hangs,
}

/// What the destination was asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    /// The requests that arrived.
    pub(super) requests: usize,
    /// Those that were taken, and answered so.
    pub(super) taken: usize,
}

/// The destination. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Destination {
    state: Arc<State>,
    port: u16,
    /// Ends the server when it is dropped.
    _end: oneshot::Sender<()>,
}

#[derive(Debug, Default)]
struct State(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    behaviour: Behaviour,
    keeps_nothing: bool,
    asked: Asked,
    bodies: Vec<Vec<u8>>,
    kept: usize,
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

impl State {
    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a request, and says how to behave.
    fn arrived(&self) -> Behaviour {
        let mut taken = self.lock();
        taken.asked.requests += 1;
        taken.behaviour
    }

    /// Notes that a request is taken.
    fn taken(&self, body: &[u8], encoding: Option<&str>) {
        let is_wanted = {
            let mut taken = self.lock();
            taken.asked.taken += 1;
            !taken.keeps_nothing && taken.kept < KEPT_MAX
        };
        if !is_wanted {
            return;
        }
        let bytes = unpacked(body, encoding);
        let mut taken = self.lock();
        taken.kept += bytes.len();
        taken.bodies.push(bytes);
    }
}

/// The body as it was before it was packed; as it is if it cannot be unpacked.
fn unpacked(body: &[u8], encoding: Option<&str>) -> Vec<u8> {
    let mut unpacked = Vec::new();
    let read = match encoding {
        Some("gzip") => MultiGzDecoder::new(body)
            .take(UNPACKED_MAX)
            .read_to_end(&mut unpacked),
        Some("deflate") => ZlibDecoder::new(body)
            .take(UNPACKED_MAX)
            .read_to_end(&mut unpacked),
        Some("zstd") => zstd::Decoder::new(body)
            .and_then(|decoder| decoder.take(UNPACKED_MAX).read_to_end(&mut unpacked)),
        _ => return body.to_vec(),
    };
    match read {
        Ok(_) => unpacked,
        Err(_) => body.to_vec(),
    }
}
