//! Records on disk before they are acknowledged, and until the sink or another
//! node has them.
//!
//! A journal is a folder of segments, each a file of frames ([`frame`]). Every
//! record is an entry with a number. One thread ([`writer`]) writes what was
//! accepted meanwhile, syncs it, and acknowledges it; entries below `settled`
//! need no delivery any more, and segments that hold only such are removed.
//! What the end of the process cut short is found by its checksum when the
//! journal is opened again ([`recovery`]).

mod backlog;
mod codec;
mod feeder;
mod frame;
mod intake;
mod recovery;
mod scan;
mod state;
mod writer;

#[cfg(test)]
mod tests;

pub use backlog::{Backlog, Chunk};
pub use feeder::Feeder;
pub use frame::JournalId;
pub use intake::{Ack, Intake};
pub use recovery::{Damage, Inventory};
pub use state::{Journal, JournalError, JournalLimits, JournalStatus};
