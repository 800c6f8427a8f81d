//! `sluice plugin`.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::Value;
use serde_json::value::RawValue;
use thiserror::Error;
use tokio::time::Instant;

use super::failure::Failure;
use super::{runtime, units};
use crate::plugin::{DirectoryWanted, LimitsWanted, Manifest, Permissions};
use sluice_consul as consul;
use sluice_consul::Client;
use sluice_types::documents::{ActiveDocument, NodeDocument, NodeSink};
use sluice_types::plugin::PluginPhase;

pub(super) const EXAMPLES: &str = "\
Examples:
  sluice plugin use builtin:stdout --config '{\"format\":\"json\"}' --wait
  sluice plugin use file:///plugins/file.wasm --dir audit:/logs:rw \\
      --config '{\"path\":\"/logs/messages.ndjson\"}' --wait
  sluice plugin status

What `use` writes is the key <cluster>/plugin, which `consul kv put` can write as well.
Whoever can write that key can run code on every node, inside the sandbox.";

const USE_EXAMPLES: &str = "\
Examples:
  sluice plugin use builtin:stdout --wait
  sluice plugin use file:///plugins/mine.wasm --config '{\"prefix\":\"> \"}' --wait
  sluice plugin use ./mine.wasm --sha256 \"$(sha256sum mine.wasm | cut -c-64)\"
  sluice plugin use file:///plugins/file.wasm --dir audit:/logs:rw \\
      --config '{\"path\":\"/logs/messages.ndjson\"}'

A path without file:// is made absolute on this machine; the nodes must find it under the same name.
The exit code is 0 if the manifest was written and, with --wait, every node has taken it up.";

const STATUS_EXAMPLES: &str = "\
Examples:
  sluice plugin status         what is asked for, what runs, and each node
  sluice plugin status --json

The exit code is 0 if what is asked for is what runs, else 1.";

const LOOK: Duration = Duration::from_millis(100);
/// How long the nodes are shown without --wait.
const GLANCE: Duration = Duration::from_secs(3);
/// How long a node's error must last: a file may still be on its way to it.
const GRACE: Duration = Duration::from_secs(2);

#[derive(Debug, Subcommand)]
pub(super) enum PluginCommand {
    /// Ask all nodes for another sink
    #[command(after_help = USE_EXAMPLES)]
    Use(UseArgs),
    /// Show which sink is asked for, which one runs, and how far each node is
    #[command(after_help = STATUS_EXAMPLES)]
    Status(StatusArgs),
}

#[derive(Debug, Args)]
pub(super) struct UseArgs {
    /// builtin:stdout, file:///path/of/a/component.wasm, or a path
    source: String,

    /// JSON for the sink's open
    #[arg(long, value_name = "JSON")]
    config: Option<String>,

    /// The digest that the component must have
    #[arg(long, value_name = "HEX")]
    sha256: Option<String>,

    /// A directory for the sink, HOST:GUEST or HOST:GUEST:rw; repeatable. A relative HOST lies below
    /// each node's <data-dir>/files
    #[arg(long, value_name = "HOST:GUEST[:rw]", value_parser = directory)]
    dir: Vec<DirectoryWanted>,

    /// An environment variable for the sink; repeatable
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    env: Vec<(String, String)>,

    /// The most memory that the sink may use, in MiB
    #[arg(long, value_name = "MIB")]
    memory_mib: Option<u32>,

    /// The time for one call into the sink
    #[arg(long, value_name = "DURATION", value_parser = units::duration)]
    write_timeout: Option<Duration>,

    /// Wait until every node has taken it up
    #[arg(long)]
    wait: bool,

    /// How long to wait
    #[arg(long, default_value = "60s", value_parser = units::duration)]
    timeout: Duration,

    /// The cluster's name
    #[arg(long, env = "SLUICE_CLUSTER", default_value = "sluice")]
    cluster: String,
}

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,

    /// The cluster's name
    #[arg(long, env = "SLUICE_CLUSTER", default_value = "sluice")]
    cluster: String,
}

#[derive(Debug, Error)]
enum PluginCommandError {
    #[error("read --config: it is not JSON")]
    Config(#[source] serde_json::Error),
    #[error(
        "use {0:?}: there is no such file here; give builtin:stdout, a path, or \
         file:///absolute/path.wasm as the nodes see it"
    )]
    NoFile(String),
    #[error("find the file {file}")]
    File {
        file: String,
        #[source]
        cause: std::io::Error,
    },
    #[error(
        "write {0}: somebody else has just written it; look at it with `sluice plugin status`, \
         then try again"
    )]
    Overtaken(String),
    #[error(
        "find a node of the cluster {0}: none has a key below {0}/nodes/; is the name right, and \
         are nodes running?"
    )]
    NoNodes(String),
}

fn directory(text: &str) -> Result<DirectoryWanted, String> {
    let (rest, write) = match (text.strip_suffix(":rw"), text.strip_suffix(":ro")) {
        (Some(rest), _) => (rest, true),
        (_, Some(rest)) => (rest, false),
        _ => (text, false),
    };
    match rest.split_once(':') {
        Some((host, guest)) if !host.is_empty() && guest.starts_with('/') => Ok(DirectoryWanted {
            host: host.to_owned(),
            guest: guest.to_owned(),
            write,
        }),
        _ => Err("expected HOST:/GUEST or HOST:/GUEST:rw, for example audit:/logs:rw".to_owned()),
    }
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

pub(super) fn run(command: &PluginCommand) -> Result<ExitCode, Failure> {
    runtime::block_on(async {
        let client = Client::new(consul::Config::from_env()?)?;
        match command {
            PluginCommand::Use(args) => args.run(&client).await,
            PluginCommand::Status(args) => args.run(&client).await,
        }
    })
}

impl UseArgs {
    async fn run(&self, client: &Client) -> Result<ExitCode, Failure> {
        let manifest = self.manifest()?;
        let key = format!("{}/plugin", self.cluster);
        let before = client.read(&key, None).await?.value;
        let value = manifest.to_string();
        if before
            .as_ref()
            .is_some_and(|entry| entry.value == value.as_bytes())
        {
            println!("{key} asks for it already");
        } else {
            let index = before.map_or(0, |entry| entry.modify_index);
            if !client
                .check_and_set(&key, index, value.clone().into())
                .await?
            {
                return Err(PluginCommandError::Overtaken(key).into());
            }
            println!("wrote {key}: {value}");
        }
        let written = client.read(&key, None).await?.value;
        let ours = written.filter(|entry| entry.value == value.as_bytes());
        let index = ours.ok_or(PluginCommandError::Overtaken(key))?.modify_index;
        self.follow(client, index).await
    }

    fn manifest(&self) -> Result<Manifest, Failure> {
        let source = match Path::new(&self.source) {
            path if path.is_file() => {
                let path = std::path::absolute(path).map_err(|cause| PluginCommandError::File {
                    file: self.source.clone(),
                    cause,
                })?;
                format!("file://{}", path.display())
            }
            _ if !self.source.contains(':') => {
                return Err(PluginCommandError::NoFile(self.source.clone()).into());
            }
            _ => self.source.clone(),
        };
        let config = match &self.config {
            Some(text) => {
                let raw = RawValue::from_string(text.clone());
                raw.map_err(PluginCommandError::Config)?.get().to_owned()
            }
            None => String::new(),
        };
        let manifest = Manifest {
            sha256: self.sha256.clone(),
            config,
            permissions: Permissions {
                dirs: self.dir.clone(),
                env: self.env.iter().cloned().collect(),
                ..Permissions::default()
            },
            limits: LimitsWanted {
                memory_mib: self.memory_mib,
                write_timeout_ms: self
                    .write_timeout
                    .map(|timeout| u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX)),
                concurrency: None,
            },
            ..Manifest::of(source.parse()?)
        };
        // By the very rules that the nodes read it by.
        Ok(manifest.to_string().parse()?)
    }

    /// Shows what becomes of the nodes until they are all done.
    async fn follow(&self, client: &Client, index: u64) -> Result<ExitCode, Failure> {
        let patience = if self.wait { self.timeout } else { GLANCE };
        let deadline = Instant::now() + patience;
        let mut shown = BTreeMap::new();
        let mut failing_since: Option<Instant> = None;
        loop {
            let is_late = Instant::now() >= deadline;
            let look = match Look::at(client, &self.cluster).await {
                Ok(look) => look,
                Err(error) if is_late => return Err(error),
                // A Consul that changes its leader is back in a moment.
                Err(_) => {
                    tokio::time::sleep(LOOK).await;
                    continue;
                }
            };
            if look.index() != index {
                return Err(
                    PluginCommandError::Overtaken(format!("{}/plugin", self.cluster)).into(),
                );
            }
            for (node, line) in look.lines(index) {
                if shown.get(&node) != Some(&line) {
                    println!("{line}");
                    shown.insert(node, line);
                }
            }
            let verdict = look.verdict(index);
            failing_since = match verdict {
                Verdict::Failed => failing_since.or_else(|| Some(Instant::now())),
                Verdict::Done | Verdict::Open => None,
            };
            let has_failed = failing_since.is_some_and(|since| since.elapsed() >= GRACE);
            match verdict {
                Verdict::Done => return Ok(ExitCode::SUCCESS),
                Verdict::Failed if has_failed && self.wait => {
                    eprintln!("sluice: not every node can run it; the sink before goes on");
                    return Ok(ExitCode::FAILURE);
                }
                Verdict::Failed if has_failed => return Ok(ExitCode::SUCCESS),
                Verdict::Failed | Verdict::Open if !is_late => tokio::time::sleep(LOOK).await,
                Verdict::Failed | Verdict::Open if !self.wait => {
                    println!("still under way; see `sluice plugin status`");
                    return Ok(ExitCode::SUCCESS);
                }
                Verdict::Failed | Verdict::Open if look.nodes.is_empty() => {
                    return Err(PluginCommandError::NoNodes(self.cluster.clone()).into());
                }
                Verdict::Failed | Verdict::Open => {
                    eprintln!("sluice: not every node has taken it up within {patience:?}");
                    return Ok(ExitCode::FAILURE);
                }
            }
        }
    }
}

impl StatusArgs {
    async fn run(&self, client: &Client) -> Result<ExitCode, Failure> {
        let look = Look::at(client, &self.cluster).await?;
        if self.json {
            println!("{}", serde_json::to_string(&look.json())?);
        } else {
            print!("{}", look.table(&self.cluster));
        }
        Ok(match look.verdict(look.index()) {
            Verdict::Done => ExitCode::SUCCESS,
            Verdict::Failed | Verdict::Open => ExitCode::FAILURE,
        })
    }
}

/// What Consul holds about the sinks.
struct Look {
    /// The key's index and text.
    asked: Option<(u64, String)>,
    active: Option<(ActiveDocument, Value)>,
    nodes: Vec<Node>,
}

/// A node that says how far its sink is.
struct Node {
    name: String,
    sink: NodeSink,
    error: Option<String>,
    /// The document as it is in Consul.
    value: Value,
}

impl Node {
    fn read(document: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(document).ok()?;
        let NodeDocument {
            node, error, sink, ..
        } = serde_json::from_value(value.clone()).ok()?;
        Some(Self {
            name: node,
            sink: sink?,
            error,
            value,
        })
    }
}

/// How far the nodes are with what is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Done,
    Failed,
    Open,
}

impl Look {
    async fn at(client: &Client, cluster: &str) -> Result<Self, Failure> {
        let (plugin, active, nodes) = (
            format!("{cluster}/plugin"),
            format!("{cluster}/active"),
            format!("{cluster}/nodes/"),
        );
        let (plugin, active, nodes) = tokio::try_join!(
            client.read(&plugin, None),
            client.read(&active, None),
            client.list(&nodes, None)
        )?;
        let asked = plugin.value.and_then(|entry| {
            let text = String::from_utf8_lossy(&entry.value).trim().to_owned();
            (!text.is_empty()).then_some((entry.modify_index, text))
        });
        let active = active.value.and_then(|entry| {
            let value: Value = serde_json::from_slice(&entry.value).ok()?;
            Some((serde_json::from_value(value.clone()).ok()?, value))
        });
        let nodes = nodes.value.iter();
        let nodes = nodes.filter_map(|entry| Node::read(&entry.value));
        Ok(Self {
            asked,
            active,
            nodes: nodes.collect(),
        })
    }

    /// Of what is asked for; 0 if that is the nodes' own `--plugin`.
    fn index(&self) -> u64 {
        self.asked.as_ref().map_or(0, |(index, _)| *index)
    }

    fn verdict(&self, index: u64) -> Verdict {
        let mut nodes = self.nodes.iter();
        let has_failed =
            |node: &Node| node.sink.index == index && node.error.is_some() && !node.sink.retrying;
        if nodes.clone().any(has_failed) {
            return Verdict::Failed;
        }
        let is_ready = |node: &Node| {
            let sink = &node.sink;
            let is_up = matches!(sink.state, PluginPhase::Prepared | PluginPhase::Running);
            is_up && node.error.is_none() && (sink.index, sink.plugin_index) == (index, index)
        };
        let runs = |(active, _): &(ActiveDocument, Value)| {
            active.index == index && active.state == PluginPhase::Running
        };
        match self.active.as_ref().is_some_and(runs) && nodes.all(is_ready) {
            true => Verdict::Done,
            false => Verdict::Open,
        }
    }

    /// A line for each node that has seen the key.
    fn lines(&self, index: u64) -> Vec<(String, String)> {
        let line = |node: &Node| {
            let Node { name, sink, .. } = node;
            let source = sink.desired.source.as_deref().unwrap_or("the sink");
            match &node.error {
                Some(error) => format!("{name}: {}", red(error)),
                None if sink.state == PluginPhase::Preparing => {
                    format!("{name}: preparing {source}")
                }
                // The one before, so far.
                None if sink.plugin_index != index => format!("{name}: opening {source}"),
                None => {
                    let NodeSink { plugin, state, .. } = sink;
                    let digest = short(&plugin.sha256);
                    format!("{name}: {} {} {digest}", word(*state), plugin.source)
                }
            }
        };
        let seen = self.nodes.iter().filter(|node| node.sink.index == index);
        seen.map(|node| (node.name.clone(), line(node))).collect()
    }

    fn json(&self) -> Value {
        let asked = self.asked.as_ref().map(|(index, text)| {
            let manifest = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text.clone()));
            serde_json::json!({ "index": index, "manifest": manifest })
        });
        serde_json::json!({
            "asked": asked,
            "active": self.active.as_ref().map(|(_, value)| value),
            "nodes": self.nodes.iter().map(|node| &node.value).collect::<Vec<_>>(),
        })
    }

    fn table(&self, cluster: &str) -> String {
        let mut text = match &self.asked {
            Some((_, asked)) => format!("asked for: {asked}\n"),
            None => {
                format!("asked for: nothing ({cluster}/plugin is empty: each node's --plugin)\n")
            }
        };
        match &self.active {
            Some((active, _)) => text.push_str(&format!(
                "active:    {} {} {} on {} since {}\n           {}\n\n",
                active.plugin.source,
                short(&active.plugin.sha256),
                word(active.state),
                active.node,
                active.since,
                active.why
            )),
            None => text.push_str("active:    no leader has run a sink yet\n\n"),
        }
        let mut rows = vec![["NODE", "STATE", "PLUGIN", "SHA-256"].map(str::to_owned)];
        for node in &self.nodes {
            let sink = &node.sink;
            let state = if sink.index == self.index() {
                word(sink.state).to_owned()
            } else {
                "not seen yet".to_owned()
            };
            rows.push([
                node.name.clone(),
                state,
                sink.plugin.source.clone(),
                short(&sink.plugin.sha256).to_owned(),
            ]);
            if let Some(error) = &node.error {
                rows.push(["", error, "", ""].map(str::to_owned));
            }
        }
        text.push_str(&super::table::align(&rows));
        if self.nodes.is_empty() {
            text.push_str("no node has said anything yet; start one with: sluice node\n");
        }
        text
    }
}

const fn word(state: PluginPhase) -> &'static str {
    match state {
        PluginPhase::Preparing => "preparing",
        PluginPhase::Prepared => "prepared",
        PluginPhase::Opening => "opening",
        PluginPhase::Running => "running",
        PluginPhase::Failed => "failed",
    }
}

/// Enough of a digest to tell it by.
fn short(sha256: &str) -> &str {
    sha256.get(..12).unwrap_or(sha256)
}

fn red(text: &str) -> String {
    if std::io::stdout().is_terminal() {
        format!("\u{1b}[31m{text}\u{1b}[0m")
    } else {
        text.to_owned()
    }
}
