//! Fluent Forward, the protocol of Fluentd, Fluent Bit, Docker's `fluentd` log
//! driver and the `fluent-logger` libraries, over TCP.
//!
//! A connection carries MessagePack values one after the other. A
//! [`framer::Framer`] finds where each ends, [`message::decode`] makes records of
//! it, and a [`joiner::Joiner`] joins long lines that Docker sent in pieces. When
//! all records of a message are settled, [`chunk::Chunk::ack`] is what the client
//! waits for, if it asked. There is no other answer: a node that is busy stops
//! reading, and one that cannot settle a message closes the connection.
//!
//! The handshake with a shared key (HELO, PING, PONG) is not there; a PING is
//! recognised, see [`message::Content::Ping`].

pub mod chunk;
mod entry;
mod fault;
mod fields;
pub mod framer;
mod group;
pub mod joiner;
mod json_text;
pub mod message;
mod msgpack;
mod names;
mod option;
mod piece;
mod record;
mod records;

#[cfg(test)]
mod arbitrary;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod group_tests;
#[cfg(test)]
mod joiner_tests;
#[cfg(test)]
mod limit_tests;
#[cfg(test)]
mod record_tests;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;
