//! Election and take-over, and the effect of Consul's failures on them.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::support::{Bench, Cluster, Consul, Options, Producer, SOON, eventually};
use rustix::process::Signal;

#[tokio::test]
async fn one_of_three_leads_and_the_others_know() {
    let cluster = Cluster::on_consul(3, &[]).await;
    let leader = cluster.leader().await;
    let leader = cluster.node(leader);
    for node in &cluster.nodes {
        eventually("each node names the leader and is ready", SOON, || async {
            let status = node.status().await?;
            let role = if node.name == leader.name {
                "leader"
            } else {
                "follower"
            };
            let ready = cluster.http.get(node.url("/readyz")).send().await;
            let ready = ready.map_err(|error| error.to_string())?.status();
            let expected = status["leader"]["address"] == leader.address
                && status["role"] == role
                && status["epoch"] == 1
                && ready == 200;
            if expected {
                Ok(())
            } else {
                Err(format!("{ready} {status}"))
            }
        })
        .await;
    }
    let lock = cluster.consul.key("sluice/leader").await.unwrap();
    assert!(lock["Session"].is_string(), "{lock}");
    assert_eq!(lock["Flags"], 1000);
    let value = cluster.consul.value("sluice/leader").await.unwrap();
    let expected = format!(
        r#"{{"node":"{}","address":"{}"}}"#,
        leader.name, leader.address
    );
    assert_eq!(value, expected);
    assert_eq!(cluster.consul.value("sluice/epoch").await.unwrap(), "1");
    eventually("the registrations are as documented", SOON, || async {
        let services = cluster.consul.get("catalog/service/sluice").await?;
        let tagged: Vec<_> = services
            .as_array()
            .unwrap()
            .iter()
            .map(|service| {
                (
                    service["ServiceID"].as_str().unwrap(),
                    service["ServiceTags"].to_string(),
                )
            })
            .collect();
        let right = tagged.len() == 3
            && tagged.iter().all(|(id, tags)| {
                let leads = *id == format!("sluice-{}", leader.name);
                tags == if leads { "[\"leader\"]" } else { "[]" }
            });
        let keys = cluster.consul.get("kv/sluice/nodes/?keys").await?;
        let keyed = keys.as_array().map_or(0, Vec::len) == 3;
        if right && keyed {
            Ok(())
        } else {
            Err(format!("{tagged:?} {keys}"))
        }
    })
    .await;
}

#[tokio::test]
async fn a_leader_that_is_told_to_end_hands_over_at_once() {
    let mut cluster = Cluster::on_consul(3, &[]).await;
    let producers = [
        Producer::start(&cluster, "p1", 1, "5ms"),
        Producer::start(&cluster, "p2", 1_000_000, "5ms"),
    ];
    for round in 2..4 {
        for producer in &producers {
            producer.progresses(&cluster, 50).await;
        }
        let leader = cluster.leader().await;
        let status = cluster.nodes[leader].process.terminate().await;
        assert_eq!(status.code(), Some(0));
        let name = cluster.nodes[leader].name.clone();
        let ended = cluster.nodes.remove(leader);
        let next = cluster.leader().await;
        assert_eq!(cluster.node(next).status().await.unwrap()["epoch"], round);
        for producer in &producers {
            producer.progresses(&cluster, 50).await;
        }
        // Restarted under the same name, so that its earlier output counts.
        drop(ended);
        cluster.add(&name).await;
    }
    for mut producer in producers {
        producer.process.terminate().await;
        cluster.holds(&producer.acknowledged(&cluster));
    }
}

#[tokio::test]
async fn a_leader_that_is_killed_is_succeeded() {
    let mut cluster = Cluster::on_consul(3, &[]).await;
    let mut producer = Producer::start(&cluster, "p", 1, "5ms");
    producer.progresses(&cluster, 50).await;
    let leader = cluster.leader().await;
    cluster.nodes[leader].process.kill();
    producer.progresses(&cluster, 50).await;
    let (report, numbers) =
        Bench::start(&cluster, "load", &["--duration", "1s", "--from", "1000000"])
            .finish(&cluster)
            .await;
    assert_eq!(report["unknown"], 0, "{report}");
    producer.process.terminate().await;
    cluster.holds(&producer.acknowledged(&cluster));
    cluster.holds(&numbers);
}

#[tokio::test]
async fn load_through_a_hand_over_loses_nothing_acknowledged() {
    let mut cluster = Cluster::on_consul(3, &[]).await;
    let load = Bench::start(
        &cluster,
        "load",
        &["--duration", "4s", "--connections", "8"],
    );
    let leader = cluster.leader().await;
    eventually("the load has started", SOON, || async {
        let status = cluster.node(leader).status().await?;
        let acknowledged = status["counters"]["acknowledged"].as_u64().unwrap();
        if acknowledged > 100 {
            Ok(())
        } else {
            Err(status.to_string())
        }
    })
    .await;
    assert_eq!(
        cluster.nodes[leader].process.terminate().await.code(),
        Some(0)
    );
    let (report, numbers) = load.finish(&cluster).await;
    assert!(numbers.len() > 200, "{report}");
    cluster.holds(&numbers);
}

#[tokio::test]
async fn consul_away_with_its_state_kept_is_survived() {
    let mut cluster = Cluster::on(Consul::server().await, 2, &["--request-timeout", "1s"]).await;
    let leader = cluster.leader().await;
    let (status, _) = cluster.node(leader).log("Message: 1").await;
    assert_eq!(status, 200);
    cluster.consul.stop();
    cluster
        .node(leader)
        .until("the leader is suspended", |status| {
            status["role"] == "suspended"
        })
        .await;
    let (status, body) = cluster.node(leader).log("Message: 2").await;
    assert_eq!(status, 503, "{body}");
    cluster.consul.restart().await;
    let leader = cluster.acknowledged("Message: 3").await;
    cluster.node(leader).wrote("Message: 3").await;
    assert!(!cluster.output().contains("Message: 2"));
}

#[tokio::test]
async fn a_consul_that_lost_its_state_gets_the_epoch_continued() {
    let mut cluster = Cluster::on_consul(2, &[]).await;
    let leader = cluster.leader().await;
    cluster.nodes[leader].process.terminate().await;
    let gone = cluster.nodes.remove(leader);
    let before = cluster.leader().await;
    assert_eq!(cluster.node(before).status().await.unwrap()["epoch"], 2);
    cluster.consul.restart().await;
    eventually("the node leads under a higher epoch", SOON, || async {
        let status = cluster.node(0).status().await?;
        match (status["role"].as_str(), status["epoch"].as_u64()) {
            (Some("leader"), Some(3..)) => Ok(()),
            _ => Err(status.to_string()),
        }
    })
    .await;
    assert_eq!(cluster.node(0).log("Message: 1").await.0, 200);
    drop(gone);
}

#[tokio::test]
async fn a_node_waits_for_a_consul_that_is_not_there_yet() {
    let mut consul = Consul::agent().await;
    consul.stop();
    let mut cluster = Cluster::empty(consul, &["--advertise", "127.0.0.1"]);
    let process = cluster.spawn("early", Options::default());
    let address = cluster.served_by(&process).await;
    for (path, expected) in [
        ("healthz", (200, "OK")),
        ("readyz", (503, "no session with Consul")),
    ] {
        let request = cluster.http.get(format!("http://{address}/{path}"));
        let answer = request.send().await.unwrap();
        let (status, body) = (answer.status().as_u16(), answer.text().await.unwrap());
        assert_eq!((status, body.as_str()), expected, "{path}");
    }
    cluster.consul.restart().await;
    eventually("the node takes the lock once Consul runs", SOON, || async {
        let lock = cluster.consul.key("sluice/leader").await?;
        if lock["Session"].is_string() {
            Ok(())
        } else {
            Err(lock.to_string())
        }
    })
    .await;
}

#[tokio::test]
async fn a_lock_that_is_deleted_or_overwritten_by_hand_ends_the_tenure() {
    let cluster = Cluster::on_consul(2, &[]).await;
    cluster.leader().await;
    for epoch in 2..4 {
        match epoch {
            2 => cluster.consul.delete("kv/sluice/leader").await,
            _ => drop(cluster.consul.put("kv/sluice/leader", "someone else").await),
        }
        eventually("a node leads under the next epoch", SOON, || async {
            let leader = cluster.leader().await;
            let status = cluster.node(leader).status().await?;
            if status["epoch"] == epoch {
                Ok(())
            } else {
                Err(status.to_string())
            }
        })
        .await;
    }
}

#[tokio::test]
async fn no_acknowledgement_is_given_while_consul_can_not_confirm_the_lock() {
    let cluster =
        Cluster::on_consul(1, &["--request-timeout", "1500ms", "--trace-acks", "acks"]).await;
    let node = cluster.node(0);
    assert_eq!(node.log("Message: 1").await.0, 200);
    cluster.consul.signal(Signal::STOP);
    node.until("the lease runs out", |status| status["role"] == "suspended")
        .await;
    let (status, body) = node.log("Message: 2").await;
    assert_eq!(status, 503, "{body}");
    cluster.consul.signal(Signal::CONT);
    cluster.acknowledged("Message: 3").await;
    let trace = std::fs::read_to_string(cluster.folder.path().join("acks")).unwrap();
    let acks: Vec<Vec<u64>> = trace
        .lines()
        .map(|line| {
            line.split(' ')
                .map(|number| number.parse().unwrap())
                .collect()
        })
        .collect();
    assert_eq!(acks.len(), 2, "{trace}");
    assert!(acks[0][0] < acks[1][0], "{trace}");
}

#[tokio::test]
async fn requests_that_wait_through_a_short_outage_are_acknowledged_after_it() {
    let cluster = Cluster::on_consul(1, &["--request-timeout", "20s"]).await;
    let node = cluster.node(0);
    cluster.consul.signal(Signal::STOP);
    node.until("the lease runs out", |status| status["role"] == "suspended")
        .await;
    let waiting = node.log("Message: 1");
    let resume = async {
        node.until("the message waits", |status| {
            status["queue"]["records"] == 1
        })
        .await;
        cluster.consul.signal(Signal::CONT);
    };
    let (answer, ()) = tokio::join!(waiting, resume);
    assert_eq!(answer.0, 200, "{}", answer.1);
}

#[tokio::test]
async fn a_data_directory_serves_one_node() {
    let cluster = Cluster::on_consul(1, &[]).await;
    let mut second = cluster.spawn("a", Options::default());
    assert_eq!(second.wait(SOON).await.code(), Some(1));
    assert!(
        second.stderr().contains("another node is using it"),
        "{}",
        second.stderr()
    );
}

#[tokio::test]
async fn status_shows_the_cluster() {
    let cluster = Cluster::on_consul(2, &[]).await;
    let leader = cluster.leader().await;
    cluster.follower().await;
    eventually("the table shows both nodes", SOON, || async {
        let output = cluster.command().arg("status").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let leads = format!(
            "{} leads at {}",
            cluster.node(leader).name,
            cluster.node(leader).address
        );
        let right = text.contains(&leads) && text.contains("follower") && output.status.success();
        if right { Ok(()) } else { Err(text) }
    })
    .await;
    let output = cluster
        .command()
        .args(["status", "--json"])
        .output()
        .unwrap();
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["leader"]["node"], cluster.node(leader).name);
    assert_eq!(json["nodes"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn a_node_that_ends_leaves_nothing_in_consul() {
    let mut cluster = Cluster::on_consul(1, &[]).await;
    cluster.nodes[0].process.terminate().await;
    let lock = cluster.consul.key("sluice/leader").await.unwrap();
    assert!(lock["Session"].is_null(), "{lock}");
    assert_eq!(lock["Flags"], 1, "released cleanly");
    let services = cluster.consul.get("catalog/service/sluice").await.unwrap();
    assert_eq!(services.to_string(), "[]");
    let nodes = cluster.consul.get("kv/sluice/nodes/?keys").await.unwrap();
    assert!(nodes.is_null(), "{nodes}");
    let sessions = cluster.consul.get("session/list").await.unwrap();
    assert_eq!(sessions.to_string(), "[]");
}

#[tokio::test]
async fn a_second_of_freezing_does_not_let_two_nodes_acknowledge() {
    let cluster = Cluster::on_consul(2, &["--trace-acks", "acks"]).await;
    // Messages are in flight before and after the freeze.
    let mut producers = [
        Producer::start(&cluster, "p1", 1_000_000, "2ms"),
        Producer::start(&cluster, "p2", 2_000_000, "2ms"),
    ];
    for producer in &producers {
        producer.progresses(&cluster, 50).await;
    }
    let leader = cluster.leader().await;
    let node = cluster.node(leader);
    assert_eq!(node.log("Message: 1").await.0, 200);
    node.process.signal(Signal::STOP);
    let other = cluster.node(1 - leader);
    other
        .until("the other node leads", |status| status["role"] == "leader")
        .await;
    assert_eq!(other.log("Message: 2").await.0, 200);
    node.process.signal(Signal::CONT);
    let (status, body) = node.log("Message: 3").await;
    assert!([307, 503].contains(&status), "{status} {body}");
    eventually(
        "the frozen node follows",
        Duration::from_secs(20),
        || async {
            let status = node.status().await?;
            if status["role"] == "follower" {
                Ok(())
            } else {
                Err(status.to_string())
            }
        },
    )
    .await;
    for producer in &mut producers {
        producer.progresses(&cluster, 50).await;
        producer.process.terminate().await;
    }
    let spans = acknowledged(&cluster);
    assert!(spans.len() >= 2, "{spans:?}");
    for ((epoch, (_, last)), (next, (first, _))) in spans.iter().zip(spans.iter().skip(1)) {
        assert!(last < first, "{epoch} and {next} overlap: {spans:?}");
    }
}

/// The times of the first and the last traced acknowledgement of each epoch.
fn acknowledged(cluster: &Cluster) -> BTreeMap<u64, (u64, u64)> {
    let trace = std::fs::read_to_string(cluster.folder.path().join("acks")).unwrap();
    let mut spans = BTreeMap::new();
    for line in trace.lines() {
        let mut numbers = line.split(' ').map(|number| number.parse::<u64>().unwrap());
        let (at, epoch) = (numbers.next().unwrap(), numbers.next().unwrap());
        let span = spans.entry(epoch).or_insert((at, at));
        *span = (span.0.min(at), span.1.max(at));
    }
    spans
}

#[tokio::test]
async fn a_killed_leader_that_comes_back_at_once_does_not_stand_in_the_way() {
    let mut cluster = Cluster::on_consul(2, &[]).await;
    let leader = cluster.leader().await;
    let name = cluster.node(leader).name.clone();
    cluster.nodes[leader].process.kill();
    let gone = cluster.nodes.remove(leader);
    cluster.add(&name).await;
    // Consul may keep a dead session, and with it the lock, for twice its TTL.
    let next = cluster.leader_within(Duration::from_secs(6)).await;
    assert_eq!(cluster.node(next).log("Message: 1").await.0, 200);
    drop(gone);
}

#[tokio::test]
async fn a_node_never_redirects_to_itself() {
    let cluster = Cluster::on_consul(1, &[]).await;
    let node = cluster.node(0);
    cluster.consul.delete("kv/sluice/leader").await;
    eventually("the node leads again", SOON, || async {
        let (status, body) = node.log("x").await;
        assert_ne!(status, 307, "{body}");
        let epoch = node.status().await?["epoch"].as_u64();
        if status == 200 && epoch == Some(2) {
            Ok(())
        } else {
            Err(format!("{status} {body}"))
        }
    })
    .await;
}
