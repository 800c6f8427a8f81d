//! `sluice node`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use rustix::process::{Signal, getppid, set_parent_process_death_signal};
use thiserror::Error;

use super::cluster::leader_key;
use super::coordinator::reached_at;
use super::failure::Failure;
use super::log::{self, LogFormat};
use super::signals::until_signal;
use super::units;
use crate::data_dir::DataDir;
use crate::http::ServerLimits;
use crate::http::ingest::{Authorization, Follower, IngestLimits};
use crate::node::{Node, NodeConfig};
use crate::plugin::Manifest;
use sluice_consul as consul;
use sluice_coordinator::{Coordinator, CoordinatorConfig};
use sluice_delivery::{Ack, QueueLimits};
use sluice_types::documents::LeaderValue;

pub(super) const EXAMPLES: &str = "\
Examples:
  sluice node                                  a node on port 3000, Consul on 127.0.0.1:8500
  sluice node --name b --listen 0.0.0.0:3001   a second one on the same machine
  sluice node --embedded-coordinator           a node that needs no Consul, and serves as one
  sluice node --name auto --data-dir /data     one of several that share a volume
  CONSUL_HTTP_ADDR=https://consul:8501 sluice node --config /etc/sluice.toml

Every flag can also be set by a variable (--max-body as SLUICE_MAX_BODY) or in the TOML file of
--config (max-body = \"16MiB\"); flags go before variables, variables before the file.
Consul is found by its own variables: CONSUL_HTTP_ADDR, CONSUL_HTTP_TOKEN, CONSUL_HTTP_SSL,
CONSUL_CACERT, CONSUL_CLIENT_CERT, CONSUL_CLIENT_KEY and the like. RUST_LOG sets the log's level.";

/// Where Consul would be.
const COORDINATOR: &str = "127.0.0.1:8500";

/// How long a client may take nothing of its answer.
const TAKING: Duration = Duration::from_secs(60);

/// The name that stands for the first free one.
const AUTO: &str = "auto";

/// The least that a journal can work with.
const SMALLEST_JOURNAL: usize = 1 << 20;

/// Lease bounds: shorter ones would be lost to ordinary pauses, longer ones
/// make every fail-over as slow.
const LEASES: std::ops::RangeInclusive<Duration> =
    Duration::from_millis(200)..=Duration::from_secs(60);

#[derive(Debug, Args)]
pub(super) struct NodeArgs {
    /// Where clients connect
    #[arg(long, env = "SLUICE_LISTEN", default_value = "0.0.0.0:3000")]
    listen: SocketAddr,

    /// What others are told to connect to, as host or host:port [default: the local address of the
    /// way to Consul, and the listen port]
    #[arg(long, env = "SLUICE_ADVERTISE", value_parser = advertise)]
    advertise: Option<Advertise>,

    /// Where Consul's health check asks [default: the listen host, any free port]
    #[arg(long, env = "SLUICE_HEALTH_LISTEN")]
    health_listen: Option<SocketAddr>,

    /// This node's name, unique in the cluster; auto takes the first of node-1, node-2, … whose
    /// directory nobody uses: for nodes that share one data directory [default: the host name]
    #[arg(long, env = "SLUICE_NAME", value_parser = name)]
    name: Option<String>,

    /// The cluster's name: its service and its keys in Consul
    #[arg(long, env = "SLUICE_CLUSTER", default_value = "sluice", value_parser = name)]
    cluster: String,

    /// Where this node keeps what must survive a restart; with --name auto, the directory above
    /// node-1, node-2, … [default: ./data/NAME, with --name auto ./data]
    #[arg(long, env = "SLUICE_DATA_DIR")]
    data_dir: Option<PathBuf>,

    /// The sink while the key <cluster>/plugin is absent: builtin:stdout,
    /// file:///path/of/a/component.wasm, or a manifest
    #[arg(long, env = "SLUICE_PLUGIN", default_value = "builtin:stdout")]
    plugin: Manifest,

    /// Where file:// sinks may come from; repeatable [default: the working directory]
    #[arg(
        long,
        env = "SLUICE_PLUGIN_DIR",
        value_name = "DIR",
        value_delimiter = ','
    )]
    plugin_dir: Vec<PathBuf>,

    /// Where manifests may ask for absolute directories; repeatable [default: nowhere]
    #[arg(
        long,
        env = "SLUICE_ALLOW_DIR",
        value_name = "DIR",
        value_delimiter = ','
    )]
    allow_dir: Vec<PathBuf>,

    /// The most memory that a sink may use, whatever its manifest asks for
    #[arg(long, env = "SLUICE_MAX_MEMORY", default_value = "512MiB", value_parser = units::size)]
    max_memory: usize,

    /// Serve as the Consul of this machine's nodes, from within this process [ADDR defaults to
    /// 127.0.0.1:8500]
    #[arg(
        long,
        env = "SLUICE_EMBEDDED_COORDINATOR",
        value_name = "ADDR",
        num_args = 0..=1,
        default_missing_value = COORDINATOR,
        value_parser = coordinator,
    )]
    embedded_coordinator: Option<SocketAddr>,

    /// What an acknowledgement means: the sink has confirmed the record, or it is on this node's
    /// disk and will be delivered
    #[arg(long, env = "SLUICE_ACK", default_value = "sink")]
    ack: Ack,

    /// The most that the journal may take on disk, with --ack journal
    #[arg(long, env = "SLUICE_JOURNAL_BYTES", default_value = "1GiB", value_parser = journal_size)]
    journal_bytes: usize,

    /// What to do with a message while another node leads
    #[arg(long, env = "SLUICE_FOLLOWER", default_value = "redirect")]
    follower: Follower,

    /// The key of the lock [default: the cluster's name and /leader]
    #[arg(long, env = "SLUICE_LEADER_KEY", value_parser = key)]
    leader_key: Option<String>,

    /// What that key holds: JSON, or the bare host for first-generation producers
    #[arg(long, env = "SLUICE_LEADER_VALUE", default_value = "json", value_parser = leader_value())]
    leader_value: LeaderValue,

    /// How long a proof of leadership is good for (200ms to 60s, the same on all nodes)
    #[arg(long, env = "SLUICE_LEASE", default_value = "1s", value_parser = lease)]
    lease: Duration,

    /// The most time from a request to its answer
    #[arg(long, env = "SLUICE_REQUEST_TIMEOUT", default_value = "15s", value_parser = units::duration)]
    request_timeout: Duration,

    /// How long requests may take to finish when the node ends
    #[arg(long, env = "SLUICE_DRAIN_TIMEOUT", default_value = "5s", value_parser = units::duration)]
    drain_timeout: Duration,

    /// The largest body, also once decompressed
    #[arg(long, env = "SLUICE_MAX_BODY", default_value = "16MiB", value_parser = units::size)]
    max_body: usize,

    /// The most records that may wait
    #[arg(long, env = "SLUICE_QUEUE_RECORDS", default_value_t = 100_000)]
    queue_records: usize,

    /// The most bytes that may wait
    #[arg(long, env = "SLUICE_QUEUE_BYTES", default_value = "64MiB", value_parser = units::size)]
    queue_bytes: usize,

    /// The most that is kept on disk of records which no sink takes
    #[arg(long, env = "SLUICE_DEAD_LETTER_BYTES", default_value = "64MiB", value_parser = units::size)]
    dead_letter_bytes: usize,

    /// The most client connections; more wait to be accepted
    #[arg(long, env = "SLUICE_MAX_CONNECTIONS", default_value_t = 10_000)]
    max_connections: usize,

    /// A file with the token that clients must send as Authorization: Bearer <token>
    #[arg(long, env = "SLUICE_TOKEN_FILE")]
    token_file: Option<PathBuf>,

    /// The certificate chain (PEM) for HTTPS
    #[arg(long, env = "SLUICE_TLS_CERT")]
    tls_cert: Option<PathBuf>,

    /// The key (PEM) for HTTPS
    #[arg(long, env = "SLUICE_TLS_KEY")]
    tls_key: Option<PathBuf>,

    /// Write a line an acknowledged record: clock reading, epoch, sequence
    #[arg(long, env = "SLUICE_TRACE_ACKS", value_name = "FILE")]
    trace_acks: Option<PathBuf>,

    /// The form of this node's own log on stderr [default: text on a terminal, else json]
    #[arg(long, env = "SLUICE_LOG_FORMAT")]
    log_format: Option<LogFormat>,

    /// A TOML file with values for these flags
    #[arg(long, env = "SLUICE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    /// Offer POST /bench/baseline, for benchmarks
    #[arg(long, env = "SLUICE_BENCH_BASELINE", hide = true)]
    bench_baseline: bool,

    /// End when this process, which started the node, ends in whatever way
    #[arg(long, value_name = "PID", hide = true)]
    parent: Option<u32>,
}

type Advertise = (String, Option<u16>);

/// A setting that the command line's parser can not judge.
#[derive(Debug, Error)]
enum SettingError {
    #[error("read the token file {}", .file.display())]
    TokenFile {
        file: PathBuf,
        #[source]
        cause: std::io::Error,
    },
    #[error("use the token in {}: it is empty or not plain ASCII", .0.display())]
    Token(PathBuf),
    #[error("serve HTTPS: --tls-cert and --tls-key go together, and only one of them is set")]
    HalfTls,
    #[error("find the directory {} of --allow-dir", .directory.display())]
    AllowDir {
        directory: PathBuf,
        #[source]
        cause: std::io::Error,
    },
    #[error("find the working directory")]
    WorkingDirectory(#[source] std::io::Error),
    #[error("use the host name {0:?} as this node's name; give another with --name")]
    HostName(String),
    #[error("end together with the process {0}: it is not the one that started this")]
    Parent(u32),
    #[error("ask to end together with the process {parent}")]
    ParentEnd {
        parent: u32,
        #[source]
        cause: std::io::Error,
    },
    #[error("start the log")]
    Log(#[source] std::io::Error),
    #[error("start the runtime")]
    Runtime(#[source] std::io::Error),
}

fn advertise(text: &str) -> Result<Advertise, String> {
    // A bare IPv6 address has colons of its own.
    if let Ok(ip) = text.parse::<std::net::Ipv6Addr>() {
        return Ok((format!("[{ip}]"), None));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.ends_with(':') && !port.ends_with(']') => {
            let port = port
                .parse()
                .map_err(|_| format!("{port:?} is not a port"))?;
            (host, Some(port))
        }
        _ => (text, None),
    };
    match host.is_empty() {
        true => Err("expected host or host:port".to_owned()),
        false => Ok((host.to_owned(), port)),
    }
}

/// Names become parts of Consul's keys and services.
fn name(text: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    match !text.is_empty() && text.len() <= 128 && text.bytes().all(is_plain) {
        true => Ok(text.to_owned()),
        false => Err("expected letters, digits, '.', '_' or '-'".to_owned()),
    }
}

fn leader_value() -> impl TypedValueParser<Value = LeaderValue> {
    let help = |form: LeaderValue| match form {
        LeaderValue::Json => r#"`{"node":…,"address":"host:port"}`"#,
        LeaderValue::Host => {
            "The bare host name, for first-generation producers, who post to port 3000 there"
        }
    };
    let forms = LeaderValue::ALL.map(|form| PossibleValue::new(form.name()).help(help(form)));
    PossibleValuesParser::new(forms).try_map(|name| name.parse::<LeaderValue>())
}

fn key(text: &str) -> Result<String, String> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte);
    let is_path = !text.starts_with('/') && !text.ends_with('/') && !text.contains("//");
    match !text.is_empty() && is_path && text.bytes().all(is_plain) {
        true => Ok(text.to_owned()),
        false => Err("expected a key like service/logger/leader".to_owned()),
    }
}

/// In variables and in the file there has to be a value: `true` will do.
fn coordinator(text: &str) -> Result<SocketAddr, String> {
    let address = if text == "true" { COORDINATOR } else { text };
    address
        .parse()
        .map_err(|_| format!("expected an IP address and a port like {COORDINATOR}"))
}

fn journal_size(text: &str) -> Result<usize, String> {
    units::size(text).and_then(|size| match size >= SMALLEST_JOURNAL {
        true => Ok(size),
        false => Err("expected 1MiB or more".to_owned()),
    })
}

fn lease(text: &str) -> Result<Duration, String> {
    units::duration(text).and_then(|lease| match LEASES.contains(&lease) {
        true => Ok(lease),
        false => Err("expected 200ms to 60s".to_owned()),
    })
}

/// Runs a node until a signal ends it.
pub(super) fn run(args: NodeArgs) -> Result<ExitCode, Failure> {
    args.parent.map_or(Ok(()), end_with)?;
    let _log = log::start(args.log_format).map_err(SettingError::Log)?;
    let embedded = args.embedded_coordinator;
    let mut config = args.into_config()?;
    // Lives longer than the node, which lets go of its lock at the end.
    let _coordinator = match embedded {
        Some(listen) => Some(start_coordinator(listen, &mut config)?),
        None => None,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(SettingError::Runtime)?;
    let result = runtime.block_on(async {
        let (name, cluster) = (config.name.clone(), config.cluster.clone());
        let node = Node::build(config).await?;
        let address = node.local_address().map(|address| address.to_string());
        tracing::info!(
            name,
            cluster,
            address,
            version = env!("CARGO_PKG_VERSION"),
            "listening"
        );
        node.run(until_signal()).await
    });
    // What still runs is stuck in the outside world: do not wait for it.
    runtime.shutdown_background();
    result?;
    Ok(ExitCode::SUCCESS)
}

/// Has the system kill this process when its parent is gone.
fn end_with(parent: u32) -> Result<(), SettingError> {
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|errno| {
        SettingError::ParentEnd {
            parent,
            cause: errno.into(),
        }
    })?;
    // It may have gone before.
    let now = getppid().and_then(|pid| u32::try_from(pid.as_raw_pid()).ok());
    if now == Some(parent) {
        Ok(())
    } else {
        Err(SettingError::Parent(parent))
    }
}

/// Starts a coordinator, and points the node at it.
fn start_coordinator(listen: SocketAddr, config: &mut NodeConfig) -> Result<Coordinator, Failure> {
    let coordinator = Coordinator::start(&CoordinatorConfig {
        listen,
        data_dir: config.data_dir.path().join("coordinator"),
    })?;
    tracing::info!(address = %coordinator.address(), "coordinating");
    let address = reached_at(&coordinator);
    // It knows no TLS and no tokens, whatever the variables say.
    let is_address = |name| (name == "CONSUL_HTTP_ADDR").then(|| address.to_string());
    config.consul = consul::Config::from_variables(is_address)?;
    Ok(coordinator)
}

impl NodeArgs {
    fn into_config(self) -> Result<NodeConfig, Failure> {
        let (name, data_dir) = claim(self.name, self.data_dir)?;
        let consul = consul::Config::from_env()?;
        let plugin_dirs = if self.plugin_dir.is_empty() {
            vec![std::env::current_dir().map_err(SettingError::WorkingDirectory)?]
        } else {
            self.plugin_dir
        };
        let health_listen = self
            .health_listen
            .unwrap_or_else(|| SocketAddr::new(self.listen.ip(), 0));
        Ok(NodeConfig {
            listen: self.listen,
            advertise: self.advertise.or_else(|| spoken(self.listen)),
            health_listen,
            data_dir,
            leader_key: self.leader_key.unwrap_or_else(|| leader_key(&self.cluster)),
            name,
            cluster: self.cluster,
            plugin: self.plugin,
            plugin_dirs,
            allowed_dirs: absolute(self.allow_dir)?,
            max_memory: self.max_memory,
            ack: self.ack,
            journal_bytes: u64::try_from(self.journal_bytes).unwrap_or(u64::MAX),
            follower: self.follower,
            leader_value: self.leader_value,
            lease: self.lease,
            request: IngestLimits {
                body: self.max_body,
                request: self.request_timeout,
                records: self.queue_records,
            },
            drain: self.drain_timeout,
            queue: QueueLimits {
                records: self.queue_records,
                bytes: self.queue_bytes,
            },
            dead_letter_bytes: u64::try_from(self.dead_letter_bytes).unwrap_or(u64::MAX),
            server: ServerLimits {
                connections: self.max_connections.max(1),
                taking: TAKING,
            },
            authorization: self.token_file.map(authorization).transpose()?,
            tls: match (self.tls_cert, self.tls_key) {
                (None, None) => None,
                (Some(certificate), Some(key)) => Some((certificate, key)),
                _ => return Err(SettingError::HalfTls.into()),
            },
            trace_acks: self.trace_acks,
            baseline: self.bench_baseline,
            consul,
        })
    }
}

/// The node's name, and its data directory, which is ours from here on.
fn claim(name: Option<String>, given: Option<PathBuf>) -> Result<(String, DataDir), Failure> {
    let root = || PathBuf::from("data");
    if name.as_deref() == Some(AUTO) {
        return Ok(DataDir::first_free(&given.unwrap_or_else(root))?);
    }
    let name = name.map_or_else(host_name, Ok)?;
    let directory = given.unwrap_or_else(|| root().join(&name));
    Ok((name, DataDir::lock(directory)?))
}

/// Manifests name absolute paths.
fn absolute(directories: Vec<PathBuf>) -> Result<Vec<PathBuf>, SettingError> {
    let absolute = |directory: PathBuf| {
        std::path::absolute(&directory).map_err(|cause| SettingError::AllowDir { directory, cause })
    };
    directories.into_iter().map(absolute).collect()
}

/// A listen address that names one interface is what others must use.
fn spoken(listen: SocketAddr) -> Option<Advertise> {
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

fn authorization(file: PathBuf) -> Result<Authorization, SettingError> {
    let text = std::fs::read_to_string(&file).map_err(|cause| SettingError::TokenFile {
        file: file.clone(),
        cause,
    })?;
    let token = text.trim();
    let is_plain = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    if is_plain {
        Ok(Authorization::bearer(token))
    } else {
        Err(SettingError::Token(file))
    }
}
