//! Starts the control thread, gives it orders, and offers what it publishes.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};

use super::assistance::Plea;
use super::assistant::{self, AssistanceRequest};
use super::config::ControlConfig;
use super::control_thread::{ControlThread, Published};
use super::controls::Controls;
use super::elector::Elector;
use super::epoch_file::{EpochFile, EpochFileError};
use super::heartbeat::Heartbeat;
use super::late_renewals::LateRenewals;
use super::order::Order;
use super::peers::Peers;
use super::role::Role;
use super::view::View;
use sluice_consul as consul;
use sluice_consul::Client;
use sluice_types::documents::{ActiveDocument, NodeDocument};
use sluice_types::listen::listen;

/// Orders that may wait for the control thread.
const ORDER_CAPACITY: usize = 16;
/// Why the control thread could not be started.
#[derive(Debug, Error)]
pub enum ControlError {
    /// The Consul variables ask for something impossible.
    #[error("set up the connection to Consul")]
    Consul(#[source] consul::Error),
    /// The data directory holds no usable epoch.
    #[error(transparent)]
    Epoch(EpochFileError),
    /// The address for health checks cannot be used.
    #[error("listen for health checks on {address}")]
    Health {
        /// The configured address.
        address: SocketAddr,
        /// The error of the socket.
        #[source]
        cause: io::Error,
    },
    /// The thread or its runtime cannot be started.
    #[error("start the control thread")]
    Thread(#[source] io::Error),
}

/// The running control thread.
#[derive(Debug)]
pub struct Control {
    thread: std::thread::JoinHandle<()>,
    orders: mpsc::Sender<Order>,
    /// What the thread publishes of the default stream.
    pub controls: Controls,
    /// Makes the node take part in the elections of more streams.
    pub elector: Elector,
    /// What this node asks of others while it does not reach Consul; taken by what
    /// passes it on.
    pub pleas: Option<mpsc::Receiver<Plea>>,
    /// Taken once the thread has ended.
    ended: Option<oneshot::Receiver<()>>,
}

impl Control {
    /// Binds the listener for health checks, and starts the thread. It tries to
    /// reach Consul until it succeeds. `state` is what this node reports about
    /// its sink, and `active` what it reports about the sink that runs while it
    /// leads.
    ///
    /// # Errors
    /// What is wrong with the configuration or the machine.
    pub fn start(
        config: ControlConfig,
        state: watch::Receiver<NodeDocument>,
        active: watch::Receiver<Option<ActiveDocument>>,
    ) -> Result<Self, ControlError> {
        let client = Client::new(config.consul.clone()).map_err(ControlError::Consul)?;
        let epoch_file = EpochFile::open(&config.data_dir).map_err(ControlError::Epoch)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(ControlError::Thread)?;
        let listener = {
            let _in_runtime = runtime.enter();
            bind(config.health_address())?
        };
        let (assistant, requests) = mpsc::channel(assistant::CAPACITY);
        let (pleas_in, pleas) = mpsc::channel(assistant::CAPACITY);
        let (published, controls) = channels(&config, &state, assistant);
        let (loads_in, loads) = watch::channel(BTreeMap::new());
        let (orders, received) = mpsc::channel(ORDER_CAPACITY);
        let elector = Elector {
            node: config.node.clone(),
            orders: orders.clone(),
            controls: controls.clone(),
            loads: loads_in,
        };
        let control = ControlThread {
            config,
            client,
            epoch_file,
            heartbeat: Arc::clone(&controls.heartbeat),
            peers: controls.peers.clone(),
            published,
            state,
            active,
            loads,
            requests,
            pleas: pleas_in,
        };
        let (alive, ended) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("control".to_owned())
            .spawn(move || {
                runtime.block_on(control.run(listener, received));
                // Does not wait for a write to a disk that hangs.
                runtime.shutdown_background();
                drop(alive);
            })
            .map_err(ControlError::Thread)?;
        Ok(Self {
            thread,
            orders,
            controls,
            elector,
            pleas: Some(pleas),
            ended: Some(ended),
        })
    }

    /// Gives an order; waits while the thread is busy.
    pub async fn order(&self, order: Order) {
        if let Err(mpsc::error::SendError(order)) = self.orders.send(order).await {
            tracing::error!(?order, "the control thread has ended");
        }
    }

    /// Lets others give orders.
    #[must_use]
    pub fn orders(&self) -> mpsc::Sender<Order> {
        self.orders.clone()
    }

    /// Waits until the thread has ended; it does so only when told to.
    pub async fn ended(&mut self) {
        if let Some(ended) = &mut self.ended {
            // Nothing is ever sent: it ends when the other half is dropped.
            _ = ended.await;
            self.ended = None;
        }
    }

    /// Releases the lock, ends the sessions, and removes the registration.
    pub async fn shutdown(mut self) {
        self.order(Order::Shutdown).await;
        self.ended().await;
        if self.thread.join().is_err() {
            tracing::error!("the control thread had panicked");
        }
    }
}

/// Both halves of what the thread publishes, before it runs.
fn channels(
    config: &ControlConfig,
    state: &watch::Receiver<NodeDocument>,
    assistant: mpsc::Sender<AssistanceRequest>,
) -> (Published, Controls) {
    let (role_in, role) = watch::channel(Role::Follower { leader: None });
    let (view_in, view) = watch::channel(View::default());
    let (addresses_in, addresses) = watch::channel(Arc::default());
    let (nodes_in, nodes) = watch::channel(None);
    let (address_in, address) = watch::channel(None);
    let heartbeat = Arc::new(Heartbeat::default());
    heartbeat.beat();
    let late_renewals = Arc::new(LateRenewals::new(config.lease));
    let (runs_in, runs) = watch::channel(None);
    let published = Published {
        role: role_in,
        view: view_in,
        addresses: addresses_in,
        nodes: nodes_in,
        address: address_in,
        late_renewals: Arc::clone(&late_renewals),
        runs: runs_in,
    };
    let controls = Controls {
        role,
        view,
        addresses,
        peers: Peers::new(config.node.clone(), state.clone(), nodes),
        address,
        assistant,
        heartbeat,
        late_renewals,
        runs,
    };
    (published, controls)
}

/// Needs the runtime that will use the listener.
fn bind(address: SocketAddr) -> Result<TcpListener, ControlError> {
    listen(address).map_err(|cause| ControlError::Health { address, cause })
}
