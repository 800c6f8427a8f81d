//! `systemd-journal-upload`: `POST /upload` of entries in the [Journal Export
//! Format].
//!
//! The client sends one chunked request for as long as the journal has entries,
//! so they are delivered while it runs: a [`framer::Framer`] finds whole entries in
//! what has arrived, and [`decode::entries`] decodes them. A server that is busy
//! stops reading. The client keeps the cursor of the last entry only after an
//! answer below 300; any other ends it, systemd starts it again, and it sends
//! everything since the last cursor once more.
//!
//! [Journal Export Format]: https://systemd.io/JOURNAL_EXPORT_FORMATS/

use crate::answer::{Answer, Verdict};

pub mod decode;
mod fields;
pub mod framer;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;

/// The answer to an upload. Any failure ends the client, so it is the last resort:
/// while the queue is full, stop reading instead.
#[must_use]
pub fn answer(verdict: &Verdict<'_>) -> Answer {
    crate::plain::answer(verdict, "entry")
}
