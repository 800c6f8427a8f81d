//! TLS: the certificate of a node, those of its clients, and the way to other nodes.

mod acceptor;
mod configs;
mod error;
mod files;
mod keeper;
mod names;
mod peers;
#[cfg(test)]
mod testing;

pub(crate) use acceptor::{Tls, refused_certificate};
pub(crate) use configs::TlsUse;
pub(crate) use error::TlsError;
pub(crate) use files::TlsFiles;
pub(crate) use keeper::TlsKeeper;
pub(crate) use names::ClientNames;
pub(crate) use peers::PeerTls;
