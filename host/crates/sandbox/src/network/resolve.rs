//! Looks names up.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use sluice_types::host::Host;
use sluice_types::sink::BoxFuture;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// The most addresses of a name that are tried.
const MAX_ADDRESSES: usize = 8;
/// The most look-ups of a node at a time. Each takes a thread of the blocking pool
/// until the system gives up, whether or not anybody still waits.
const MAX_LOOKUPS: usize = 16;
/// The time for a look-up.
const LOOKUP_LIMIT: Duration = Duration::from_secs(5);

/// How names are looked up.
pub(super) trait Resolve: Send + Sync {
    fn resolve(&self, host: &Host, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>>;
}

/// By the system: `/etc/hosts` and the name servers of `/etc/resolv.conf`.
#[derive(Debug)]
pub(super) struct System {
    places: Arc<Semaphore>,
}

impl Default for System {
    fn default() -> Self {
        let places = Arc::new(Semaphore::new(MAX_LOOKUPS));
        Self { places }
    }
}

impl Resolve for System {
    fn resolve(&self, host: &Host, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let (host, places) = (host.clone(), Arc::clone(&self.places));
        Box::pin(async move {
            let name = match host {
                Host::Address(address) => return Ok(vec![(address, port).into()]),
                Host::Name(name) => name,
            };
            let looking_up = async {
                let place = places.acquire_owned().await.map_err(io::Error::other)?;
                let found = spawn_blocking(move || {
                    let _place = place;
                    let found = (name, port).to_socket_addrs()?;
                    Ok(found.take(MAX_ADDRESSES).collect())
                });
                found.await?
            };
            tokio::time::timeout(LOOKUP_LIMIT, looking_up).await?
        })
    }
}
