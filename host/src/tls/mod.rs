//! TLS: the certificate of a node, those of its clients, and the way to other nodes.

mod acceptor;
mod error;
mod files;
mod keeper;
mod names;
mod peers;
#[cfg(test)]
mod testing;

pub(crate) use acceptor::{Tls, TlsUse};
pub(crate) use error::TlsError;
pub(crate) use files::TlsFiles;
pub(crate) use keeper::TlsKeeper;
pub(crate) use names::ClientNames;
pub(crate) use peers::PeerTls;
