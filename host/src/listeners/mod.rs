//! Listeners of protocols that are not HTTP: syslog, RELP, Fluent Forward and
//! GELF, over TCP, TLS and UDP.
//!
//! A connection is read into batches of whole messages by its [`session::Session`], and
//! one batch at a time goes through the [`outlet`] to the sink, on this node or on
//! the leader. Only then is it answered, if the protocol has answers, and only
//! then is more read: a client that sends faster than the sink takes is slowed
//! down by TCP.

mod accept;
mod address;
mod backlog;
mod batch;
mod bound;
mod config;
mod connection;
mod datagrams;
mod forward;
mod gather;
mod gelf;
mod log;
mod named;
mod outlet;
mod outlets;
mod parcel;
mod parts;
mod protocol;
mod recalling;
mod relp;
mod session;
mod sessions;
mod settled;
mod shared;
mod socket;
mod stage;
mod syslog;
mod unread;
mod wanted;

pub(crate) use address::ListenAddress;
pub(crate) use bound::{BoundListeners, ListenError, Listeners};
pub(crate) use config::{ListenerConfig, ListenersConfig};
pub(crate) use outlets::Outlets;
pub(crate) use protocol::Protocol;
