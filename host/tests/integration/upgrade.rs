//! A cluster is upgraded node by node, under load, from the program of an
//! earlier revision, and back. `make upgrade-test` builds that program.

use std::fs;
use std::ops::Range;
use std::path::PathBuf;

use crate::journal::{cluster, delivered, down};
use crate::support::{Cluster, Node, Options, Producer, SOON, eventually, sluice};

/// The first number of the messages that are sent to followers. The producer
/// does not get so far.
const FIRST_RELAYED: u64 = 1_000_000;
/// How many messages a follower is sent before each hand-over.
const RELAYED: u64 = 20;

fn before() -> PathBuf {
    std::env::var_os("SLUICE_BEFORE")
        .expect("SLUICE_BEFORE names the program of an earlier revision: use `make upgrade-test`")
        .into()
}

async fn handed_over(node: &Node) -> u64 {
    node.metric("sluice_records_handed_over_total").await
}

/// The leader steps down for the other node, and hands over what its journal
/// holds.
async fn hands_over(cluster: &Cluster, producer: &Producer) {
    let (leader, follower) = (cluster.leader().await, cluster.follower().await);
    producer.progresses(cluster, 50).await;
    let count = handed_over(cluster.node(leader)).await;
    let to = cluster.node(follower).name.as_str();
    let (code, out, err) = sluice(cluster, &["step-down", "--to", to]).await;
    assert_eq!(code, Some(0), "{out}{err}");
    assert_eq!(cluster.leader().await, follower);
    eventually("the journal is handed over", SOON, || async {
        match handed_over(cluster.node(leader)).await {
            now if now > count => Ok(()),
            now => Err(format!("{now}")),
        }
    })
    .await;
    producer.progresses(cluster, 20).await;
}

/// The follower relays messages with these numbers to the leader.
async fn relays(cluster: &Cluster, numbers: Range<u64>) {
    let follower = cluster.follower().await;
    for number in numbers {
        let text = format!("Message: {number}");
        let (status, body) = cluster.node(follower).log(&text).await;
        assert_eq!(status, 200, "{body}");
    }
}

#[tokio::test]
#[ignore = "needs the program of an earlier revision: make upgrade-test"]
async fn a_cluster_is_upgraded_and_downgraded_under_load() {
    let before = before();
    let old = || Options {
        program: Some(before.clone()),
        ..Options::default()
    };
    let consul = crate::support::Consul::agent().await;
    let arguments = cluster(0, "write 1 in 1", &["--follower", "forward"]);
    let arguments = arguments.await.arguments;
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let mut cluster = Cluster::empty(consul, &arguments);
    for name in ["a", "b"] {
        fs::write(down(&cluster, name), "").unwrap();
        cluster.add_with(name, old()).await;
    }
    cluster.able(&[("a", true), ("b", true)]).await;
    let mut producer = Producer::start(&cluster, "p", 1, "2ms");
    let mut relayed = FIRST_RELAYED..FIRST_RELAYED;
    for (name, is_new) in [("a", true), ("b", true), ("a", false), ("b", false)] {
        let leader = cluster.leader().await;
        if cluster.node(leader).name == name {
            hands_over(&cluster, &producer).await;
        }
        let place = cluster.nodes.iter().position(|node| node.name == name);
        let mut replaced = cluster.nodes.remove(place.unwrap());
        replaced.process.terminate().await;
        match is_new {
            true => cluster.add(name).await,
            false => cluster.add_with(name, old()).await,
        };
        cluster.able(&[("a", true), ("b", true)]).await;
        // To the node that was replaced, and back again.
        for _ in 0..2 {
            relays(&cluster, relayed.end..relayed.end + RELAYED).await;
            relayed.end += RELAYED;
            hands_over(&cluster, &producer).await;
        }
        // Asks each node in the form of signatures that it takes.
        let (code, out, err) = sluice(&cluster, &["dlq", "list"]).await;
        assert_eq!(code, Some(0), "{out}{err}");
    }
    for name in ["a", "b"] {
        fs::remove_file(down(&cluster, name)).unwrap();
    }
    producer.process.terminate().await;
    let mut acknowledged = producer.acknowledged(&cluster);
    assert!(acknowledged.last() < Some(&FIRST_RELAYED));
    acknowledged.extend(relayed);
    delivered(&cluster, &acknowledged).await;
}
