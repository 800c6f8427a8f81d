//! Sends as fast as the node takes it, and measures what that costs.

use std::io;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use crate::bodies::RECORDS;
use crate::common::Fallible;
use crate::forward::Forward;
use crate::http::Http;
use crate::names::NOTHING;
use crate::node::Node;
use crate::progress::Progress;
use crate::syslog::Syslog;

/// What is measured.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// How many connections there are.
    pub(crate) connections: usize,
    /// The bytes of [`RECORDS`] records.
    pub(crate) bytes: usize,
    pub(crate) load: Load,
}

/// What a connection does.
pub(crate) enum Load {
    Http(Http),
    Forward(Forward),
    Syslog(Syslog),
}

impl Load {
    /// Sends until the end.
    fn run(&self, connection: usize, progress: &Progress) -> io::Result<()> {
        match self {
            Self::Http(http) => http.run(progress),
            Self::Forward(forward) => forward.run(connection, progress),
            Self::Syslog(syslog) => syslog.run(progress),
        }
    }

    /// Whether the client is told that its records are safe.
    fn has_answers(&self) -> bool {
        !matches!(self, Self::Syslog(_))
    }
}

/// What a row costs.
#[derive(Clone, Copy)]
pub(crate) struct Figures {
    /// Acknowledged records per second.
    pub(crate) rate: f64,
    /// What the node needed per record, in nanoseconds of a processor.
    pub(crate) cpu: f64,
    /// The share of a processor that the node had.
    pub(crate) share: f64,
}

/// The state at a moment.
struct Sample {
    at: Instant,
    cpu: Duration,
    records: u64,
}

/// Sends for a while, and measures what is in `window`, which begins after the
/// warm-up.
///
/// # Errors
/// A request failed, or the node has acknowledged another number of records than
/// was sent.
pub(crate) fn measure(
    node: &Node,
    row: &Row,
    warm_up: Duration,
    window: Duration,
) -> Fallible<Figures> {
    let before = node.acknowledged()?;
    let progress = Progress::default();
    let [from, to] = thread::scope(|scope| -> Fallible<_> {
        let connections: Vec<_> = (0..row.connections)
            .map(|connection| {
                scope.spawn({
                    let progress = &progress;
                    move || row.load.run(connection, progress)
                })
            })
            .collect();
        thread::sleep(warm_up);
        let from = sample(node, row, &progress, before);
        thread::sleep(window);
        let to = sample(node, row, &progress, before);
        progress.is_over.store(true, Ordering::Relaxed);
        for connection in connections {
            connection.join().map_err(|_| "a client panicked")??;
        }
        Ok([from?, to?])
    })?;
    if row.name != NOTHING {
        let sent = progress.sent.load(Ordering::Relaxed) * RECORDS as u64;
        node.has_acknowledged(before + sent)?;
    }
    let records = (to.records - from.records) as f64;
    let time = to.at.duration_since(from.at).as_secs_f64();
    let cpu = (to.cpu - from.cpu).as_secs_f64();
    Ok(Figures {
        rate: records / time,
        cpu: cpu * 1e9 / records,
        share: cpu / time,
    })
}

fn sample(node: &Node, row: &Row, progress: &Progress, before: u64) -> Fallible<Sample> {
    let records = match row.load.has_answers() {
        true => progress.answered.load(Ordering::Relaxed) * RECORDS as u64,
        false => node.acknowledged()? - before,
    };
    Ok(Sample {
        at: Instant::now(),
        cpu: node.cpu()?,
        records,
    })
}
