//! What can be set for listeners.

use super::address::ListenAddress;
use super::protocol::Protocol;

/// The settings of all listeners.
#[derive(Clone, Debug)]
pub(crate) struct ListenersConfig {
    pub(crate) listeners: Vec<ListenerConfig>,
    /// The certificate and key, for listeners with TLS.
    /// The most open connections of all listeners together.
    pub(crate) connections: usize,
}

/// One listener.
#[derive(Clone, Debug)]
pub(crate) struct ListenerConfig {
    pub(crate) protocol: Protocol,
    pub(crate) address: ListenAddress,
}
