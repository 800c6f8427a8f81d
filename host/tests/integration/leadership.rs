//! How a tenure ends: interference with the lock's key, planned hand-overs, and
//! which node leads next.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{Bench, Cluster, Consul, Node, Options, SOON, eventually, guest, sluice};
use crate::swap::without_probation;

impl Cluster {
    async fn epoch(&self) -> u64 {
        let status = self.node(self.leader().await).status().await.unwrap();
        status["epoch"].as_u64().unwrap()
    }

    /// Waits until a node leads under a later epoch.
    async fn leads_after(&self, epoch: u64) -> usize {
        eventually("a node leads under a later epoch", SOON, || async {
            let leader = self.leader().await;
            match self.node(leader).status().await?["epoch"].as_u64() {
                Some(now) if now > epoch => Ok(leader),
                now => Err(format!("{now:?}")),
            }
        })
        .await
    }

    /// Waits until the key of each of these nodes says whether it could lead.
    pub(crate) async fn able(&self, expected: &[(&str, bool)]) {
        for (node, able) in expected {
            eventually(&format!("{node} says {able}"), SOON, || async {
                let value = self.consul.value(&format!("sluice/nodes/{node}")).await?;
                let state: Value = serde_json::from_str(&value).map_err(|e| e.to_string())?;
                if state["able"] == *able {
                    Ok(())
                } else {
                    Err(value)
                }
            })
            .await;
        }
    }

    async fn lock(&self) -> Value {
        self.consul.key("sluice/leader").await.unwrap()
    }
}

/// How long a winner waits, unless the lock that it found was released as
/// clean: 1.25 leases of 1 s.
const WINNER_WAIT: Duration = Duration::from_millis(1250);

fn session(lock: &Value) -> &str {
    lock["Session"].as_str().unwrap()
}

/// Interferes with the lock, and waits until the leader has stepped down and a
/// node acknowledges under a later epoch. Returns how long that took.
async fn is_noticed(
    cluster: &Cluster,
    what: &str,
    interfere: impl AsyncFnOnce(&Value),
) -> Duration {
    let epoch = cluster.epoch().await;
    let leader = cluster.node(cluster.leader().await);
    let lock = cluster.lock().await;
    let began = Instant::now();
    interfere(&lock).await;
    let took = serves_after(cluster, epoch, began, what).await;
    let has_stepped_down = |status: &Value| status["epoch"].as_u64() > Some(epoch);
    let what = format!("{what}: {} has stepped down", leader.name);
    leader.until(&what, has_stepped_down).await;
    took
}

/// Waits until a node acknowledges under a later epoch. Prints and returns the
/// time since `began`.
async fn serves_after(cluster: &Cluster, epoch: u64, began: Instant, what: &str) -> Duration {
    let next = cluster.leads_after(epoch).await;
    let (status, body) = cluster.node(next).log("after").await;
    assert_eq!(status, 200, "{what}: {body}");
    let took = began.elapsed();
    println!("{what}: acknowledged again after {took:?}");
    took
}

#[tokio::test]
async fn whatever_becomes_of_the_lock_is_noticed() {
    let cluster = Cluster::on_consul(2, &[]).await;
    let consul = &cluster.consul;
    let destroyed = is_noticed(&cluster, "the session is destroyed", async |lock| {
        let path = format!("session/destroy/{}", session(lock));
        consul.put(&path, "").await;
    })
    .await;
    let deleted = is_noticed(&cluster, "the lock's key is deleted", async |_| {
        consul.delete("kv/sluice/leader").await;
    })
    .await;
    // The leader's session still holds the lock, so the leader releases it as
    // clean, and the next one need not wait.
    is_noticed(&cluster, "the key is overwritten", async |_| {
        consul.put("kv/sluice/leader", "someone else").await;
    })
    .await;
    let released = is_noticed(&cluster, "the lock is released", async |lock| {
        let path = format!("kv/sluice/leader?release={}", session(lock));
        consul.put(&path, "gone").await;
    })
    .await;
    for took in [destroyed, deleted, released] {
        assert!(took >= WINNER_WAIT, "the winner did not wait: {took:?}");
    }
    let value = consul.value("sluice/leader").await.unwrap();
    assert!(value.contains("\"address\""), "not repaired: {value}");
}

#[tokio::test]
async fn a_lock_that_another_session_took_by_hand_is_left_to_it() {
    let cluster = Cluster::on_consul(2, &[]).await;
    let consul = &cluster.consul;
    let epoch = cluster.epoch().await;
    let leader = cluster.node(cluster.leader().await);
    let made = consul.put("session/create", r#"{"LockDelay":"0s"}"#).await;
    let made: Value = serde_json::from_str(&made).unwrap();
    let other = made["ID"].as_str().unwrap();
    let steps = json!([
        {"KV": {"Verb": "delete", "Key": "sluice/leader"}},
        {"KV": {"Verb": "lock", "Key": "sluice/leader", "Value": "eA==", "Session": other}},
    ]);
    let began = Instant::now();
    consul.put("txn", &steps.to_string()).await;
    leader
        .until("the leader follows", |status| status["role"] == "follower")
        .await;
    println!(
        "taken by hand: the leader stops after {:?}",
        began.elapsed()
    );
    for node in &cluster.nodes {
        node.until("no node leads", |status| status["role"] == "follower")
            .await;
        let (status, body) = node.log("x").await;
        assert!([307, 503].contains(&status), "{status} {body}");
    }
    assert_eq!(session(&cluster.lock().await), other);
    let began = Instant::now();
    consul.put(&format!("session/destroy/{other}"), "").await;
    let took = serves_after(&cluster, epoch, began, "taken by hand, then free").await;
    assert!(took >= WINNER_WAIT, "the winner did not wait: {took:?}");
}

/// Two nodes that are ready to lead, with the sink that obeys messages.
async fn misbehaving() -> Cluster {
    let file = guest("misbehave");
    let (plugin, folder) = (
        format!("file://{}", file.display()),
        file.parent().unwrap().display().to_string(),
    );
    let cluster = Cluster::on_consul(2, &["--plugin", &plugin, "--plugin-dir", &folder]).await;
    cluster.able(&[("a", true), ("b", true)]).await;
    cluster
}

#[tokio::test]
async fn a_leader_that_its_sink_calls_fenced_is_succeeded_by_another() {
    let cluster = misbehaving().await;
    let leader = cluster.node(cluster.leader().await).name.clone();
    let epoch = cluster.epoch().await;
    let began = Instant::now();
    let fenced = cluster.node(cluster.leader().await).log("fence");
    let served = serves_after(&cluster, epoch, began, "the sink calls the node fenced");
    let ((status, body), _) = tokio::join!(fenced, served);
    assert_eq!(status, 504, "{body}");
    assert_ne!(cluster.node(cluster.leader().await).name, leader);
}

#[tokio::test]
async fn a_hand_over_under_load_loses_nothing_and_leaves_nothing_unknown() {
    let cluster = Cluster::on_consul(3, &[]).await;
    let arguments = ["--duration", "4s", "--connections", "8"];
    let load = Bench::start(&cluster, "load", &arguments);
    let leader = cluster.node(cluster.leader().await);
    leader
        .until("the load has started", |status| {
            status["counters"]["acknowledged"].as_u64() > Some(100)
        })
        .await;
    let (code, stdout, stderr) = sluice(&cluster, &["step-down"]).await;
    assert_eq!(code, Some(0), "{stderr}");
    let next = cluster.node(cluster.leads_after(1).await);
    assert_ne!(next.name, leader.name);
    let expected = format!("{} leads now, epoch 2, ", next.name);
    assert!(stdout.starts_with(&expected), "{stdout}");
    let (report, numbers) = load.finish(&cluster).await;
    assert_eq!(report["unknown"], 0, "{report}");
    assert!(numbers.len() > 200, "{report}");
    cluster.holds(&numbers);
}

#[tokio::test]
async fn who_handed_over_leads_again_when_the_next_one_ends() {
    let mut cluster = Cluster::on_consul(2, &[]).await;
    cluster.able(&[("a", true), ("b", true)]).await;
    let first = cluster.node(cluster.leader().await).name.clone();
    let (code, _, stderr) = sluice(&cluster, &["step-down"]).await;
    assert_eq!(code, Some(0), "{stderr}");
    let next = cluster.leads_after(1).await;
    assert_ne!(cluster.node(next).name, first);
    let handed_over = Instant::now();
    cluster.nodes[next].process.terminate().await;
    drop(cluster.nodes.remove(next));
    let last = cluster.leader().await;
    assert_eq!(cluster.node(last).name, first);
    let took = handed_over.elapsed();
    assert!(
        took < Duration::from_secs(8),
        "the node did not campaign: {took:?}"
    );
}

#[tokio::test]
async fn a_hand_over_to_a_node_goes_to_that_node() {
    let cluster = Cluster::on_consul(3, &[]).await;
    cluster.able(&[("a", true), ("b", true), ("c", true)]).await;
    // A node that stepped down pauses, but takes over if it is named.
    for name in ["b", "c"] {
        let leader = cluster.leader().await;
        if cluster.node(leader).name == name {
            continue;
        }
        let (code, stdout, stderr) = sluice(&cluster, &["step-down", "--to", name]).await;
        assert_eq!(code, Some(0), "{stderr}");
        assert!(stdout.starts_with(&format!("{name} leads now")), "{stdout}");
        let wish = cluster.consul.key("sluice/next").await.unwrap();
        assert!(wish.is_null(), "the winner deletes it: {wish}");
    }
}

#[tokio::test]
async fn a_node_that_does_not_take_what_it_is_given_holds_nobody_up_for_long() {
    let cluster = Cluster::on_consul(3, &[]).await;
    cluster.able(&[("a", true), ("b", true), ("c", true)]).await;
    let leader = cluster.leader().await;
    let wanted = cluster.node((leader + 1) % 3);
    let other = cluster.node((leader + 2) % 3);
    wanted.process.signal(Signal::STOP);
    let (code, stdout, stderr) = sluice(&cluster, &["step-down", "--to", &wanted.name]).await;
    wanted.process.signal(Signal::CONT);
    assert_eq!(code, Some(1), "{stdout}");
    let expected = format!("{} leads now", other.name);
    assert!(stderr.contains(&expected), "{stderr}");
}

#[tokio::test]
async fn what_is_under_way_is_finished_before_a_hand_over() {
    let cluster = misbehaving().await;
    let leader = cluster.node(cluster.leader().await);
    let slow = leader.log("slow");
    let hand_over = async {
        leader
            .until("the message is in flight", |status| {
                status["queue"]["records"] == 1
            })
            .await;
        sluice(&cluster, &["step-down"]).await
    };
    let ((status, body), (code, stdout, stderr)) = tokio::join!(slow, hand_over);
    assert_eq!(status, 200, "{body}");
    assert_eq!(code, Some(0), "{stdout}{stderr}");
}

#[tokio::test]
async fn a_hand_over_that_can_not_be_says_why() {
    let mut cluster = Cluster::empty(Consul::agent().await, &[]);
    let fails = async |cluster: &Cluster, arguments: &[&str], expected: &str| {
        let arguments = [&["step-down"], arguments].concat();
        let (code, stdout, stderr) = sluice(cluster, &arguments).await;
        assert_eq!(code, Some(1), "{arguments:?}: {stdout}{stderr}");
        assert!(stderr.contains(expected), "{arguments:?}: {stderr}");
    };
    fails(&cluster, &[], "there is none at the moment").await;
    cluster.add("a").await;
    cluster.leader().await;
    cluster.able(&[("a", true)]).await;
    fails(&cluster, &[], "no other node is ready to lead").await;
    fails(&cluster, &["--to", "a"], "it already leads").await;
    fails(&cluster, &["--to", "z"], "no such node; there are a").await;
    // A leader that cannot be reached.
    let made = cluster.consul.put("session/create", "{}").await;
    let made: Value = serde_json::from_str(&made).unwrap();
    let holder = made["ID"].as_str().unwrap();
    let lock = r#"{"node":"x","address":"127.0.0.1:1"}"#;
    for (key, value) in [
        (format!("leader?acquire={holder}"), lock),
        ("epoch".to_owned(), "1"),
        ("nodes/y".to_owned(), r#"{"node":"y"}"#),
        ("secret".to_owned(), "secret"),
    ] {
        cluster.consul.put(&format!("kv/other/{key}"), value).await;
    }
    let expected = "the leader x to step down: it cannot be reached at 127.0.0.1:1";
    fails(&cluster, &["--cluster", "other"], expected).await;
}

#[tokio::test]
async fn a_node_without_the_sink_that_is_asked_for_leaves_the_lock_to_those_that_have_it() {
    let mut cluster = Cluster::empty(Consul::agent().await, &[]);
    let folder = cluster.folder.path().join("plugins");
    fs::create_dir(&folder).unwrap();
    let file = folder.join("mine.wasm");
    fs::copy(guest("misbehave"), &file).unwrap();
    // Sinks come from the node's working directory, unless another is given.
    let elsewhere = tempfile::tempdir().unwrap();
    let elsewhere = elsewhere.path().display().to_string();
    cluster.add("a").await;
    cluster.leader().await;
    let lacking = Options::with(&["--plugin-dir", &elsewhere]);
    cluster.add_with("b", lacking).await;
    cluster.add("c").await;
    let manifest = format!("file://{}", file.display());
    cluster.consul.put("kv/sluice/plugin", &manifest).await;
    // Until then, a node may still be able by its old sink.
    for node in cluster.nodes.iter().filter(|node| node.name != "b") {
        node.until("it has the sink", |status| {
            status["plugin"]["active"]["source"] == manifest
        })
        .await;
    }
    cluster
        .able(&[("a", true), ("b", false), ("c", true)])
        .await;
    // On a busy machine b may already have led when the sink was asked for.
    if cluster.node(cluster.leader().await).name == "b" {
        sluice(&cluster, &["step-down"]).await;
    }
    let (code, _, stderr) = sluice(&cluster, &["step-down", "--to", "b"]).await;
    assert_eq!(code, Some(1));
    let expected = "make b the leader: it is not ready to lead: failed to";
    assert!(stderr.contains(expected), "{stderr}");
    while cluster.nodes.len() > 1 {
        let leader = cluster.leader().await;
        assert_ne!(cluster.node(leader).name, "b");
        cluster.nodes[leader].process.terminate().await;
        drop(cluster.nodes.remove(leader));
    }
    let last = cluster.node(cluster.leader().await);
    assert_eq!(last.log("x").await.0, 200, "b leads if no other node can");
}

#[tokio::test]
async fn a_take_over_neither_reads_nor_compiles_the_sink() {
    let mut cluster = Cluster::on_consul(2, &[]).await;
    let folder = cluster.folder.path().join("plugins");
    fs::create_dir(&folder).unwrap();
    let file = folder.join("mine.wasm");
    fs::copy(guest("misbehave"), &file).unwrap();
    let manifest = format!("file://{}", file.display());
    cluster.ask(&without_probation(&manifest)).await;
    let leader = cluster.leader().await;
    let is_mine = |status: &Value| status["plugin"]["active"]["source"] == manifest;
    for node in &cluster.nodes {
        node.until("its sink is prepared", is_mine).await;
    }
    let follower = 1 - leader;
    // Now it has nothing left to read or compile.
    let data = cluster.folder.path().join("data");
    let own = data.join(&cluster.node(follower).name);
    eventually("the follower keeps what the leader runs", SOON, || async {
        let kept = fs::read_to_string(own.join("plugin/last-good.json"));
        match kept {
            Ok(kept) if kept.contains("mine.wasm") => Ok(()),
            kept => Err(format!("{kept:?}")),
        }
    })
    .await;
    fs::remove_file(&file).unwrap();
    for kept in ["plugin", "compiled"] {
        for entry in fs::read_dir(own.join(kept)).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
    }
    cluster.nodes[leader].process.kill();
    let killed = Instant::now();
    drop(cluster.nodes.remove(leader));
    let next: &Node = cluster.node(cluster.leader_within(Duration::from_secs(20)).await);
    let took = killed.elapsed();
    assert_eq!(next.log("after").await.0, 200);
    next.wrote(" after attempt 1").await;
    let status = next.status().await.unwrap();
    assert!(is_mine(&status), "after {took:?}: {status}");
}
