//! The replicated journal of a cluster: its NATS servers, what they and the nodes
//! take of memory and disk, and what the journal holds in the end.

use std::fmt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::{Ack, Cluster, Kind, NATS, NODES};
use crate::support::{START_LIMIT, eventually};

/// The stream of JetStream that holds the journal.
const LOG: &str = "sluice_sluice_default";
/// What JetStream may keep: the journal's limit, and 16 MiB.
const LOG_BYTES_MAX: u64 = (4 + 16) << 20;
/// What a server may have on disk: the log, Raft's own log of it, and snapshots of both.
const STORE_BYTES_MAX: u64 = 4 * LOG_BYTES_MAX;
/// What a node may have on disk: its sink and marks, but no records.
const DATA_BYTES_MAX: u64 = 32 << 20;
/// The resident memory that a node may ever have taken.
const MEMORY_BYTES_MAX: u64 = 256 << 20;
/// The time between questions whether a NATS server is whole.
const WHOLE_INTERVAL: Duration = Duration::from_millis(200);
/// How long the sink may take to get what the journal holds in the end.
const DELIVERED: Duration = Duration::from_secs(60);

/// The most that anything took so far, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sizes {
    log: u64,
    store: u64,
    data: u64,
    memory: u64,
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[expect(clippy::cast_precision_loss, reason = "for people")]
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let Self {
            log,
            store,
            data,
            memory,
        } = *self;
        write!(
            f,
            "at most {:.1} MiB in JetStream, {:.1} MiB on the disk of a NATS server, {:.1} MiB on that of \
             a node, {:.0} MiB of a node's memory",
            mib(log),
            mib(store),
            mib(data),
            mib(memory),
        )
    }
}

impl Cluster {
    pub(super) const JOURNAL_BYTES: &str = "4MiB";

    pub(super) async fn start_nats(&mut self) {
        let hosts: Vec<_> = NATS
            .iter()
            .zip(41..)
            .map(|(name, place)| self.lan.host(name, place))
            .collect();
        for host in hosts {
            self.add(&host.name.clone(), Kind::Nats, host, None);
        }
        self.nats_is_whole().await;
    }

    /// What `--journal` names.
    pub(super) fn journal_url(&self) -> String {
        let hosts = NATS.map(|name| format!("{}:4222", self.lan.named(name).address));
        format!("nats://{}", hosts.join(","))
    }

    /// Waits until every NATS server serves, and has what was stored before.
    pub(crate) async fn nats_is_whole(&self) {
        if self.ack != Ack::Replicated {
            return;
        }
        let mut stored = 0;
        for name in self.running(Kind::Nats) {
            stored = stored.max(self.log_of(&name).await.map_or(0, |log| last(&log)));
        }
        for name in NATS {
            eventually(&format!("{name} is whole"), START_LIMIT, || async {
                let is_whole = self.is_whole(name, stored).await;
                if is_whole.is_err() {
                    // Servers write a line to their logs each time.
                    tokio::time::sleep(WHOLE_INTERVAL).await;
                }
                is_whole
            })
            .await;
        }
    }

    /// Whether a NATS server serves, and has what was stored up to this message.
    async fn is_whole(&self, server: &str, stored: u64) -> Result<(), String> {
        let health = self.ask_nats(server, "healthz").await?;
        if health["status"] != "ok" {
            return Err(health.to_string());
        }
        match self.log_of(server).await {
            Ok(log) if last(&log) < stored => Err(format!(
                "it lacks messages up to {stored}: {}",
                log["state"]
            )),
            Err(reason) if stored > 0 => Err(reason),
            _ => Ok(()),
        }
    }

    /// The NATS server that leads the journal's log now, if any does.
    pub(crate) async fn nats_leader_now(&self) -> Option<String> {
        for name in self.running(Kind::Nats) {
            let log = self.log_of(&name).await.ok();
            let leader = log.and_then(|log| Some(log["cluster"]["leader"].as_str()?.to_owned()));
            if let Some(leader) = leader.filter(|leader| NATS.contains(&leader.as_str())) {
                return Some(leader);
            }
        }
        None
    }

    /// The log as a server describes it.
    async fn log_of(&self, server: &str) -> Result<Value, String> {
        let all = self
            .ask_nats(server, "jsz?accounts=true&streams=true&config=true")
            .await?;
        let accounts = all["account_details"].as_array().into_iter().flatten();
        let mut logs =
            accounts.flat_map(|account| account["stream_detail"].as_array().into_iter().flatten());
        let found = logs.find(|log| log["name"] == LOG);
        found.cloned().ok_or_else(|| format!("{server} has no log"))
    }

    async fn ask_nats(&self, server: &str, path: &str) -> Result<Value, String> {
        let address = self.lan.named(server).address;
        self.get(format!("http://{address}:8222/{path}")).await
    }

    /// Notes what a running node has taken.
    pub(super) fn measure_node(&mut self, name: &str) {
        let member = self.member(name);
        if self.ack != Ack::Replicated || member.kind != Kind::Node {
            return;
        }
        let memory = member
            .process
            .as_ref()
            .map_or(0, |process| peak_memory(process.pid()));
        let data = size_of(&self.data(name));
        self.sizes.memory = self.sizes.memory.max(memory);
        self.sizes.data = self.sizes.data.max(data);
    }

    /// Fails if anything takes more memory or disk than it may.
    pub(crate) async fn stays_within_bounds(&mut self) {
        if self.ack != Ack::Replicated {
            return;
        }
        for node in NODES {
            self.measure_node(node);
        }
        for server in NATS {
            let log = self.log_of(server).await.unwrap_or_default();
            let bytes = log["state"]["bytes"].as_u64().unwrap_or_default();
            self.sizes.log = self.sizes.log.max(bytes);
            self.sizes.store = self.sizes.store.max(size_of(&self.data(server)));
        }
        let Sizes {
            log,
            store,
            data,
            memory,
        } = self.sizes;
        assert!(
            log <= LOG_BYTES_MAX
                && store <= STORE_BYTES_MAX
                && data <= DATA_BYTES_MAX
                && memory <= MEMORY_BYTES_MAX,
            "{}",
            self.sizes
        );
    }

    /// A node's machine is gone for good, with its data and its agent. What is
    /// started in its place is another node on an empty disk.
    pub(crate) fn lose_machine(&mut self, node: &str) {
        for member in [node.to_owned(), format!("{node}-agent")] {
            self.kill(&member);
            self.forget(&member);
            self.member_mut(&member).lost += 1;
        }
    }

    /// Waits until the sink has everything that the journal holds, once nobody sends
    /// anything more.
    pub(super) async fn everything_is_delivered(&self) {
        eventually("everything is delivered", DELIVERED, || async {
            let leader = self.leads().await?;
            let journal = self.status(&leader).await?["journal"].take();
            match journal["records"] == 0 {
                true => Ok(()),
                false => Err(journal.to_string()),
            }
        })
        .await;
    }

    /// Fails unless `sluice journal verify` finds nothing wrong, and nothing that
    /// is to be delivered.
    pub(super) fn journal_is_whole(&self) {
        let output = Command::new(env!("CARGO_BIN_EXE_sluice"))
            .args(["journal", "verify", "--journal", &self.journal_url()])
            .output()
            .expect("run `sluice journal verify`");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(
            output.status.success() && out.contains("whole") && out.contains("to deliver 0"),
            "{}: {out}{err}",
            output.status
        );
    }
}

fn last(log: &Value) -> u64 {
    log["state"]["last_seq"].as_u64().unwrap_or_default()
}

/// The most resident memory that a process ever had; 0 if it is gone.
fn peak_memory(pid: rustix::process::Pid) -> u64 {
    let path = format!("/proc/{}/status", pid.as_raw_nonzero());
    let status = std::fs::read_to_string(path).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.unwrap_or_default() << 10
}

/// The size of all files below a folder. Files may vanish meanwhile.
fn size_of(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(about) if about.is_dir() => size_of(&entry.path()),
        Ok(about) => about.len(),
        Err(_) => 0,
    });
    sizes.sum()
}
