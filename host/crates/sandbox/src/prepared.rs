//! A sink that is compiled and linked, ready to be opened in microseconds.

use std::num::NonZero;
use std::sync::Arc;

use sluice_types::error_chain::chain;
use sluice_types::outcome::{Broken, WriteError};
use sluice_types::plugin::Identity;
use sluice_types::sink::{BoxFuture, Sink, SinkInstance};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::code::Code;
use super::engine::Engine;
use super::exports::ExportsPre;
use super::grant_error::GrantError;
use super::grants::Grants;
use super::guest::{Guest, Reached};
use super::instance::Instance;
use super::network::WantedHttp;
use super::prepare_error::PrepareError;
use super::setup::Setup;
use super::stdout::{InstanceStdout, NodeStdout};

/// A compiled sink and what it runs with.
pub struct Prepared {
    identity: Identity,
    setup: Setup,
    http: Arc<WantedHttp>,
    exports: ExportsPre,
    stdout: NodeStdout,
    /// Keeps the engine's ticker running, which interrupts guests.
    engine: Engine,
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prepared")
            .field("identity", &self.identity)
            .finish_non_exhaustive()
    }
}

impl Prepared {
    /// Links a component's code, and checks that it is a sink.
    ///
    /// # Errors
    /// It imports what sinks do not get, or it is not a sink.
    pub fn link(
        engine: &Engine,
        code: &Code,
        identity: Identity,
        setup: Setup,
        stdout: NodeStdout,
    ) -> Result<Self, PrepareError> {
        let source_name = || identity.source.clone();
        let linked =
            engine
                .linker
                .instantiate_pre(&code.0)
                .map_err(|cause| PrepareError::Link {
                    source_name: source_name(),
                    cause,
                })?;
        let exports = ExportsPre::find(&code.0, linked).map_err(|cause| PrepareError::World {
            source_name: source_name(),
            cause,
        })?;
        let Grants {
            http,
            headers,
            signing,
            ..
        } = &setup.grants;
        Ok(Self {
            identity,
            http: Arc::new(WantedHttp::new(
                http.clone(),
                headers.clone(),
                signing.clone(),
                setup.limits.concurrency,
            )),
            setup,
            exports,
            stdout,
            engine: engine.clone(),
        })
    }

    /// Creates an instance and drops it, so that everything that can fail
    /// before `open` fails now.
    ///
    /// # Errors
    /// A grant cannot be given, or the instance breaks.
    pub async fn try_out(&self) -> Result<(), PrepareError> {
        let (guest, stdout) = self.guest().await?;
        let created = Instance::new(&self.exports, guest, stdout, self.setup.limits).await;
        created.map(drop).map_err(|broken| PrepareError::Start {
            source_name: self.identity.source.clone(),
            cause: broken.into(),
        })
    }

    /// Creates an instance and calls its `open`.
    ///
    /// # Errors
    /// What the sink answered, or how the instance broke.
    pub async fn open_instance(&self) -> Result<Instance, WriteError> {
        let (guest, stdout) = self
            .guest()
            .await
            .map_err(|error| Broken::Denied(chain(&error)))?;
        let limits = self.setup.limits;
        let mut instance = Instance::new(&self.exports, guest, stdout, limits).await?;
        instance.open(&self.setup.config).await?;
        Ok(instance)
    }

    async fn guest(&self) -> Result<(Guest, InstanceStdout), GrantError> {
        let Setup { limits, grants, .. } = &self.setup;
        let granted = if grants.directories.is_empty() {
            grants.open()?
        } else {
            // Blocks for as long as the slowest disk.
            let grants = grants.clone();
            let opening = spawn_blocking(move || grants.open());
            timeout(limits.call, opening)
                .await
                .map_err(|_| GrantError::Slow(limits.call))?
                .map_err(GrantError::Panicked)??
        };
        let stdout = self.stdout.for_instance();
        let source = &self.identity.source;
        let network = &self.engine.network;
        let refusals = network.refusals(source);
        let tcp = network.tcp(grants.tcp.clone(), refusals.clone());
        let reached = Reached {
            http: network.http(Arc::clone(&self.http), refusals.clone()),
            tls: network.tls(tcp.clone()),
            tcp,
        };
        let guest = Guest::new(refusals, *limits, &granted, stdout.clone(), reached)?;
        Ok((guest, stdout))
    }
}

impl Sink for Prepared {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn concurrency(&self) -> NonZero<usize> {
        self.setup.limits.concurrency
    }

    fn open(&self) -> BoxFuture<'_, Result<Box<dyn SinkInstance>, WriteError>> {
        Box::pin(async {
            let instance: Box<dyn SinkInstance> = Box::new(self.open_instance().await?);
            Ok(instance)
        })
    }
}
