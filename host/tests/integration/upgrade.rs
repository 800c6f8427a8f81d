//! A cluster is upgraded node by node from the version before, whose program the
//! variable `SLUICE_BEFORE` names, and back.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use crate::journal::{cluster, delivered, down};
use crate::support::{Cluster, Node, Options, Producer, SOON, eventually, sluice};

/// The program of the version before; says so if there is none.
fn before() -> Option<PathBuf> {
    let program = std::env::var_os("SLUICE_BEFORE").map(PathBuf::from);
    if program.is_none() {
        // On the real stderr, as tests on Consul do.
        let mut stderr = std::io::stderr();
        writeln!(stderr, "not run: SLUICE_BEFORE names no program").unwrap();
    }
    program
}

async fn handed_over(node: &Node) -> u64 {
    node.metric("sluice_records_handed_over_total").await
}

/// The leader steps down, and what its journal holds goes to the other node.
async fn hands_over(cluster: &Cluster, producer: &Producer) {
    let leader = cluster.leader().await;
    producer.progresses(cluster, 50).await;
    let count = handed_over(cluster.node(leader)).await;
    let (code, out, err) = sluice(cluster, &["step-down"]).await;
    assert_eq!(code, Some(0), "{out}{err}");
    assert_ne!(cluster.leader().await, leader);
    eventually("the journal is handed over", SOON, || async {
        match handed_over(cluster.node(leader)).await {
            now if now > count => Ok(()),
            now => Err(format!("{now}")),
        }
    })
    .await;
    producer.progresses(cluster, 20).await;
}

#[tokio::test]
async fn nodes_of_two_versions_hand_over_to_each_other() {
    let Some(before) = before() else {
        return;
    };
    let old = || Options {
        program: Some(before.clone()),
        ..Options::default()
    };
    let consul = crate::support::Consul::agent().await;
    let arguments = cluster(0, "write 1 in 1", &[]).await.arguments;
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let mut cluster = Cluster::empty(consul, &arguments);
    for name in ["a", "b"] {
        fs::write(down(&cluster, name), "").unwrap();
        cluster.add_with(name, old()).await;
    }
    cluster.leader().await;
    let mut producer = Producer::start(&cluster, "p", 1, "2ms");
    // Up, node by node, and then one of them back.
    for is_new in [true, true, false] {
        let follower = cluster.follower().await;
        let name = cluster.node(follower).name.clone();
        cluster.nodes[follower].process.terminate().await;
        cluster.nodes.remove(follower);
        match is_new {
            true => cluster.add(&name).await,
            false => cluster.add_with(&name, old()).await,
        };
        // There, and back again.
        for _ in 0..2 {
            hands_over(&cluster, &producer).await;
        }
    }
    for name in ["a", "b"] {
        fs::remove_file(down(&cluster, name)).unwrap();
    }
    producer.process.terminate().await;
    delivered(&cluster, &producer.acknowledged(&cluster)).await;
}
