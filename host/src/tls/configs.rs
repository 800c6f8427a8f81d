//! The settings of TLS for each use.

use std::sync::Arc;

use rustls::ServerConfig;

/// What connections are for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum TlsUse {
    /// HTTP/1.1 or HTTP/2, as the client chooses. It may show a certificate.
    Http,
    /// HTTP/2 only. The client may show a certificate.
    Grpc,
    /// Another protocol. The client must show a certificate if the node has
    /// authorities for them.
    Listener,
}

/// What the files say, for each use.
#[derive(Debug)]
pub(super) struct Configs {
    pub(super) http: Arc<ServerConfig>,
    pub(super) grpc: Arc<ServerConfig>,
    pub(super) listener: Arc<ServerConfig>,
}

impl Configs {
    pub(super) const fn of(&self, used: TlsUse) -> &Arc<ServerConfig> {
        match used {
            TlsUse::Http => &self.http,
            TlsUse::Grpc => &self.grpc,
            TlsUse::Listener => &self.listener,
        }
    }
}
