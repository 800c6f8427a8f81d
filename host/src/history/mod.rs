//! What a node did in the last 15 minutes, in memory, for plots.
//!
//! A task takes one sample every 5 s, at the same times of the clock on all nodes,
//! so that a page can show several nodes in one plot. `totals.rs` reads the metrics
//! of a stream, `sample.rs` is the difference of two readings, `ring.rs` keeps them,
//! and `document.rs` is what others read.

mod document;
mod recorder;
mod ring;
mod sample;
mod totals;

pub(crate) use document::HistoryDocument;
pub(crate) use recorder::Histories;
