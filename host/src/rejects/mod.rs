//! What decoders rejected lately, so that an operator finds the client that sends
//! it.
//!
//! Most clients cannot be told that a record of theirs is no record, or do not log
//! it. Such records are no dead letters: no sink could ever take them, and one
//! broken client would fill that store. They go to a ring of their own in memory,
//! in which one client has at most a tenth of the places.

mod keeper;
mod reject;
mod ring;

pub(crate) use keeper::{Rejects, Sender};
pub(crate) use reject::Reject;
