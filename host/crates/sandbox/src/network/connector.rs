//! Connects to the destinations that a node allows, and to no others: each
//! address is checked after the name was looked up, so that it does not help to
//! change what the name stands for.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tower_service::Service;

use sluice_types::host::Host;
use sluice_types::origin::Origin;
use sluice_types::sink::BoxFuture;

use super::ceiling::{Allowed, Reach};
use super::patient_stream::{HttpStream, PatientStream};
use super::resolve::Resolve;

/// The most connections of all sinks of a node for HTTP, those that wait for the
/// next request included. Each is a file descriptor.
pub const MAX_CONNECTIONS: usize = 512;
/// The time for a connection to the last address of a name, and to each before it.
const CONNECT_LIMITS: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(1));

/// Why there is no connection.
#[derive(Debug, Error)]
pub(super) enum ConnectError {
    /// The destination is not allowed at all.
    #[error("--allow-http does not allow it")]
    Denied,
    /// There are as many connections as there may be.
    #[error("the sinks of this node have {MAX_CONNECTIONS} connections already")]
    Full,
    /// The name stands for no address that may be connected to.
    #[error(
        "none of its addresses is public ({0}), and --allow-http does not name the origin itself"
    )]
    Prohibited(String),
    /// The name cannot be looked up.
    #[error("look its name up")]
    Resolve(#[source] io::Error),
    /// No address answers.
    #[error("connect to {0}")]
    Connect(SocketAddr, #[source] io::Error),
}

/// Makes connections for HTTP.
#[derive(Clone)]
pub(super) struct Connector {
    allowed: Arc<Allowed<Origin>>,
    resolver: Arc<dyn Resolve>,
    places: Arc<Semaphore>,
}

impl Connector {
    pub(super) fn new(allowed: Allowed<Origin>, resolver: Arc<dyn Resolve>) -> Self {
        Self {
            allowed: Arc::new(allowed),
            resolver,
            places: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
        }
    }
}

impl Service<Uri> for Connector {
    type Response = HttpStream;
    type Error = ConnectError;
    type Future = BoxFuture<'static, Result<Self::Response, ConnectError>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move {
            let origin = Origin::of(&target).ok_or(ConnectError::Denied)?;
            let reach = connector.allowed.reach(&origin);
            let reach = reach.ok_or(ConnectError::Denied)?;
            let place = connector.places.try_acquire_owned();
            let place = place.map_err(|_| ConnectError::Full)?;
            let resolver = &*connector.resolver;
            let stream = connect(resolver, origin.host(), origin.port(), reach).await?;
            Ok(TokioIo::new(PatientStream::new(stream, place)))
        })
    }
}

/// Connects to the first address of a host that answers.
async fn connect(
    resolver: &dyn Resolve,
    host: &Host,
    port: u16,
    reach: Reach,
) -> Result<TcpStream, ConnectError> {
    let mut failed = None;
    let addresses = addresses(resolver, host, port, reach).await?;
    let (last, before) = CONNECT_LIMITS;
    for (left, address) in (0..addresses.len()).rev().zip(addresses) {
        let limit = if left == 0 { last } else { before };
        let connecting = tokio::time::timeout(limit, TcpStream::connect(address));
        let connected = connecting.await.map_err(io::Error::from);
        match connected.and_then(|connected| connected) {
            Ok(stream) => {
                // Without it, a small request can wait for an acknowledgement.
                stream
                    .set_nodelay(true)
                    .map_err(|error| ConnectError::Connect(address, error))?;
                return Ok(stream);
            }
            Err(error) => failed = Some(ConnectError::Connect(address, error)),
        }
    }
    let none = || ConnectError::Resolve(io::Error::other("it has no address"));
    Err(failed.unwrap_or_else(none))
}

/// The addresses of a host that may be connected to, at least one.
async fn addresses(
    resolver: &dyn Resolve,
    host: &Host,
    port: u16,
    reach: Reach,
) -> Result<Vec<SocketAddr>, ConnectError> {
    let found = resolver.resolve(host, port).await;
    let found = found.map_err(ConnectError::Resolve)?;
    let mut allowed = found.clone();
    reach.retain(&mut allowed);
    if allowed.is_empty() && !found.is_empty() {
        let found: Vec<_> = found
            .iter()
            .map(|address| address.ip().to_string())
            .collect();
        return Err(ConnectError::Prohibited(found.join(", ")));
    }
    Ok(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::net::{Ipv4Addr, Ipv6Addr};
    use std::sync::Mutex;

    use tokio::net::TcpListener;

    /// Answers each look-up with the next of these.
    struct Answers(Mutex<VecDeque<Vec<SocketAddr>>>);

    impl Resolve for Answers {
        fn resolve(&self, _: &Host, _: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
            let next = self.0.lock().unwrap().pop_front();
            Box::pin(async move { next.ok_or_else(|| io::Error::other("no such name")) })
        }
    }

    fn connector(allowed: Allowed<Origin>, answers: &[&[SocketAddr]]) -> Connector {
        let answers = answers.iter().map(|answer| answer.to_vec()).collect();
        Connector::new(allowed, Arc::new(Answers(Mutex::new(answers))))
    }

    fn named(origin: &str) -> Allowed<Origin> {
        Allowed {
            named: vec![origin.parse().unwrap()],
            public: false,
        }
    }

    const PUBLIC: Allowed<Origin> = Allowed {
        named: Vec::new(),
        public: true,
    };

    async fn listener() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    async fn refused(connector: &mut Connector, target: &str) -> ConnectError {
        connector.call(target.parse().unwrap()).await.unwrap_err()
    }

    #[tokio::test]
    async fn a_named_destination_is_reached_wherever_it_is() {
        let (_listener, address) = listener().await;
        let nobody = SocketAddr::from((Ipv6Addr::LOCALHOST, 1));
        let mut connector = connector(named("http://a.example"), &[&[nobody, address]]);
        let target = "http://a.example/path".parse().unwrap();
        let stream = connector.call(target).await.unwrap().into_inner();
        let stream = stream.get_ref();
        assert_eq!(stream.peer_addr().unwrap(), address);
        assert!(stream.nodelay().unwrap());
    }

    #[tokio::test]
    async fn each_look_up_is_checked() {
        let public = SocketAddr::from(([1, 1, 1, 1], 80));
        let loopback = SocketAddr::from(([127, 0, 0, 1], 80));
        let metadata = SocketAddr::from(([169, 254, 169, 254], 80));
        let answers: [&[_]; 4] = [&[public, loopback], &[loopback], &[metadata, loopback], &[]];
        let Connector { resolver, .. } = connector(PUBLIC, &answers);
        let host = "a.example".parse().unwrap();
        let found = async || addresses(&*resolver, &host, 80, Reach::Public).await;
        assert_eq!(found().await.unwrap(), [public]);
        for _ in 0..2 {
            let error = found().await.unwrap_err();
            assert!(matches!(error, ConnectError::Prohibited(_)), "{error}");
            assert!(error.to_string().contains("127.0.0.1"), "{error}");
        }
        assert_eq!(found().await.unwrap(), []);
        let error = found().await.unwrap_err();
        assert!(matches!(error, ConnectError::Resolve(_)), "{error}");
    }

    #[tokio::test]
    async fn there_are_so_many_connections_and_no_more() {
        let (_listener, address) = listener().await;
        let answer: &[_] = &[address];
        let mut connector = connector(named("http://a.example"), &[answer, answer]);
        let places = Arc::clone(&connector.places);
        let taken = u32::try_from(MAX_CONNECTIONS - 1).unwrap();
        let _others = places.try_acquire_many(taken).unwrap();
        let target = "http://a.example".parse().unwrap();
        let last = connector.call(target).await.unwrap();
        let error = refused(&mut connector, "http://a.example").await;
        assert!(matches!(error, ConnectError::Full), "{error}");
        drop(last);
        let target = "http://a.example".parse().unwrap();
        connector.call(target).await.unwrap();
    }

    #[tokio::test]
    async fn another_port_or_scheme_is_another_destination() {
        let (_listener, address) = listener().await;
        let mut connector = connector(named("http://a.example:8080"), &[&[address]]);
        for target in [
            "http://a.example",
            "https://a.example:8080",
            "http://b.example:8080",
            "http://me@a.example:8080",
        ] {
            let error = refused(&mut connector, target).await;
            assert!(matches!(error, ConnectError::Denied), "{target}: {error}");
        }
    }

    #[tokio::test]
    async fn the_last_address_that_does_not_answer_is_named() {
        let (listener, address) = listener().await;
        drop(listener);
        let mut connector = connector(named("http://a.example"), &[&[address]]);
        let error = refused(&mut connector, "http://a.example").await;
        assert_eq!(error.to_string(), format!("connect to {address}"));
    }
}
