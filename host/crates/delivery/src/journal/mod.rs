//! Records on disk before they are acknowledged, and until the sink or another
//! node has them.
//!
//! A journal is a folder of segments, each a file of frames ([`frame`]). Every
//! record is an entry with a number. One thread ([`writer`]) writes the records
//! that were accepted meanwhile, syncs the file, and acknowledges them. Entries
//! below `settled` need no delivery any more, and segments that hold only such
//! entries are removed. A write that the end of the process cut short is found
//! by its checksum when the journal is opened again ([`recovery`]).

mod acknowledger;
mod active_segment;
mod backlog;
mod chunk;
mod codec;
mod frame;
mod group;
mod handle;
mod limits;
mod open;
mod recovery;
mod scan;
mod segment;
mod shared;
mod writer;

#[cfg(test)]
mod tests;

pub(crate) use acknowledger::{Acknowledger, PendingAcknowledgement};
pub use backlog::Backlog;
pub use chunk::Chunk;
pub use frame::JournalId;
pub(crate) use frame::{HEADER, Head, record as put_record};
pub use handle::{Journal, JournalStatus};
pub use limits::JournalLimits;
pub use open::JournalError;
pub use recovery::{Damage, Inventory};
