//! A Prometheus that scrapes nodes and evaluates the alert rules.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Cluster, Port, Process, SOON, START_LIMIT, deploy, eventually, http};

/// How long an alert waits before it fires, in these tests.
const FOR: &str = "        for: 2s";
/// For a fault to be seen, and the alert to fire.
const FIRES: Duration = Duration::from_secs(90);

/// Debian's `prometheus`, with the rules of docs/deploy.
#[derive(Debug)]
pub(crate) struct Prometheus {
    address: String,
    http: reqwest::Client,
    _process: Process,
    _folder: TempDir,
    _port: Port,
}

impl Prometheus {
    /// Scrapes all nodes of a cluster every second, and waits until it has seen
    /// them, and a leader among them.
    pub(crate) async fn of(cluster: &Cluster) -> Self {
        let (port, folder) = (Port::claim(), tempfile::tempdir().unwrap());
        let address = format!("127.0.0.1:{}", port.number);
        let rules = folder.path().join("rules.yml");
        fs::write(&rules, faster(&Self::rules())).unwrap();
        let targets: Vec<_> = cluster.nodes.iter().map(|node| &node.address).collect();
        // JSON is YAML.
        let config = json!({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [rules],
            "scrape_configs": [{
                "job_name": "sluice",
                "static_configs": [{"targets": targets}],
            }],
        });
        let file = folder.path().join("prometheus.yml");
        fs::write(&file, config.to_string()).unwrap();
        let mut command = Command::new(program());
        let data = folder.path().join("data");
        let command = command
            .arg(format!("--config.file={}", file.display()))
            .arg(format!("--storage.tsdb.path={}", data.display()))
            .arg(format!("--web.listen-address={address}"))
            .arg("--enable-feature=exemplar-storage");
        let prometheus = Self {
            _process: Process::start("prometheus", folder.path(), command),
            address,
            http: http(),
            _folder: folder,
            _port: port,
        };
        let all = targets.len().to_string();
        prometheus.sees("count(up == 1)", &all).await;
        prometheus.sees("max(sluice_leader)", "1").await;
        prometheus
    }

    /// The rules as they are installed.
    pub(crate) fn rules() -> String {
        fs::read_to_string(Self::rules_file()).unwrap()
    }

    pub(crate) fn rules_file() -> PathBuf {
        deploy("prometheus/sluice-alerts.yaml")
    }

    /// Waits until the query has one sample with this value.
    pub(crate) async fn sees(&self, query: &str, value: &str) {
        eventually(&format!("{query} is {value}"), START_LIMIT, || async {
            let answer = self.get("query", &[("query", query)]).await?;
            match &answer["data"]["result"][0]["value"][1] {
                seen if seen == value => Ok(()),
                _ => Err(answer.to_string()),
            }
        })
        .await;
    }

    /// The traces of exemplars that the query has in the last minute.
    pub(crate) async fn has_trace(&self, query: &str, trace: &str) {
        eventually("the trace arrives", START_LIMIT, || async {
            let now = jiff::Timestamp::now().as_second();
            let (start, end) = ((now - 300).to_string(), (now + 5).to_string());
            let range = [("query", query), ("start", &start), ("end", &end)];
            let answer = self.get("query_exemplars", &range).await?.to_string();
            match answer.contains(trace) {
                true => Ok(()),
                false => Err(answer),
            }
        })
        .await;
    }

    /// The alert with this name, if it is pending or fires.
    async fn alert(&self, name: &str) -> Result<Option<Value>, String> {
        let answer = self.get("alerts", &[]).await?;
        let alerts = answer["data"]["alerts"].as_array();
        let alerts = alerts.ok_or_else(|| answer.to_string())?;
        let is_it = |alert: &&Value| alert["labels"]["alertname"] == name;
        Ok(alerts.iter().find(is_it).cloned())
    }

    /// Waits until the alert does not fire, and is not about to. Until the first node
    /// is scraped, there is no leader.
    pub(crate) async fn is_quiet(&self, name: &str) {
        eventually(&format!("{name} is quiet"), SOON, || async {
            match self.alert(name).await? {
                None => Ok(()),
                Some(alert) => Err(alert.to_string()),
            }
        })
        .await;
    }

    /// Waits until the alert fires.
    pub(crate) async fn fires(&self, name: &str) {
        eventually(&format!("{name} fires"), FIRES, || async {
            match self.alert(name).await? {
                Some(alert) if alert["state"] == "firing" => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }

    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<Value, String> {
        let query = query
            .iter()
            .map(|(name, value)| format!("{name}={}", encoded(value)));
        let query = query.collect::<Vec<_>>().join("&");
        let url = format!("http://{}/api/v1/{path}?{query}", self.address);
        let answer = self.http.get(url).send().await;
        let answer = answer.map_err(|error| error.to_string())?;
        let answer = answer.json().await;
        answer.map_err(|error| error.to_string())
    }
}

/// The rules with shorter waits: alerts fire after 2 s, and are looked at each
/// second. Everything else stays as it is.
fn faster(rules: &str) -> String {
    let is_wait = |line: &str| line.starts_with("        for: ");
    let waits = rules.lines().filter(|line| is_wait(line)).count();
    assert_eq!(waits, 4, "in the rules");
    let interval = "    interval: 5s\n";
    assert_eq!(rules.matches(interval).count(), 1, "in the rules");
    let rules = rules.replace(interval, "    interval: 1s\n");
    let lines = rules.lines();
    let lines = lines.map(|line| if is_wait(line) { FOR } else { line });
    lines.map(|line| format!("{line}\n")).collect()
}

/// The text as a value in a query.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// The `prometheus` program.
fn program() -> PathBuf {
    std::env::var_os("PROMETHEUS").map_or("prometheus".into(), PathBuf::from)
}

/// The `promtool` program, which is beside it.
pub(crate) fn promtool() -> PathBuf {
    program().with_file_name("promtool")
}
