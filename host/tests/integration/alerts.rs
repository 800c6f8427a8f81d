//! Each alert of docs/deploy/prometheus fires in a real Prometheus when its fault
//! is made, and not before.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::journal;
use crate::support::{Cluster, Kind, Prometheus, SOON, eventually, guest, promtool};

/// The names of all alerts, in the order of the file.
fn names() -> Vec<String> {
    let rules = Prometheus::rules();
    let names = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    names.map(str::to_owned).collect()
}

#[test]
fn the_rules_are_valid_and_each_has_a_summary_a_description_and_a_runbook() {
    let mut command = Command::new(promtool());
    let command = command.args(["check", "rules"]);
    let output = command.arg(Prometheus::rules_file()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let rules = Prometheus::rules();
    let mut parts = rules.split("- alert: ");
    parts.next();
    let manual = include_str!("../../../docs/operating.md");
    let headings: BTreeSet<_> = manual
        .lines()
        .filter_map(|l| l.strip_prefix("### "))
        .collect();
    for rule in parts {
        let name = rule.lines().next().unwrap();
        for wanted in ["summary: ", "description: ", "severity: "] {
            assert_eq!(rule.matches(wanted).count(), 1, "{wanted}of {name}");
        }
        let anchor = name.to_lowercase();
        let runbook = format!("runbook: docs/operating.md#{anchor}\n");
        assert!(rule.contains(&runbook), "{name}");
        assert!(headings.contains(name), "{name} is not in the manual");
    }
    assert_eq!(names().len(), 6);
}

/// One of two clusters is not scraped any more, and one never had a leader.
#[test]
fn each_cluster_has_its_own_alert_of_no_leader() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("test.yml");
    let series = |job: &str, values: &str| {
        json!({
            "series": format!("sluice_leader{{job=\"{job}\",stream=\"default\",instance=\"a\"}}"),
            "values": values,
        })
    };
    let alert = |job: &str| {
        json!({
            "exp_labels": {"severity": "critical", "job": job, "stream": "default"},
            "exp_annotations": {
                "summary": format!("No node leads stream default of {job}"),
                "description": "For 10 s no node could acknowledge. Clients are told to send again, or wait.",
                "runbook": "docs/operating.md#sluicenoleader",
            },
        })
    };
    let at = |eval_time: &str, alerts: serde_json::Value| json!({"eval_time": eval_time, "alertname": "SluiceNoLeader", "exp_alerts": alerts});
    let tests = json!({
        "rule_files": [Prometheus::rules_file()],
        "evaluation_interval": "5s",
        "tests": [{
            "interval": "5s",
            "input_series": [
                series("well", "1x100"),
                series("gone", "1x10 stale"),
                series("follows", "0x100"),
            ],
            "alert_rule_test": [
                at("45s", json!([alert("follows")])),
                at("3m", json!([alert("follows"), alert("gone")])),
            ],
        }],
    });
    std::fs::write(&file, tests.to_string()).unwrap();
    let mut command = Command::new(promtool());
    let output = command.args(["test", "rules"]).arg(&file).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[tokio::test]
async fn no_leader() {
    if !Kind::is_consul_for("an outage without a coordinator in a node") {
        return;
    }
    let mut cluster = Cluster::on_consul(2, &[]).await;
    let prometheus = Prometheus::of(&cluster).await;
    prometheus.is_quiet("SluiceNoLeader").await;
    let leader = cluster.leader().await;
    cluster.consul.stop();
    cluster.nodes[leader].process.kill();
    prometheus.fires("SluiceNoLeader").await;
}

#[tokio::test]
async fn the_journal_is_half_full() {
    let cluster = journal::cluster(1, "always busy", &["--journal-bytes", "1MiB"]).await;
    let prometheus = Prometheus::of(&cluster).await;
    prometheus.is_quiet("SluiceJournalHalfFull").await;
    let message = "x".repeat(10_000);
    let mut taken = 0;
    while taken < 60 {
        let (status, body) = cluster.node(0).log(&message).await;
        assert_eq!(status, 200, "{body}");
        taken += 1;
    }
    prometheus.fires("SluiceJournalHalfFull").await;
}

#[tokio::test]
async fn dead_letters_arrive() {
    let cluster = journal::cluster(1, "", &[]).await;
    let prometheus = Prometheus::of(&cluster).await;
    prometheus.is_quiet("SluiceDeadLetters").await;
    let dead = "sluice_records_dead_lettered_total";
    prometheus.sees(dead, "0").await;
    // It was acknowledged before the sink sees it, so it becomes a dead letter.
    assert_eq!(cluster.node(0).log("refuse").await.0, 200);
    prometheus.fires("SluiceDeadLetters").await;
}

#[tokio::test]
async fn a_roll_out_fails() {
    let source = format!("file://{}", guest("misbehave").display());
    let folder = guest("misbehave").parent().unwrap().display().to_string();
    let cluster = Cluster::start(2, &["--plugin-dir", &folder]).await;
    let prometheus = Prometheus::of(&cluster).await;
    prometheus.is_quiet("SluiceRolloutFailed").await;
    let manifest = json!({"source": source, "config": "refuse to open"});
    cluster
        .consul
        .put("kv/sluice/plugin", &manifest.to_string())
        .await;
    prometheus.fires("SluiceRolloutFailed").await;
    // The sink before goes on.
    cluster.acknowledged("still there").await;
}

#[tokio::test]
async fn the_delivery_stalls() {
    let arguments = ["--request-timeout", "1s"];
    let cluster = journal::cluster(1, "always stuck", &arguments).await;
    let prometheus = Prometheus::of(&cluster).await;
    prometheus.is_quiet("SluiceDeliveryStalled").await;
    assert_eq!(cluster.node(0).log("stuck").await.0, 200);
    prometheus.fires("SluiceDeliveryStalled").await;
}

#[tokio::test]
async fn renewals_of_the_lease_are_late() {
    if !Kind::is_consul_for("an agent that is frozen for a moment") {
        return;
    }
    let cluster = Cluster::on_consul(1, &["--lease", "2s"]).await;
    let prometheus = Prometheus::of(&cluster).await;
    prometheus.is_quiet("SluiceLeaseRenewalsLate").await;
    let late = "sluice_lease_renewals_late_total";
    let before = cluster.node(0).metric(late).await;
    prometheus.sees(late, &before.to_string()).await;
    // Longer than two thirds of the lease, and shorter than all of it.
    let freeze = Duration::from_millis(1500);
    eventually("renewals are late", 3 * SOON, || async {
        cluster.consul.signal(Signal::STOP);
        tokio::time::sleep(freeze).await;
        cluster.consul.signal(Signal::CONT);
        cluster.leader().await;
        match cluster.node(0).metric(late).await {
            count if count >= before + 4 => Ok(()),
            count => Err(count.to_string()),
        }
    })
    .await;
    prometheus.fires("SluiceLeaseRenewalsLate").await;
}
