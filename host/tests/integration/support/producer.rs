//! The producer, and which of its messages were acknowledged.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::{Cluster, Process, SOON, eventually, programs};

/// A process that sends numbered messages, one at a time.
#[derive(Debug)]
pub(crate) struct Producer {
    pub(crate) process: Process,
}

impl Producer {
    /// Sends `Message: <from>`, `Message: <from + 1>` and so on, with this
    /// interval.
    pub(crate) fn start(cluster: &Cluster, name: &str, from: u64, interval: &str) -> Self {
        let mut command = Command::new(programs().join("sluice-producer"));
        command
            .env("CONSUL_HTTP_ADDR", &cluster.consul.address)
            .args([
                "--interval",
                interval,
                "--from",
                &from.to_string(),
                "--journal",
            ])
            .arg(cluster.folder.path().join(format!("{name}.journal")))
            .current_dir(cluster.folder.path());
        Self {
            process: Process::start(name, cluster.folder.path(), &mut command),
        }
    }

    /// The numbers of the messages that have been acknowledged so far.
    pub(crate) fn acknowledged(&self, cluster: &Cluster) -> BTreeSet<u64> {
        journal(cluster, &self.process.name)
    }

    /// Waits for this many more acknowledgements.
    pub(crate) async fn progresses(&self, cluster: &Cluster, by: usize) {
        let before = self.acknowledged(cluster).len();
        self.gets(cluster, before + by, SOON).await;
    }

    /// Waits until it has this many acknowledgements.
    pub(crate) async fn gets(&self, cluster: &Cluster, count: usize, within: Duration) {
        let what = format!("{} gets {count} acknowledgements", self.process.name);
        eventually(&what, within, || async {
            match self.acknowledged(cluster).len() {
                got if got >= count => Ok(()),
                got => Err(format!("it has {got}")),
            }
        })
        .await;
    }
}

/// The numbers in a producer's journal.
fn journal(cluster: &Cluster, name: &str) -> BTreeSet<u64> {
    let path = cluster.folder.path().join(format!("{name}.journal"));
    let text = std::fs::read_to_string(path).unwrap_or_default();
    // The last line may be half written.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| line.parse().unwrap()).collect()
}

/// A process of the load generator.
#[derive(Debug)]
pub(crate) struct Bench {
    process: Process,
}

impl Bench {
    pub(crate) fn start(cluster: &Cluster, name: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(programs().join("sluice-producer"));
        command
            .env("CONSUL_HTTP_ADDR", &cluster.consul.address)
            .args(["bench", "--json", "--journal"])
            .arg(cluster.folder.path().join(format!("{name}.journal")))
            .args(arguments)
            .current_dir(cluster.folder.path());
        Self {
            process: Process::start(name, cluster.folder.path(), &mut command),
        }
    }

    /// Waits until it exits. Returns its report and the acknowledged numbers.
    pub(crate) async fn finish(mut self, cluster: &Cluster) -> (Value, BTreeSet<u64>) {
        self.process.wait(Duration::from_secs(120)).await;
        let report = self.process.stdout();
        let report =
            serde_json::from_str(&report).unwrap_or_else(|error| panic!("{error}: {report}"));
        (report, journal(cluster, &self.process.name))
    }
}

impl Cluster {
    /// Panics unless an output has a line `Message: <number>`, with or without
    /// padding, for each of these numbers.
    pub(crate) fn holds(&self, numbers: &BTreeSet<u64>) {
        let output = self.output();
        let written: BTreeSet<u64> = output
            .lines()
            .filter_map(|line| line.strip_prefix("Message: "))
            .filter_map(|rest| rest.split(' ').next()?.parse().ok())
            .collect();
        let missing: Vec<_> = numbers.difference(&written).take(20).collect();
        assert!(
            missing.is_empty(),
            "acknowledged, but in no output: {missing:?} …"
        );
    }
}
