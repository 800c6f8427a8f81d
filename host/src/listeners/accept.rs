//! Accepts the connections of one listener.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::timeout;

use super::connection::Connection;
use super::shared::Shared;
use super::socket::Socket;
use super::stage::{Stage, cut, stopping};
use crate::http::{Workers, wait_after};
use crate::tls::{ClientNames, Tls, refused_certificate};
use sluice_delivery::metrics::ListenerMetrics;

/// The time for a TLS handshake.
const HANDSHAKE_WAIT: Duration = Duration::from_secs(10);

/// Accepts the connections of one listener.
pub(super) struct Acceptor {
    pub(super) listener: TcpListener,
    pub(super) tls: Option<Tls>,
    pub(super) shared: Arc<Shared>,
    /// How many more connections all listeners may have.
    pub(super) slots: Arc<Semaphore>,
    pub(super) metrics: ListenerMetrics,
    pub(super) stages: watch::Receiver<Stage>,
    /// Dropped with the last connection.
    pub(super) alive: mpsc::Sender<()>,
    pub(super) workers: Workers,
}

/// What a connection holds while it is open.
struct Held {
    metrics: ListenerMetrics,
    _slot: OwnedSemaphorePermit,
    _alive: mpsc::Sender<()>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.metrics.connections.dec();
    }
}

impl Acceptor {
    /// Accepts connections until the node stops.
    pub(super) async fn run(self) {
        let mut stages = self.stages.clone();
        loop {
            let accepted = tokio::select! {
                () = stopping(&mut stages) => return,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _)) => self.begin(stream),
                Err(error) => wait_after(&error).await,
            }
        }
    }

    fn begin(&self, stream: TcpStream) {
        let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else {
            if let Some(skipped) = self.shared.problems.passes() {
                let protocol = self.shared.protocol.name();
                tracing::warn!(
                    protocol,
                    skipped,
                    "too many connections; closing a new one (--max-listener-connections)"
                );
            }
            return;
        };
        self.metrics.connections.inc();
        let held = Held {
            metrics: self.metrics.clone(),
            _slot: slot,
            _alive: self.alive.clone(),
        };
        // Its answers are small, and waited for.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "could not set TCP_NODELAY");
        }
        let thread = self.workers.for_a_new_one();
        let Some(runtime) = self.workers.runtime(thread) else {
            return;
        };
        let stream = match stream.into_std() {
            Ok(stream) => stream,
            Err(error) => return tracing::debug!(%error, "could not move a connection"),
        };
        let (tls, shared, stages) = (
            self.tls.clone(),
            Arc::clone(&self.shared),
            self.stages.clone(),
        );
        runtime.spawn(async move {
            let _held = held;
            // Registered with the runtime that serves it.
            let Ok(stream) = TcpStream::from_std(stream) else {
                return;
            };
            let mut ends = stages.clone();
            tokio::select! {
                () = serve(stream, tls, shared, stages) => {}
                () = cut(&mut ends) => {}
            }
        });
    }
}

async fn serve(
    stream: TcpStream,
    tls: Option<Tls>,
    shared: Arc<Shared>,
    stages: watch::Receiver<Stage>,
) {
    let address = stream.peer_addr().ok().map(|address| address.ip());
    let mut client = None;
    let socket = match tls {
        None => Socket::Plain(stream),
        Some(tls) => {
            let handshake = Box::pin(tls.accept(stream));
            match timeout(HANDSHAKE_WAIT, handshake).await {
                Ok(Ok(stream)) => {
                    match shared.client_of(&ClientNames::of(&stream), address) {
                        Ok(known) => client = known,
                        Err(refusal) => {
                            return shared
                                .warn("closing a client's connection", &refusal.to_string());
                        }
                    }
                    Socket::Tls(Box::new(stream))
                }
                Ok(Err(error)) => {
                    if let Some(why) = refused_certificate(&error) {
                        shared.audit(None, address, why);
                    }
                    return tracing::debug!(%error, "a TLS handshake failed");
                }
                Err(_) => return tracing::debug!("a TLS handshake took too long"),
            }
        }
    };
    Connection::new(shared, socket, (client, address), stages)
        .run()
        .await;
}
