//! The settings of sinks, and the preparer that they make.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use thiserror::Error;

use super::ceiling::Ceiling;
use super::compile_notes::CompileNotes;
use super::manifest::Manifest;
use super::prepare::{CodeTurns, Preparer};
use super::remote::{Blobs, HttpSetupError, Remote};
use super::store::{Store, StoreError};
use super::trust::Trust;
use sluice_sandbox::{
    Compiled, CompiledError, Compiler, Engine, EngineError, Network, NetworkCeiling, NodeStdout,
    Refusals, SecretError, SecretFile, Secrets, TrustError,
};
use sluice_types::files::shared_dir;

/// The settings of sinks.
#[derive(Clone, Debug)]
pub(crate) struct PluginConfig {
    /// The sink while the key is absent or empty.
    pub(crate) default: Manifest,
    /// The directories that `file://` sinks may come from.
    pub(crate) dirs: Vec<PathBuf>,
    /// The keys that components must be signed with.
    pub(crate) trust: Trust,
    /// The directories that sinks may be given, besides the node's own.
    pub(crate) allowed_dirs: Vec<PathBuf>,
    /// The destinations in the network that sinks may be given.
    pub(crate) network: NetworkCeiling,
    /// The secrets that are added to their requests.
    pub(crate) secrets: Vec<SecretFile>,
    /// The most memory that a sink may use, in bytes.
    pub(crate) max_memory: usize,
    /// The file with the key that authenticates compiled components; below the data
    /// directory if there is none.
    pub(crate) compiled_key: Option<PathBuf>,
    /// Compiles components.
    pub(crate) compiler: Compiler,
    /// How much of the disk components take that are kept, in bytes.
    pub(crate) cache: u64,
}

/// Why no sink can be prepared at all.
#[derive(Debug, Error)]
pub(crate) enum PreparerError {
    /// A directory cannot be used.
    #[error("{act} {}", .path.display())]
    Directory {
        /// What was tried.
        act: &'static str,
        /// With which directory.
        path: PathBuf,
        /// The system's error.
        #[source]
        cause: io::Error,
    },
    /// Sinks must not reach what the node keeps for itself.
    #[error(
        "allow sinks the directory {}: it holds this node's data directory, or lies in it; name \
         another with --allow-dir", .0.display()
    )]
    Allowed(PathBuf),
    /// There is no TLS for what sinks send.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// Components cannot be fetched.
    #[error(transparent)]
    Http(#[from] HttpSetupError),
    /// A secret cannot be used.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// There is no WebAssembly engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Compiled sinks cannot be kept.
    #[error(transparent)]
    Compiled(#[from] CompiledError),
    /// The last good sink cannot be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl PluginConfig {
    /// Opens what the node keeps for its sinks below `data_dir`. A call into a
    /// sink may take `call_limit` at most. `blobs` are the components in Consul.
    ///
    /// # Errors
    /// Names the directory that cannot be used.
    pub(crate) fn preparer(
        &self,
        data_dir: &Path,
        stdout: NodeStdout,
        call_limit: Duration,
        refusals: Refusals,
        blobs: Blobs,
    ) -> Result<Preparer, PreparerError> {
        let in_data_dir = |name: &str| {
            std::path::absolute(data_dir.join(name))
                .map_err(at("find the data directory", data_dir))
        };
        let files = in_data_dir("files")?;
        shared_dir(&files).map_err(at("create the folder of the sinks' files", &files))?;
        for directory in &self.allowed_dirs {
            check_allowed(directory, data_dir)?;
        }
        let key_file = match &self.compiled_key {
            Some(file) => file.clone(),
            None => in_data_dir("compiled.key")?,
        };
        let compiled = Compiled::open(in_data_dir("compiled")?, &key_file)?;
        let folder = in_data_dir("plugin")?;
        let store = Store::open(folder.clone(), self.cache)?;
        let secrets = Secrets::read(&self.secrets)?;
        let network = Network::new(self.network.clone(), secrets.clone(), refusals)?;
        Ok(Preparer {
            engine: Engine::new(self.compiler.clone(), Some(compiled), network)?,
            stdout,
            ceiling: Ceiling {
                files,
                directories: self.allowed_dirs.clone(),
                network: self.network.clone(),
                secrets,
                memory: self.max_memory,
                call: call_limit,
            },
            plugin_dirs: self.dirs.clone(),
            trust: self.trust.clone(),
            store,
            remote: Remote::new(blobs)?,
            notes: CompileNotes::open(folder),
            turn: Mutex::default(),
            codes: CodeTurns::default(),
        })
    }
}

/// A sink that could write what is kept beside its files could make this node
/// run other code.
fn check_allowed(directory: &Path, data_dir: &Path) -> Result<(), PreparerError> {
    let real = |path: &Path| fs::canonicalize(path).map_err(at("find the directory", path));
    let (allowed, own) = (real(directory)?, real(data_dir)?);
    let is_files = allowed.starts_with(own.join("files"));
    if own.starts_with(&allowed) || allowed.starts_with(&own) && !is_files {
        return Err(PreparerError::Allowed(directory.to_owned()));
    }
    Ok(())
}

fn at(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PreparerError {
    let path = path.to_owned();
    move |cause| PreparerError::Directory { act, path, cause }
}
