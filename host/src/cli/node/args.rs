//! The flags of `sluice node`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, value_parser};

use super::repeats::RepeatsArgs;
use super::values::{
    Advertise, Allow, COORDINATOR, ack, advertise, allow, compile_memory, coordinator,
    elasticsearch_version, journal_size, key, leader_value, lease, name, secret, trusted_key,
};
use crate::cli::log::LogFormat;
use crate::cli::units;
use crate::http::ingest::Follower;
use crate::listeners::ListenAddress;
use crate::minisign::PublicKey;
use crate::plugin::Manifest;
use sluice_delivery::Ack;
use sluice_sandbox::SecretFile;
use sluice_types::documents::LeaderValue;
use sluice_types::endpoint::Endpoint;
use sluice_types::origin::Origin;

pub(in crate::cli) const EXAMPLES: &str = "\
Examples:
  sluice node                                  a node on port 3000, Consul on 127.0.0.1:8500
  sluice node --name b --listen 0.0.0.0:3001   a second one on the same machine
  sluice node --embedded-coordinator           a node that needs no Consul, and serves as one
  sluice node --name auto --data-dir /data     one of several that share a volume
  CONSUL_HTTP_ADDR=https://consul:8501 sluice node --config /etc/sluice.toml

Every flag can also be set by a variable (--max-body as SLUICE_MAX_BODY) or in the TOML file of
--config (max-body = \"16MiB\"); flags win over variables, and variables over the file.
Consul is found by its own variables: CONSUL_HTTP_ADDR, CONSUL_HTTP_TOKEN, CONSUL_HTTP_SSL,
CONSUL_CACERT, CONSUL_CLIENT_CERT, CONSUL_CLIENT_KEY and the like; the servers of a replicated
journal by NATS_URL, NATS_CREDS, NATS_CA and the like. RUST_LOG sets the log's level.";

#[derive(Debug, Args)]
pub(in crate::cli) struct NodeArgs {
    /// Where clients connect; repeatable, with the same routes on each address. Other nodes use the
    /// first one
    #[arg(
        long,
        env = "SLUICE_LISTEN",
        value_name = "ADDR",
        value_delimiter = ',',
        default_value = "0.0.0.0:3000"
    )]
    pub(super) listen: Vec<SocketAddr>,

    /// Where clients connect for OTLP over gRPC, by custom on port 4317; repeatable [default: none]
    #[arg(
        long,
        env = "SLUICE_OTLP_GRPC_LISTEN",
        value_name = "ADDR",
        value_delimiter = ','
    )]
    pub(super) otlp_grpc_listen: Vec<SocketAddr>,

    /// The address for others to connect to, as host or host:port [default: the local address of
    /// the connection to Consul, and the listen port]
    #[arg(long, env = "SLUICE_ADVERTISE", value_parser = advertise)]
    pub(super) advertise: Option<Advertise>,

    /// Where Consul's health check asks [default: any free port, on loopback if CONSUL_HTTP_ADDR is,
    /// else on the listen host]
    #[arg(long, env = "SLUICE_HEALTH_LISTEN")]
    pub(super) health_listen: Option<SocketAddr>,

    /// This node's name, unique in the cluster; auto takes the first of node-1, node-2, … whose
    /// directory is not in use, for nodes that share one data directory [default: the host name]
    #[arg(long, env = "SLUICE_NAME", value_parser = name)]
    pub(super) name: Option<String>,

    /// The cluster's name: its service and its keys in Consul
    #[arg(long, env = "SLUICE_CLUSTER", default_value = "sluice", value_parser = name)]
    pub(super) cluster: String,

    /// Where this node keeps what must survive a restart; with --name auto, the directory above
    /// node-1, node-2, … [default: ./data/NAME, with --name auto ./data]
    #[arg(long, env = "SLUICE_DATA_DIR")]
    pub(super) data_dir: Option<PathBuf>,

    /// The sink while the key <cluster>/plugin is absent: builtin:stdout,
    /// file:///path/to/component.wasm, oci://registry/repository:tag, kv:<sha256>, or a manifest
    #[arg(long, env = "SLUICE_PLUGIN", default_value = "builtin:stdout")]
    pub(super) plugin: Manifest,

    /// A directory that file:// sinks may come from; repeatable [default: the working directory]
    #[arg(
        long,
        env = "SLUICE_PLUGIN_DIR",
        value_name = "DIR",
        value_delimiter = ','
    )]
    pub(super) plugin_dir: Vec<PathBuf>,

    /// A public key of `sluice plugin keygen` or minisign, or the file with it; repeatable. With one,
    /// this node runs nothing that none of them has signed, except builtin: sinks [default: none]
    #[arg(
        long,
        env = "SLUICE_TRUSTED_KEY",
        value_name = "KEY|FILE",
        value_delimiter = ',',
        value_parser = trusted_key
    )]
    pub(super) trusted_key: Vec<PublicKey>,

    /// The file with the key that authenticates compiled sinks in the data directory; made if it is
    /// missing [default: <data-dir>/compiled.key]
    #[arg(long, env = "SLUICE_COMPILED_KEY", value_name = "FILE")]
    pub(super) compiled_key: Option<PathBuf>,

    /// A directory in which manifests may ask for absolute directories; repeatable [default: none]
    #[arg(
        long,
        env = "SLUICE_ALLOW_DIR",
        value_name = "DIR",
        value_delimiter = ','
    )]
    pub(super) allow_dir: Vec<PathBuf>,

    /// An origin, such as https://logs.example.com, that manifests may ask for; repeatable; '*' for
    /// all that have public addresses [default: none]
    #[arg(
        long,
        env = "SLUICE_ALLOW_HTTP",
        value_name = "ORIGIN",
        value_delimiter = ',',
        value_parser = allow::<Origin>
    )]
    pub(super) allow_http: Vec<Allow<Origin>>,

    /// A host and port, such as syslog.example.com:601, that manifests may ask for; repeatable; '*'
    /// for all that have public addresses [default: none]
    #[arg(
        long,
        env = "SLUICE_ALLOW_TCP",
        value_name = "HOST:PORT",
        value_delimiter = ',',
        value_parser = allow::<Endpoint>
    )]
    pub(super) allow_tcp: Vec<Allow<Endpoint>>,

    /// A secret that the node adds to requests of sinks, or signs them with (`sigv4`), and the
    /// origins that it is for [default: those of --allow-http]; repeatable
    #[arg(
        long,
        env = "SLUICE_SECRET",
        value_name = "NAME=FILE[,sigv4][,ORIGIN...]",
        value_delimiter = ';',
        value_parser = secret
    )]
    pub(super) secret: Vec<SecretFile>,

    /// The most disk space for components that are kept, besides those in use
    #[arg(long, env = "SLUICE_PLUGIN_CACHE", default_value = "512MiB", value_parser = units::size)]
    pub(super) plugin_cache: usize,

    /// The most memory that a sink may use, whatever its manifest asks for
    #[arg(long, env = "SLUICE_MAX_MEMORY", default_value = "512MiB", value_parser = units::size)]
    pub(super) max_memory: usize,

    /// The most memory that compiling a sink may take, in a process of its own; 64MiB or more
    #[arg(long, env = "SLUICE_MAX_COMPILE_MEMORY", default_value = "2GiB", value_parser = compile_memory)]
    pub(super) max_compile_memory: usize,

    /// The most processor time that compiling a sink may take
    #[arg(long, env = "SLUICE_MAX_COMPILE_TIME", default_value = "120s", value_parser = units::duration)]
    pub(super) max_compile_time: Duration,

    /// Serve as the Consul of this machine's nodes, in this process [ADDR defaults to
    /// 127.0.0.1:8500]
    #[arg(
        long,
        env = "SLUICE_EMBEDDED_COORDINATOR",
        value_name = "ADDR",
        num_args = 0..=1,
        default_missing_value = COORDINATOR,
        value_parser = coordinator,
    )]
    pub(super) embedded_coordinator: Option<SocketAddr>,

    /// A name by which others reach the embedded coordinator, besides localhost and any address;
    /// repeatable
    #[arg(
        long,
        env = "SLUICE_COORDINATOR_HOST",
        value_name = "HOST",
        value_delimiter = ','
    )]
    pub(super) coordinator_host: Vec<String>,

    /// What an acknowledgement means: the sink has confirmed the record, or it is in the journal
    /// and will be delivered
    #[arg(long, env = "SLUICE_ACK", default_value = "sink", value_parser = ack())]
    pub(super) ack: Ack,

    /// Where the journal of --ack journal is: a directory, or the servers of a NATS JetStream
    /// cluster, as in nats://a,b,c; nats: alone takes them from NATS_URL
    /// [default: <data-dir>/journal]
    #[arg(
        long,
        env = "SLUICE_JOURNAL",
        value_name = "DIR|URLS",
        hide_env_values = true
    )]
    pub(super) journal: Option<String>,

    /// The most disk space that the journal may take, with --ack journal
    #[arg(long, env = "SLUICE_JOURNAL_BYTES", default_value = "1GiB", value_parser = journal_size)]
    pub(super) journal_bytes: usize,

    /// What to do with a message while another node leads
    #[arg(long, env = "SLUICE_FOLLOWER", default_value = "redirect")]
    pub(super) follower: Follower,

    /// How long a request of a standard protocol, such as OTLP or _bulk, waits for a leader or for
    /// room before its client is told to send it again
    #[arg(long, env = "SLUICE_PARK", default_value = "5s", value_parser = units::duration)]
    pub(super) park: Duration,

    /// Where syslog clients connect or send datagrams, such as tcp://0.0.0.0:601, udp://0.0.0.0:514 or
    /// tls://0.0.0.0:6514; repeatable [default: none]
    #[arg(
        long,
        env = "SLUICE_SYSLOG_LISTEN",
        value_name = "ADDRESS",
        value_delimiter = ','
    )]
    pub(super) syslog_listen: Vec<ListenAddress>,

    /// Where RELP clients connect, such as tcp://0.0.0.0:2514 or tls://0.0.0.0:2515; repeatable [default: none]
    #[arg(
        long,
        env = "SLUICE_RELP_LISTEN",
        value_name = "ADDRESS",
        value_delimiter = ','
    )]
    pub(super) relp_listen: Vec<ListenAddress>,

    /// Where clients of Fluent Forward connect, such as tcp://0.0.0.0:24224; over udp://, heartbeats
    /// are sent back; repeatable [default: none]
    #[arg(
        long,
        env = "SLUICE_FORWARD_LISTEN",
        value_name = "ADDRESS",
        value_delimiter = ','
    )]
    pub(super) forward_listen: Vec<ListenAddress>,

    /// Where GELF clients connect or send datagrams, such as tcp://0.0.0.0:12201 or
    /// udp://0.0.0.0:12201; repeatable [default: none]
    #[arg(
        long,
        env = "SLUICE_GELF_LISTEN",
        value_name = "ADDRESS",
        value_delimiter = ','
    )]
    pub(super) gelf_listen: Vec<ListenAddress>,

    /// The most connections of all these listeners together; further ones are closed
    #[arg(
        long,
        env = "SLUICE_MAX_LISTENER_CONNECTIONS",
        default_value_t = 10_000
    )]
    pub(super) max_listener_connections: usize,

    /// How many streams this node takes part in at most, the default one included
    #[arg(long, env = "SLUICE_MAX_STREAMS", default_value_t = 64)]
    pub(super) max_streams: usize,

    #[command(flatten)]
    pub(super) repeats: RepeatsArgs,

    /// The version that clients of Elasticsearch are told; Beats send to none that is older than
    /// they are
    #[arg(
        long,
        env = "SLUICE_ELASTICSEARCH_VERSION",
        value_name = "VERSION",
        default_value = "8.17.0",
        value_parser = elasticsearch_version
    )]
    pub(super) elasticsearch_version: String,

    /// The key of the lock [default: the cluster's name and /leader]
    #[arg(long, env = "SLUICE_LEADER_KEY", value_parser = key)]
    pub(super) leader_key: Option<String>,

    /// What that key holds: JSON, or the bare host for first-generation producers
    #[arg(long, env = "SLUICE_LEADER_VALUE", default_value = "json", value_parser = leader_value())]
    pub(super) leader_value: LeaderValue,

    /// How long a proof of leadership is valid (200ms to 60s, the same on all nodes)
    #[arg(long, env = "SLUICE_LEASE", default_value = "1s", value_parser = lease)]
    pub(super) lease: Duration,

    /// The time limit from a request to its answer
    #[arg(long, env = "SLUICE_REQUEST_TIMEOUT", default_value = "15s", value_parser = units::duration)]
    pub(super) request_timeout: Duration,

    /// How long requests may take to finish when the node ends
    #[arg(long, env = "SLUICE_DRAIN_TIMEOUT", default_value = "5s", value_parser = units::duration)]
    pub(super) drain_timeout: Duration,

    /// The largest body, also once decompressed
    #[arg(long, env = "SLUICE_MAX_BODY", default_value = "16MiB", value_parser = units::size)]
    pub(super) max_body: usize,

    /// The most records that may wait
    #[arg(long, env = "SLUICE_QUEUE_RECORDS", default_value_t = 100_000)]
    pub(super) queue_records: usize,

    /// The most bytes that may wait, in all streams together; each has a reserve of its own
    #[arg(long, env = "SLUICE_QUEUE_BYTES", default_value = "64MiB", value_parser = units::size)]
    pub(super) queue_bytes: usize,

    /// The most disk space for records that no sink takes
    #[arg(long, env = "SLUICE_DEAD_LETTER_BYTES", default_value = "64MiB", value_parser = units::size)]
    pub(super) dead_letter_bytes: usize,

    /// The most client connections; more wait to be accepted
    #[arg(long, env = "SLUICE_MAX_CONNECTIONS", default_value_t = 10_000)]
    pub(super) max_connections: usize,

    /// The most client connections from one IPv4 address or IPv6 /64 network, 0 for no limit; raise
    /// it where many clients share an address, as behind a load balancer [default: a quarter of all
    /// connections]
    #[arg(long, env = "SLUICE_MAX_CONNECTIONS_PER_SOURCE", value_name = "NUMBER")]
    pub(super) max_connections_per_source: Option<usize>,

    /// An origin whose web pages may send messages, such as https://app.example.com; repeatable
    /// [default: only pages of this node]
    #[arg(
        long,
        env = "SLUICE_ALLOW_ORIGIN",
        value_name = "ORIGIN",
        value_delimiter = ','
    )]
    pub(super) allow_origin: Vec<Origin>,

    /// A file with the token that clients must send as Authorization: Bearer <token>
    #[arg(long, env = "SLUICE_TOKEN_FILE")]
    pub(super) token_file: Option<PathBuf>,

    /// A TOML file of clients: their tokens' digests, what they may do, and how much
    #[arg(long, env = "SLUICE_TOKENS", value_name = "FILE")]
    pub(super) tokens: Option<PathBuf>,

    /// A file to which each refusal and each action of an administrator is appended, one line of
    /// JSON each [default: the node's log]
    #[arg(long, env = "SLUICE_AUDIT_LOG", value_name = "FILE")]
    pub(super) audit_log: Option<PathBuf>,

    /// The certificate chain (PEM) for HTTPS
    #[arg(long, env = "SLUICE_TLS_CERT")]
    pub(super) tls_cert: Option<PathBuf>,

    /// The key (PEM) for HTTPS
    #[arg(long, env = "SLUICE_TLS_KEY")]
    pub(super) tls_key: Option<PathBuf>,

    /// The authorities (PEM) whose certificates clients may show instead of a token
    #[arg(long, env = "SLUICE_TLS_CLIENT_CA", value_name = "FILE")]
    pub(super) tls_client_ca: Option<PathBuf>,

    /// The only authorities (PEM) that the certificates of other nodes may come from [default:
    /// those of the system]
    #[arg(long, env = "SLUICE_PEER_CA", value_name = "FILE")]
    pub(super) peer_ca: Option<PathBuf>,

    /// Write one line per acknowledged record: clock reading, epoch, sequence
    #[arg(long, env = "SLUICE_TRACE_ACKS", value_name = "FILE")]
    pub(super) trace_acks: Option<PathBuf>,

    /// The format of this node's own log on stderr [default: text on a terminal, else json]
    #[arg(long, env = "SLUICE_LOG_FORMAT")]
    pub(super) log_format: Option<LogFormat>,

    /// A TOML file with values for these flags
    #[arg(long, env = "SLUICE_CONFIG", value_name = "FILE")]
    pub(super) config: Option<PathBuf>,

    /// The most threads that serve connections; a further one is used only once requests have to
    /// wait [default: TOKIO_WORKER_THREADS, or one per core]
    #[arg(long, env = "SLUICE_THREADS", value_name = "NUMBER", value_parser = value_parser!(u16).range(1..=1024))]
    pub(super) threads: Option<u16>,

    /// Offer POST /bench/baseline, for benchmarks
    #[arg(long, env = "SLUICE_BENCH_BASELINE", hide = true)]
    pub(super) bench_baseline: bool,

    /// End when this process, which started the node, ends for any reason
    #[arg(long, value_name = "PID", hide = true)]
    pub(super) parent: Option<u32>,
}
