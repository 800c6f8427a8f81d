//! How a destination behaves, and what it took.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sluice_protocols::encoding::Encoding;
use sluice_protocols::memory_budget::MemoryBudget;
use sluice_protocols::meter::{Client, Meter};

/// The most of a body when it is unpacked, in bytes.
const UNPACKED_MAX: usize = 256 << 20;
/// The memory for that: a list that grows takes more than it holds.
const MEMORY: usize = 4 * UNPACKED_MAX;
/// The most bytes of bodies that are kept. Later ones are only counted.
const KEPT_MAX: usize = 512 << 20;

/// How the destination behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::kit) enum Behaviour {
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
pub(in crate::kit) struct Asked {
    /// The requests that arrived.
    pub(in crate::kit) requests: usize,
    /// Those that were taken, and answered so.
    pub(in crate::kit) taken: usize,
}

/// Shared by the destination and its server.
#[derive(Debug, Default)]
pub(super) struct State(Mutex<Taken>);

/// What is behind the lock.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) behaviour: Behaviour,
    /// Whether bodies are only counted.
    pub(super) keeps_nothing: bool,
    pub(super) asked: Asked,
    pub(super) bodies: Vec<Vec<u8>>,
    kept: usize,
}

impl State {
    pub(super) fn lock(&self) -> MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a request, and says how to behave.
    pub(super) fn arrived(&self) -> Behaviour {
        let mut taken = self.lock();
        taken.asked.requests += 1;
        taken.behaviour
    }

    /// Notes that a request is taken.
    pub(super) fn taken(&self, body: &[u8], encoding: Option<&str>) {
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

/// How a file begins that gzip has written (RFC 1952). Stores of objects get such files
/// as they are, without an encoding in the header.
const GZIP_FILE: [u8; 2] = [0x1f, 0x8b];

/// The body as it was before it was packed; as it is if it cannot be unpacked.
pub(super) fn unpacked(body: &[u8], encoding: Option<&str>) -> Vec<u8> {
    let of_file = body.starts_with(&GZIP_FILE).then_some("gzip");
    let encoding = encoding.or(of_file);
    let encoding = encoding.map_or(Ok(None), |name| Encoding::of(name.as_bytes()));
    let Ok(Some(encoding)) = encoding else {
        return body.to_vec();
    };
    let meter = Meter::new(MemoryBudget::new(MEMORY).reserve(), Client::default());
    let unpacked = meter.measure(|meter| encoding.unpack(body, UNPACKED_MAX, meter));
    match unpacked {
        Ok((Some(unpacked), _)) => unpacked.into(),
        Ok((None, _)) | Err(_) => body.to_vec(),
    }
}
