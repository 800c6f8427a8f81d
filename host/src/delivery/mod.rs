//! From an accepted request to a confirmed one.
//!
//! A request's records go into the [`Queue`] of the tenure; the
//! [`Dispatcher`] takes what has gathered as one batch, offers it to the sink,
//! and settles every request with its own [`Outcome`]. The lease is asked
//! before every write and before every acknowledgement.

mod ack;
mod batch;
mod dispatcher;
mod queue;
mod trace;

pub use ack::{Outcome, Receipt, Rejection};
pub use dispatcher::{ActiveSink, Dispatcher, Ended, Handover};
pub use queue::{Queue, QueueLimits, Refused};
pub use trace::AckTrace;
