//! The network of sinks: nothing, unless the manifest asks for a destination and
//! the node's flags allow it.
//!
//! An HTTP request passes two checks: of its origin when the guest sends it
//! (`guest_http.rs`), and of the address that the name stands for when it is
//! connected to (`connector.rs`). Open connections are shared by all sinks of a
//! node. That is safe because the second check depends on the node only. They belong
//! to the main thread's runtime, where all sinks run. For TCP,
//! `guest_tcp.rs` looks names up and remembers which addresses may be connected to, and
//! `guest_tls.rs` speaks TLS on those connections.

mod address;
mod admitted;
mod aws_keys;
mod ceiling;
mod client;
mod connect_limit;
mod connector;
mod guest_http;
mod guest_tcp;
mod guest_tls;
mod hang_up;
mod outgoing_span;
mod owned_body;
mod patient_stream;
mod resolve;
mod secrets;
mod signing;
mod sigv4;
mod timed_body;
mod trust;
mod uri_encoding;
mod wanted_http;

use std::fmt;
use std::sync::Arc;

pub use ceiling::{Allowed, NetworkCeiling};
pub use connector::MAX_CONNECTIONS;
pub(super) use guest_http::GuestHttp;
pub(super) use guest_tcp::{GuestTcp, NoAddress};
pub(super) use guest_tls::GuestTls;
#[cfg(doc)]
pub(super) use guest_tls::MAX_TLS;
pub use secrets::{SecretError, SecretFile, SecretHeader, SecretUse, Secrets};
pub use signing::Signing;
pub use trust::{TrustError, tls as client_tls};
pub use wanted_http::MAX_REQUESTS;
pub(super) use wanted_http::WantedHttp;

use crate::refusals::{Refusals, SinkRefusals};
use client::HttpClient;
use resolve::{Resolve, System};
use rustls::ClientConfig;
use sluice_types::endpoint::Endpoint;

/// What the sinks of a node may reach, and their open connections.
#[derive(Clone)]
pub struct Network {
    client: Option<HttpClient>,
    tcp: Arc<Allowed<Endpoint>>,
    /// `None` if no connections are allowed.
    tls: Option<Arc<ClientConfig>>,
    resolver: Arc<dyn Resolve>,
    secrets: Secrets,
    refusals: Refusals,
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network").finish_non_exhaustive()
    }
}

impl Network {
    /// None: sinks reach nothing.
    #[must_use]
    pub fn none() -> Self {
        Self {
            client: None,
            tcp: Arc::default(),
            tls: None,
            resolver: Arc::new(System::default()),
            secrets: Secrets::default(),
            refusals: Refusals::new(|_| ()),
        }
    }

    /// # Errors
    /// There is no TLS, or `SSL_CERT_FILE` names no certificates.
    pub fn new(
        ceiling: NetworkCeiling,
        secrets: Secrets,
        refusals: Refusals,
    ) -> Result<Self, TrustError> {
        let NetworkCeiling { http, tcp } = ceiling;
        let resolver: Arc<dyn Resolve> = Arc::new(System::default());
        let (has_http, has_tcp) = (http != Allowed::default(), tcp != Allowed::default());
        let trusted = match has_http || has_tcp {
            true => Some(trust::tls()?),
            false => None,
        };
        let of = |is_used: bool| trusted.clone().filter(|_| is_used);
        Ok(Self {
            client: of(has_http).map(|tls| HttpClient::new(http, tls, Arc::clone(&resolver))),
            tcp: Arc::new(tcp),
            tls: of(has_tcp).map(guest_tls::for_guests),
            resolver,
            secrets,
            refusals,
        })
    }

    /// What an instance of a sink may connect to.
    pub(super) fn tcp(&self, endpoints: Vec<Endpoint>, refusals: SinkRefusals) -> GuestTcp {
        let (allowed, resolver) = (Arc::clone(&self.tcp), Arc::clone(&self.resolver));
        GuestTcp::new(endpoints, allowed, resolver, refusals)
    }

    /// TLS for what an instance of a sink is connected to.
    pub(super) fn tls(&self, tcp: GuestTcp) -> GuestTls {
        GuestTls::new(self.tls.clone(), tcp)
    }

    /// What an instance of a sink may request.
    pub(super) fn http(&self, wanted: Arc<WantedHttp>, refusals: SinkRefusals) -> GuestHttp {
        GuestHttp::new(self.client.clone(), wanted, self.secrets.clone(), refusals)
    }

    /// What hears of the refusals of a sink.
    pub(super) fn refusals(&self, plugin: &str) -> SinkRefusals {
        self.refusals.of(plugin)
    }
}
