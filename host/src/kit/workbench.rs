//! A component that is loaded as by a node, without a cluster.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bytes::Bytes;
use sluice_sandbox::{
    Allowed, Code, Compiler, Engine, EngineError, Interfaces, Network, NetworkCeiling, NodeStdout,
    NotComponent, PrepareError, Prepared, Refusals, Secrets, Setup, TrustError, core_instances,
};
use sluice_types::files;
use sluice_types::origin::Origin;
use sluice_types::plugin::Identity;
use tempfile::TempDir;
use thiserror::Error;

use crate::plugin::{Ceiling, Manifest, NotAllowed, sha256};

/// The most memory of a sink, in bytes: the default of `--max-memory`.
const MEMORY: usize = 512 << 20;
/// The most time of a call, if the manifest does not ask for more: that of a node.
const CALL: Duration = Duration::from_secs(10);
/// The most time of a call, whatever the manifest asks for.
const LONGEST_CALL: Duration = Duration::from_secs(3600);

/// A component cannot be put to the test.
#[derive(Debug, Error)]
pub(crate) enum KitError {
    #[error("load {}", .file.display())]
    NotComponent {
        file: PathBuf,
        #[source]
        cause: NotComponent,
    },
    #[error("make a folder for the sink")]
    Folder(#[source] io::Error),
    #[error("make a stdout for the sink")]
    Stdout(#[source] io::Error),
    #[error("start the destination that stands in for the real one")]
    Destination(#[source] io::Error),
    #[error(transparent)]
    Network(#[from] TrustError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    #[error(transparent)]
    NotAllowed(#[from] NotAllowed),
}

/// A compiled component, and what its instances run with.
#[derive(Debug)]
pub(crate) struct Workbench {
    engine: Engine,
    code: Code,
    identity: Identity,
    pub(super) interfaces: Interfaces,
    /// The bytes of the component.
    pub(super) size: usize,
    pub(super) compiled_in: Duration,
    pub(super) manifest: Manifest,
    /// What each instance runs with, but for the config.
    setup: Setup,
    /// What the sink's relative directories are below.
    folder: TempDir,
}

impl Workbench {
    /// Compiles a component. It may reach what the manifest asks for, and this
    /// origin.
    ///
    /// # Errors
    /// It is not a component, or it costs too much to compile.
    pub(crate) async fn new(
        file: &Path,
        component: Bytes,
        manifest: Manifest,
        origin: Option<Origin>,
        compiler: Compiler,
    ) -> Result<Self, KitError> {
        let interfaces = Interfaces::of(&component).map_err(|cause| KitError::NotComponent {
            file: file.to_owned(),
            cause,
        })?;
        let identity = Identity {
            source: file.display().to_string(),
            sha256: sha256(&component),
        };
        let mut manifest = manifest;
        manifest.permissions.http.extend(origin);
        let folder = files::temporary_dir("sluice-check-").map_err(KitError::Folder)?;
        let ceiling = ceiling(&manifest, folder.path());
        let mut setup = ceiling.setup(&manifest)?;
        setup.limits.core_instances = core_instances(&component, setup.limits.memory);
        let size = component.len();
        let network = Network::new(ceiling.network, Secrets::default(), Refusals::new(|_| ()))?;
        let engine = Engine::new(compiler, None, network)?;
        let started = Instant::now();
        let code = engine.compile(component, &identity).await?;
        Ok(Self {
            engine,
            code,
            identity,
            interfaces,
            size,
            compiled_in: started.elapsed(),
            manifest,
            setup,
            folder,
        })
    }

    /// The sink with this config, which prints there.
    ///
    /// # Errors
    /// It is no sink, or imports what sinks do not get.
    pub(super) fn sink(&self, config: &str, stdout: &NodeStdout) -> Result<Prepared, KitError> {
        let mut setup = self.setup.clone();
        config.clone_into(&mut setup.config);
        let (identity, stdout) = (self.identity.clone(), stdout.clone());
        Ok(Prepared::link(
            &self.engine,
            &self.code,
            identity,
            setup,
            stdout,
        )?)
    }

    /// What the sink's relative directories are below.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The time of one call.
    pub(super) const fn call(&self) -> Duration {
        self.setup.limits.call
    }
}

/// All that the manifest asks for. Its absolute directories are the author's own.
fn ceiling(manifest: &Manifest, folder: &Path) -> Ceiling {
    let permissions = &manifest.permissions;
    let hosts = permissions.dirs.iter().map(|dir| PathBuf::from(&dir.host));
    Ceiling {
        files: folder.to_owned(),
        directories: hosts.filter(|host| host.is_absolute()).collect(),
        network: NetworkCeiling {
            http: Allowed {
                named: permissions.http.clone(),
                public: false,
            },
            tcp: Allowed {
                named: permissions.tcp.clone(),
                public: false,
            },
        },
        secrets: Secrets::default(),
        memory: MEMORY,
        call: manifest
            .limits
            .write_timeout_ms
            .map_or(CALL, Duration::from_millis)
            .clamp(CALL, LONGEST_CALL),
    }
}
