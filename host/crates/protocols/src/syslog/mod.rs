//! Syslog over TCP, UDP and TLS: RFC 5424, RFC 3164, and what real senders make
//! of them.
//!
//! A [`framer::Framer`] finds the messages in what a connection delivered, and
//! [`decode`] makes records of them. No message is ever lost: what cannot be
//! parsed is the body of its record.
//!
//! | record | from |
//! |---|---|
//! | time | the header; a time without an offset is UTC, one without a year is the latest that is at most a day after the time of reception |
//! | severity | the severity of the priority |
//! | body | the message without what became attributes |
//! | `syslog.facility` | the facility, by name |
//! | `syslog.severity` | `emerg`, `alert` or `notice`: where the record's severity says less than the message |
//! | `host.name` | the host |
//! | `service.name` | APP-NAME, or the tag |
//! | `process.pid` | PROCID, or what is in brackets behind the tag, if it is a number |
//! | `syslog.procid` | the same if it is none |
//! | `syslog.msgid` | MSGID |
//! | `syslog.sd.<id>.<name>` | a parameter of the structured data |
//! | `syslog.truncated` | true, if the message was longer than is taken |
//! | `log.record.original` | the whole message, if it is not UTF-8; wrong bytes are replaced elsewhere |

pub mod batch;
pub mod decode;
pub mod framer;
#[cfg(test)]
mod fuzz;
mod header;
mod priority;
mod record;
mod rfc3164;
mod rfc5424;
mod structured_data;
#[cfg(test)]
mod tests;
mod timestamp;

pub(crate) use record::RecordReader;

/// For the tests of protocols that carry syslog.
#[cfg(test)]
pub(crate) mod fuzz_support {
    pub(crate) use super::fuzz::segments;
    pub(crate) use super::tests::{OBSERVED, metered};
    pub(crate) use crate::fuzzing::each_seed as fuzz;
}
