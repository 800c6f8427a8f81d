//! Accepts connections on all addresses of a server.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use super::connection_task::OpenConnection;
use super::connections::{Connections, Place};
use super::listener::Listener;
use super::serving::Serving;
use super::stage::Stage;
use super::workers::Workers;

/// The wait for an idle connection to end before further ones are chosen.
const EVICTION_WAIT: Duration = Duration::from_millis(50);
/// The wait after the system had no descriptor or no memory for a connection.
const EXHAUSTED_WAIT: Duration = Duration::from_millis(50);

/// Accepts connections. All addresses share the number of connections and the
/// limits of sources.
pub(super) struct Acceptor {
    pub(super) listeners: Vec<Listener>,
    pub(super) serving: Arc<Serving>,
    pub(super) connections: Arc<Connections>,
    pub(super) slots: Arc<Semaphore>,
    pub(super) stages: watch::Receiver<Stage>,
    pub(super) open: mpsc::Sender<()>,
    pub(super) workers: Workers,
}

impl Acceptor {
    /// Accepts connections until the server closes.
    pub(super) async fn run(self) {
        let listeners = self.listeners.iter();
        let accepting = listeners.map(|listener| self.accept_all(listener));
        tokio::select! {
            _ = join_all(accepting) => {}
            () = self.connections.end_stale() => {}
        }
    }

    async fn accept_all(&self, listener: &Listener) {
        let mut stages = self.stages.clone();
        loop {
            let accepted = tokio::select! {
                _ = stages.wait_for(|stage| *stage != Stage::Serving) => return,
                accepted = self.accept(listener) => accepted,
            };
            let Some((stream, place, permit)) = accepted else {
                return;
            };
            let stages = self.stages.clone();
            let serving = self.serving.serve(listener.speech, stream, &place, stages);
            let connection = OpenConnection {
                serving: Box::pin(serving),
                place,
                _permit: permit,
                _open: self.open.clone(),
                workers: self.workers.clone(),
            };
            connection.begin_on(self.workers.for_a_new_one());
        }
    }

    /// Waits for the next connection that there is room for. An error of one
    /// never ends the server.
    async fn accept(
        &self,
        listener: &Listener,
    ) -> Option<(TcpStream, Place, OwnedSemaphorePermit)> {
        loop {
            let (stream, address) = match listener.socket.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    wait_after(&error).await;
                    continue;
                }
            };
            let Some(place) = self.connections.enter(address.ip()) else {
                continue;
            };
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "could not set TCP_NODELAY");
            }
            return Some((stream, place, self.slot().await?));
        }
    }

    /// Waits for room for another connection, and makes some if connections are
    /// idle.
    async fn slot(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = Arc::clone(&self.slots).try_acquire_owned() {
            return Some(permit);
        }
        loop {
            self.connections.evict_idle();
            let freed = Arc::clone(&self.slots).acquire_owned();
            if let Ok(permit) = tokio::time::timeout(EVICTION_WAIT, freed).await {
                return permit.ok();
            }
        }
    }
}

/// Waits after an error of the system, such as a lack of descriptors.
pub(crate) async fn wait_after(error: &io::Error) {
    let is_of_the_client = matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    );
    if !is_of_the_client {
        tracing::warn!(%error, "could not accept a connection");
        tokio::time::sleep(EXHAUSTED_WAIT).await;
    }
}
