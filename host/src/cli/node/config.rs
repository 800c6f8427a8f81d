//! Turns the flags of `sluice node` into the settings of a node.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZero;
use std::path::PathBuf;
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::runtime::Handle;

use super::args::NodeArgs;
use super::error::SettingError;
use super::repeats::RepeatsArgs;
use super::values::{Advertise, Allow, name};
use crate::cli::compile;
use crate::cli::failure::Failure;
use crate::config::Config;
use crate::data_dir::DataDir;
use crate::diagnostics::{DiagnosticsConfig, RecentLog, Setting};
use crate::http::ingest::IngestLimits;
use crate::http::{IngestConfig, ServerConfig};
use crate::listeners::{ListenAddress, ListenerConfig, ListenersConfig, Protocol};
use crate::once::Remembered;
use crate::plugin::{PluginConfig, Trust};
use crate::stream::{JournalPlace, StreamConfig};
use crate::tls::TlsFiles;
use sluice_access::AccessConfig;
use sluice_consul as consul;
use sluice_delivery::QueueLimits;
use sluice_jetstream::{Connection, Credentials, Servers};
use sluice_leadership::ControlConfig;
use sluice_sandbox::{Allowed, CompileLimits, Compiler, NetworkCeiling, SecretFile};
use sluice_traces::TracesConfig;
use sluice_types::keys::ClusterKeys;
use sluice_types::origin::Origin;
use sluice_types::stream::DEFAULT_STREAM;

/// How long a client may take nothing of its answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// How many of the largest bodies the memory for requests holds at least. A
/// request takes its body once or twice, and its records in addition.
const BODIES_MIN: usize = 4;

/// The name that stands for the first free one.
const AUTO: &str = "auto";

/// The settings of a node. Locks the data directory. `settings` are the same as the
/// operator gave them, and `log` has what this process logs. The node will run on
/// `runtime`.
pub(super) fn from_args(
    mut args: NodeArgs,
    settings: Vec<Setting>,
    log: RecentLog,
    runtime: &Handle,
) -> Result<Config, Failure> {
    let (name, data_dir) = claim(args.name.take(), args.data_dir.take())?;
    let journal = journal(&args, &name, runtime)?;
    Ok(Config {
        control: control(&args, name, &data_dir)?,
        data_dir,
        server: server(&args)?,
        listeners: listeners(&args)?,
        coordinator_connections: 0,
        tls: tls(&args)?,
        peer_authorities: args.peer_ca.clone(),
        access: access(&args)?,
        ingest: ingest(&args),
        park: args.park,
        elasticsearch_version: args.elasticsearch_version.clone(),
        plugin: plugin(&args)?,
        stream: stream(&args, journal),
        max_streams: args.max_streams,
        diagnostics: DiagnosticsConfig {
            settings,
            log,
            secret_files: secret_files(&args),
        },
        trace_acks: args.trace_acks,
        traces: TracesConfig::from_env()?,
        threads: args.threads.map_or_else(default_threads, usize::from),
        baseline: args.bench_baseline,
    })
}

/// The variable of tokio's own runtimes, or one per core that this process may use.
fn default_threads() -> usize {
    let variable = std::env::var("TOKIO_WORKER_THREADS").ok();
    let number = variable.and_then(|value| value.parse().ok());
    let number = number.or_else(|| available_parallelism().ok());
    number.map_or(1, NonZero::get)
}

fn control(args: &NodeArgs, node: String, data_dir: &DataDir) -> Result<ControlConfig, Failure> {
    let listen = *args.listen.first().ok_or(SettingError::NoListen)?;
    let cluster = args.cluster.clone();
    let keys = ClusterKeys::new(&cluster).stream(DEFAULT_STREAM);
    Ok(ControlConfig {
        consul: consul::Config::from_env()?,
        node,
        listen,
        advertise: args.advertise.clone().or_else(|| own_address(listen)),
        health_listen: args.health_listen,
        keys: keys.with_leader(args.leader_key.clone()),
        cluster,
        leader_value: args.leader_value,
        lease: args.lease,
        data_dir: data_dir.path().to_owned(),
    })
}

fn tls(args: &NodeArgs) -> Result<Option<TlsFiles>, SettingError> {
    match (args.tls_cert.clone(), args.tls_key.clone()) {
        (None, None) if args.tls_client_ca.is_some() => Err(SettingError::ClientCaWithoutTls),
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => Ok(Some(TlsFiles {
            certificate,
            key,
            client_authorities: args.tls_client_ca.clone(),
        })),
        _ => Err(SettingError::HalfTls),
    }
}

/// The listeners of protocols that are not HTTP. Without one, they have no
/// connections.
fn listeners(args: &NodeArgs) -> Result<ListenersConfig, SettingError> {
    let of = |protocol: Protocol, addresses: &[ListenAddress]| {
        let listener = |address: &ListenAddress| ListenerConfig {
            protocol,
            address: address.clone(),
        };
        addresses.iter().map(listener).collect::<Vec<_>>()
    };
    let listeners = [
        of(Protocol::Syslog, &args.syslog_listen),
        of(Protocol::Relp, &args.relp_listen),
        of(Protocol::Forward, &args.forward_listen),
        of(Protocol::Gelf, &args.gelf_listen),
    ]
    .concat();
    Ok(ListenersConfig {
        connections: match listeners.is_empty() {
            true => 0,
            false => args.max_listener_connections.max(1),
        },
        listeners,
    })
}

fn server(args: &NodeArgs) -> Result<ServerConfig, SettingError> {
    Ok(ServerConfig {
        listen: args.listen.clone(),
        otlp_grpc: args.otlp_grpc_listen.clone(),
        connections: args.max_connections.max(1),
        connections_per_source: args.max_connections_per_source,
        origins: args.allow_origin.clone(),
        write_timeout: WRITE_TIMEOUT,
    })
}

fn ingest(args: &NodeArgs) -> IngestConfig {
    IngestConfig {
        limits: IngestLimits {
            body: args.max_body,
            request: args.request_timeout,
            records: args.queue_records,
        },
        memory: args
            .queue_bytes
            .max(args.max_body.saturating_mul(BODIES_MIN)),
        follower: args.follower,
        remembered: remembered(args),
    }
}

fn access(args: &NodeArgs) -> Result<AccessConfig, SettingError> {
    Ok(AccessConfig {
        token: args.token_file.clone().map(token).transpose()?,
        tokens: args.tokens.clone(),
        audit_log: args.audit_log.clone(),
        knows_certificates: args.tls_client_ca.is_some(),
    })
}

/// A secret that names no origins is for those that the node allows by name.
fn secrets(flags: &[SecretFile], named: &[Origin]) -> Vec<SecretFile> {
    let mut secrets = flags.to_vec();
    for secret in &mut secrets {
        if secret.origins.is_empty() {
            secret.origins = named.to_vec();
        }
    }
    secrets
}

/// The files whose contents are shown nowhere.
fn secret_files(args: &NodeArgs) -> Vec<PathBuf> {
    let own = [&args.token_file, &args.tls_key, &args.compiled_key];
    let own = own.into_iter().flatten().cloned();
    let of_sinks = args.secret.iter().map(|secret| secret.file.clone());
    own.chain(of_sinks).collect()
}

fn allowed<T: Clone>(flags: &[Allow<T>]) -> Allowed<T> {
    let mut allowed = Allowed::default();
    for flag in flags {
        match flag {
            Allow::Named(destination) => allowed.named.push(destination.clone()),
            Allow::Public => allowed.public = true,
        }
    }
    allowed
}

fn plugin(args: &NodeArgs) -> Result<PluginConfig, SettingError> {
    let dirs = if args.plugin_dir.is_empty() {
        vec![std::env::current_dir().map_err(SettingError::WorkingDirectory)?]
    } else {
        args.plugin_dir.clone()
    };
    let http = allowed(&args.allow_http);
    Ok(PluginConfig {
        default: args.plugin.clone(),
        dirs,
        trust: Trust::new(args.trusted_key.clone()),
        compiled_key: args.compiled_key.clone(),
        allowed_dirs: absolute(&args.allow_dir)?,
        secrets: secrets(&args.secret, &http.named),
        network: NetworkCeiling {
            http,
            tcp: allowed(&args.allow_tcp),
        },
        max_memory: args.max_memory,
        cache: u64::try_from(args.plugin_cache).unwrap_or(u64::MAX),
        compiler: Compiler::Child(compile::program(CompileLimits {
            memory: u64::try_from(args.max_compile_memory).unwrap_or(u64::MAX),
            time: args.max_compile_time,
        })),
    })
}

/// Where the journal is.
fn journal(args: &NodeArgs, node: &str, runtime: &Handle) -> Result<JournalPlace, SettingError> {
    Ok(match args.journal.as_deref() {
        None => JournalPlace::DataDir,
        Some(text) if Servers::are_named_by(text) => JournalPlace::Servers {
            connection: Connection::new(
                Servers::from_text(text)?,
                Credentials::from_env(),
                format!("sluice {node}"),
                runtime.clone(),
            ),
            cluster: args.cluster.clone(),
        },
        Some(directory) => JournalPlace::Directory(directory.into()),
    })
}

fn stream(args: &NodeArgs, journal: JournalPlace) -> StreamConfig {
    StreamConfig {
        journal,
        name: DEFAULT_STREAM.to_owned(),
        ack: args.ack,
        queue: QueueLimits {
            records: args.queue_records,
            bytes: args.queue_bytes,
        },
        journal_bytes: u64::try_from(args.journal_bytes).unwrap_or(u64::MAX),
        dead_letter_bytes: u64::try_from(args.dead_letter_bytes).unwrap_or(u64::MAX),
        drain: args.drain_timeout,
        remembered: remembered(args),
    }
}

fn remembered(args: &NodeArgs) -> Remembered {
    let RepeatsArgs {
        dedupe_ids,
        dedupe_window,
    } = args.repeats;
    Remembered {
        count: dedupe_ids,
        window: dedupe_window,
    }
}

/// The node's name, and its data directory, locked.
fn claim(name: Option<String>, given: Option<PathBuf>) -> Result<(String, DataDir), Failure> {
    let root = || PathBuf::from("data");
    if name.as_deref() == Some(AUTO) {
        return Ok(DataDir::first_free(&given.unwrap_or_else(root))?);
    }
    let name = name.map_or_else(host_name, Ok)?;
    let directory = given.unwrap_or_else(|| root().join(&name));
    Ok((name, DataDir::lock(directory)?))
}

/// Absolute paths, as manifests name them.
fn absolute(directories: &[PathBuf]) -> Result<Vec<PathBuf>, SettingError> {
    let absolute = |directory: &PathBuf| {
        std::path::absolute(directory).map_err(|cause| SettingError::AllowDir {
            directory: directory.clone(),
            cause,
        })
    };
    directories.iter().map(absolute).collect()
}

/// If the node listens on one interface only, others must use its address.
fn own_address(listen: SocketAddr) -> Option<Advertise> {
    let ip = listen.ip();
    (!ip.is_unspecified()).then(|| match ip {
        IpAddr::V4(ip) => (ip.to_string(), None),
        IpAddr::V6(ip) => (format!("[{ip}]"), None),
    })
}

fn host_name() -> Result<String, SettingError> {
    let uname = rustix::system::uname();
    let host = uname.nodename().to_string_lossy().into_owned();
    name(&host).map_err(|_| SettingError::HostName(host))
}

fn token(file: PathBuf) -> Result<String, SettingError> {
    let text = std::fs::read_to_string(&file).map_err(|cause| SettingError::TokenFile {
        file: file.clone(),
        cause,
    })?;
    let token = text.trim();
    let is_plain = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    if is_plain {
        Ok(token.to_owned())
    } else {
        Err(SettingError::Token(file))
    }
}
