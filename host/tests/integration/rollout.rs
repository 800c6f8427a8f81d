//! New manifests that turn out to be bad, under load: the predecessor comes
//! back by itself, nothing acknowledged is lost, and nobody tries them again.

use std::fs;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::support::{Bench, Cluster, Consul, Node, Options, SOON, eventually, guest, sluice};

/// The time within which a predecessor is back, on a machine that does nothing
/// else.
const BACK: Duration = Duration::from_secs(2);
/// The same on a busy machine, on which tests run.
const BACK_BUSY: Duration = Duration::from_secs(10);

/// What the log says when a sink takes over, when it is in doubt, and when it has
/// failed.
const TAKES_OVER: &str = "the new sink takes the records";
const IN_DOUBT: &str = "the new sink is in doubt";
const HAS_FAILED: &str = "the new sink has failed";

/// Ways to be bad: what the sink is, its config, and what the reason names.
const BAD: [(&str, &str, &str); 7] = [
    ("traps at once", "plainly trap-after 0", "trapped"),
    (
        "traps after 1000 records",
        "plainly trap-after 1000",
        "trapped",
    ),
    ("does not open", "refuse to open", "told not to open"),
    ("traps in open", "trap in open", "trapped"),
    (
        "is ten times slower",
        "plainly sleep-per-record 10",
        "too slow",
    ),
    ("refuses everything", "plainly refuse", "refuses 100.0 %"),
    ("never delivers", "always busy", "busy"),
];

/// What the leader says about its sink.
async fn active(cluster: &Cluster) -> Result<Value, String> {
    let value = cluster.consul.value("sluice/active").await?;
    serde_json::from_str(&value).map_err(|error| error.to_string())
}

/// Waits until the leader says this about its sink.
async fn leader_says(cluster: &Cluster, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    eventually(what, SOON, || async {
        let active = active(cluster).await?;
        match is_so(&active) {
            true => Ok(active),
            false => Err(active.to_string()),
        }
    })
    .await
}

/// The times of the lines of a node's log that have this text.
fn times(node: &Node, text: &str) -> Vec<SystemTime> {
    let log = node.process.stderr();
    let lines = log.lines().filter(|line| line.contains(text));
    lines.map(time).collect()
}

fn time(line: &str) -> SystemTime {
    let start = line.find("20").unwrap_or_else(|| panic!("no time: {line}"));
    let end = start + line[start..].find('Z').expect("a time in UTC") + 1;
    let time: jiff::Timestamp = line[start..end].parse().unwrap();
    time.into()
}

/// How long it took from the trouble to the predecessor's return, and from the
/// change of sinks to the trouble, as the leader's log says. An `open` that fails
/// changes nothing.
fn timing(node: &Node, changes_before: usize, doubts_before: usize) -> (Duration, Duration) {
    let changes = times(node, TAKES_OVER).split_off(changes_before);
    let doubts = times(node, IN_DOUBT).split_off(doubts_before);
    let failed = *times(node, HAS_FAILED).last().unwrap();
    let trouble = *doubts.last().unwrap_or(&failed);
    let Some(back) = changes.iter().find(|change| **change >= trouble) else {
        assert!(changes.is_empty(), "the predecessor is back: {changes:?}");
        return Default::default();
    };
    let since = changes.iter().rfind(|change| **change < trouble);
    let passed = |from, to: SystemTime| to.duration_since(from).unwrap();
    (passed(trouble, *back), passed(*since.unwrap(), trouble))
}

/// Starts three nodes, each with a directory of sinks of its own besides the
/// common one.
async fn start(names: &[&str]) -> Cluster {
    let mut cluster = Cluster::empty(Consul::agent().await, &[]);
    let common = cluster.plugins();
    for name in names {
        let own = own_plugins(&cluster, name);
        let mut arguments = vec!["--plugin-dir", own.to_str().unwrap()];
        arguments.extend(["--plugin-dir", common.to_str().unwrap()]);
        cluster.add_with(name, Options::with(&arguments)).await;
    }
    cluster.leader().await;
    cluster
}

fn own_plugins(cluster: &Cluster, name: &str) -> std::path::PathBuf {
    let folder = cluster.folder.path().join("own-plugins").join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Rolls a bad manifest out, and waits until its predecessor is back.
async fn assert_gives_way(
    cluster: &Cluster,
    good: &str,
    (what, config, reason): (&str, &str, &str),
) {
    let leader = cluster.node(cluster.leader().await);
    let changes = times(leader, TAKES_OVER).len();
    let doubts = times(leader, IN_DOUBT).len();
    let component = cluster.plugins().join("rollout.wasm");
    let source = format!("file://{}", component.display());
    let bad = json!({"source": source, "config": config}).to_string();
    cluster.ask(&bad).await;
    let says = leader_says(cluster, &format!("what {what} gives way"), |active| {
        let failed = active["failed"]["manifest"].as_str().unwrap_or_default();
        failed.contains(config) && active["manifest"] == good
    })
    .await;
    assert_eq!(says["state"], "running", "{says}");
    let said = says["failed"]["reason"].as_str().unwrap();
    assert!(said.contains(reason), "{what}: {said}");
    let (back, trouble) = timing(leader, changes, doubts);
    println!("{what}: trouble after {trouble:?}, and the predecessor was back {back:?} later");
    assert!(back < BACK_BUSY, "{what}: {back:?}");
    if back > BACK {
        println!("{what}: that is longer than {BACK:?}: is this machine busy?");
    }
    for node in &cluster.nodes {
        node.until("each node knows why", |status| {
            let error = status["plugin"]["error"].as_str().unwrap_or_default();
            error.contains(reason)
        })
        .await;
    }
    let (code, status, _) = sluice(cluster, &["plugin", "status"]).await;
    assert_eq!(code, Some(1), "{status}");
    assert!(status.contains(reason), "{what}: {status}");
}

#[tokio::test]
async fn a_bad_manifest_gives_way_to_its_predecessor_and_is_not_tried_again() {
    let mut cluster = start(&["a", "b", "c"]).await;
    let source = cluster.plugin("misbehave", "rollout.wasm");
    let good = json!({
        "source": source,
        "config": "plainly sleep-per-record 1",
        "rollout": {"probation_s": 0},
    })
    .to_string();
    cluster.ask(&good).await;
    cluster.all_run(&source).await;
    let says = leader_says(&cluster, "the good one runs", |active| {
        active["source"] == source
    });
    let good = says.await["manifest"].as_str().unwrap().to_owned();
    let load = Bench::start(
        &cluster,
        "load",
        &["--connections", "16", "--duration", "45s", "--rate", "400"],
    );
    let old = cluster.leader().await;
    cluster
        .node(old)
        .until("the load is on", |status| {
            status["counters"]["acknowledged"].as_u64() > Some(400)
        })
        .await;
    for bad in BAD {
        assert_gives_way(&cluster, &good, bad).await;
    }
    one_that_is_not_on_all_nodes_waits(&cluster, &good).await;
    assert_gives_way(&cluster, &good, BAD[0]).await;

    assert_eq!(rejected(cluster.node(old)).await, 0);

    // The next leader knows it from Consul.
    let changes = times(cluster.node(old), TAKES_OVER).len();
    cluster.nodes[old].process.kill();
    let gone = cluster.nodes.remove(old);
    let next = cluster.node(cluster.leader().await);
    let says = leader_says(&cluster, "the next leader runs the good one", |active| {
        active["node"] == next.name && active["manifest"] == good
    })
    .await;
    assert!(
        says["failed"]["reason"]
            .as_str()
            .unwrap()
            .contains("trapped")
    );
    let (report, acknowledged) = load.finish(&cluster).await;
    assert!(acknowledged.len() > 5000, "{report}");
    assert_eq!(rejected(next).await, 0, "{report}");
    let tried = times(next, TAKES_OVER);
    assert!(tried.is_empty(), "it has tried nothing else: {tried:?}");
    assert_eq!(next.metric("sluice_sink_rollbacks_total").await, 0);
    assert_eq!(times(&gone, TAKES_OVER).len(), changes);
    cluster.nodes.push(gone);
    cluster.holds(&acknowledged);
}

/// How many records the node's sinks have refused for good.
async fn rejected(node: &Node) -> u64 {
    let status = node.status().await.unwrap();
    status["counters"]["rejected"].as_u64().unwrap()
}

/// A manifest for all nodes that only the leader can prepare.
async fn one_that_is_not_on_all_nodes_waits(cluster: &Cluster, good: &str) {
    let leader = cluster.node(cluster.leader().await);
    let file = own_plugins(cluster, &leader.name).join("only.wasm");
    fs::copy(guest("stdout"), &file).unwrap();
    let source = format!("file://{}", file.display());
    let manifest = json!({"source": source, "rollout": {"wait": "all"}});
    cluster.ask(&manifest.to_string()).await;
    let others = cluster.nodes.iter().filter(|node| node.name != leader.name);
    let others: Vec<_> = others.map(|node| node.name.clone()).collect();
    let says = leader_says(cluster, "the leader waits for the others", |active| {
        active["waits_for"] == json!(others) && active["manifest"] == good
    })
    .await;
    assert_eq!(says["state"], "running", "{says}");
    let (_, status, _) = sluice(cluster, &["plugin", "status"]).await;
    let waits = format!("waits for: {}", others.join(", "));
    assert!(status.contains(&waits), "{status}");
    assert!(status.contains("--plugin-dir"), "{status}");
}

#[tokio::test]
async fn a_manifest_for_all_goes_live_once_the_node_that_lacks_it_is_gone() {
    let mut cluster = start(&["a", "b"]).await;
    let leader = cluster.leader().await;
    let name = cluster.node(leader).name.clone();
    let file = own_plugins(&cluster, &name).join("only.wasm");
    fs::copy(guest("stdout"), &file).unwrap();
    let source = format!("file://{}", file.display());
    let rollout = json!({"wait": "all", "probation_s": 1});
    let manifest = json!({"source": source, "rollout": rollout}).to_string();
    cluster.ask(&manifest).await;
    let lacking = cluster.follower().await;
    let other = cluster.node(lacking).name.clone();
    leader_says(&cluster, "the leader waits for the other", |active| {
        active["waits_for"] == json!([other]) && active["source"] == "builtin:stdout"
    })
    .await;
    cluster.nodes[lacking].process.kill();
    leader_says(&cluster, "it goes live", |active| {
        active["source"] == source
    })
    .await;
    leader_says(&cluster, "it passes its probation", |active| {
        active["source"] == source && active["probation"].is_null()
    })
    .await;
}

#[tokio::test]
async fn what_has_failed_is_tried_again_when_somebody_asks_for_it_again() {
    let cluster = start(&["a"]).await;
    let source = cluster.plugin("misbehave", "again.wasm");
    let ask = ["plugin", "use", &source, "--config", r#""refuse to open""#];
    for failures in [1, 2, 3] {
        eventually("it is asked for again", SOON, || async {
            // What is not known to have failed is already asked for.
            let (_, output, _) = sluice(&cluster, &ask).await;
            match output.contains("wrote sluice/plugin") {
                true => Ok(()),
                false => Err(output),
            }
        })
        .await;
        eventually("it fails again", SOON, || async {
            match times(cluster.node(0), HAS_FAILED).len() {
                count if count == failures => Ok(()),
                count => Err(count.to_string()),
            }
        })
        .await;
    }
}
