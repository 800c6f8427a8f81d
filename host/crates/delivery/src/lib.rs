//! From an accepted request to a confirmed one, for one stream.
//!
//! A request enters through the [`Intake`]. Its records go into the [`Queue`]
//! of the tenure; the [`Dispatcher`] takes what has gathered as one batch,
//! offers it to the sink, and settles every request with its own [`Outcome`].
//! The lease is asked before every write and before every acknowledgement.
//!
//! With a [`Journal`], requests are acknowledged once they are in it, and the
//! [`Feeder`] submits them to the queue after that.

mod active_sink;
mod batch;
mod batch_span;
mod completion;
mod compute_limit;
mod counting;
mod dead_letters;
mod delivery;
mod dispatcher;
mod feeder;
mod held;
mod in_flight;
mod intake;
mod isolation;
mod journal;
pub mod metrics;
mod occupancy;
mod opening;
mod outcome;
mod probation;
mod producer;
mod queue;
mod queue_budget;
mod receipt;
mod rejects;
mod replicated;
mod retries;
mod sink_swap;
mod sink_writer;
mod source;
mod stall;
mod tail;
#[cfg(test)]
mod testing;
mod trace;
mod watch;
mod write_span;

pub use active_sink::ActiveSink;
pub use batch_span::StreamTracer;
pub use dead_letters::{Cause, DeadLetterError, DeadLetters, Letter};
pub use delivery::{Delivery, Ended};
pub use dispatcher::Dispatcher;
pub use feeder::{Feeder, Finish};
pub use intake::{Ack, Intake, JournalIntake, UnknownAck};
pub use journal::{
    Backlog, Chunk, Damage, Inventory, Journal, JournalError, JournalId, JournalLimits,
    JournalStatus,
};
pub use occupancy::QueueLimits;
pub use outcome::{Outcome, Refused};
pub use producer::Producer;
pub use queue::Queue;
pub use queue_budget::{QueueBudget, QueueShare};
pub use receipt::Receipt;
pub use replicated::{
    Answer, Ended as ReplicatedEnd, Envelope, IdLog, IdTerms, Kind, Log, LogError, LogInventory,
    LogState, Message, Part, Published, Recall, Recalled, Replicated, ReplicatedLimits, RequestId,
    Settled, Stored, StoredIds, Term, Writer as ReplicatedWriter,
};
pub use sink_swap::SinkSwap;
pub use source::{ReadError, Source, Store};
pub use stall::Stall;
pub use tail::{Fate, Passed, Tail, Watcher};
pub use trace::AckTrace;
pub use watch::{ProbationTerms, Verdict, Watch};
