//! A stream: one lock, one queue, one sink, one status.
//!
//! [`Streams`] is the list of a node's streams, in which routes look up a
//! [`Stream`]. Behind it run the stream's tasks: `tenures` follows this node's
//! role, `tenure` delivers while this node leads, and the journal goes to the
//! leader while another node does.

mod choice;
mod config;
mod counter;
mod drain;
#[cfg(test)]
mod fakes;
mod feeding;
mod hand_over;
mod handle;
mod journal_place;
mod journal_receiver;
mod journal_sender;
mod journal_status;
mod keeper;
mod leaders;
mod opener;
mod orders;
mod own_thread;
mod place;
mod prepared;
mod remembered;
mod replication;
mod reports;
#[cfg(test)]
mod rig;
mod route;
mod spread;
mod stop;
mod streams;
mod swap;
mod tasks;
mod tenure;
mod tenure_parts;
mod tenures;
mod watching;

pub(crate) use config::StreamConfig;
pub(crate) use handle::Stream;
pub(crate) use journal_place::JournalPlace;
pub(crate) use journal_receiver::ReceiveError;
pub(crate) use keeper::{KeeperParts, StreamKeeper, StreamsConfig};
pub(crate) use leaders::{Led, merged};
pub(crate) use prepared::{NodeAccess, PreparedStream, StreamError, StreamStore};
pub(crate) use route::Route;
pub(crate) use streams::{Found, Streams};
pub(crate) use tasks::StreamTasks;
