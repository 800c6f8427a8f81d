//! A journal on a log that several machines keep.
//!
//! Every message of the log names the one before it, and only one publish is
//! under way, so the place of a message names its writer: nobody else's message
//! can lie between two of one term ([`writer`]). A tenure begins with a barrier
//! ([`opening`]); after it, nothing of an earlier tenure can be stored.
//! `docs/replicated-journal.md` has the protocol.

#[cfg(test)]
mod chance;
mod entries;
mod envelope;
#[cfg(test)]
mod fault_tests;
mod group;
mod handle;
mod id_log;
mod id_terms;
#[cfg(test)]
mod id_tests;
mod inventory;
mod keeper;
mod kept;
mod limits;
mod log;
mod opening;
mod payload;
mod place;
mod reader;
mod recalled;
mod removal;
mod removed;
mod shared;
#[cfg(test)]
mod simulated;
#[cfg(test)]
mod simulated_ids;
#[cfg(test)]
mod tests;
mod uncovered;
mod waiting;
mod writer;

pub(crate) use entries::{first_entry, sequence_of};
pub use envelope::{Envelope, Kind, Part, Settled, Term};
pub use handle::Replicated;
pub use id_log::{IdLog, RequestId, StoredIds};
pub use id_terms::IdTerms;
pub use inventory::LogInventory;
pub use limits::ReplicatedLimits;
pub use log::{Answer, Log, LogError, LogState, Message, Published, Stored};
pub(crate) use reader::Reader;
pub use recalled::{Recall, Recalled};
pub use shared::Ended;
#[cfg(test)]
pub(crate) use simulated::SimulatedLog;
pub use writer::Writer;
