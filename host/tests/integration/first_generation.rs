//! With `--leader-key`, `--leader-value host` and `--follower reject` a node
//! behaves to its clients like the first-generation system, and takes part in
//! one election with that system's nodes.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::timeout;

use crate::support::first_generation::{LEADER_KEY, OldNode, OldProducer, post_log};
use crate::support::{Cluster, Consul, Options, SOON};

const ARGUMENTS: [&str; 6] = [
    "--leader-key",
    LEADER_KEY,
    "--leader-value",
    "host",
    "--follower",
    "reject",
];

/// Loopback addresses for three nodes and an old node. All of them use the same
/// port, so each test has its own addresses.
fn hosts() -> ([&'static str; 3], &'static str) {
    let network: [u8; 2] = rand::random();
    let [a, b] = network.map(|part| part.clamp(1, 254));
    let [one, two, three, old] = [21, 22, 23, 24].map(|c| &*format!("127.{a}.{b}.{c}").leak());
    ([one, two, three], old)
}

/// Adds a node whose name is its host.
async fn add(cluster: &mut Cluster, host: &str) -> usize {
    let listen = format!("{host}:3000");
    let options = Options::with(&["--listen", &listen]);
    cluster.add_with(host, options).await
}

async fn start(hosts: [&str; 3]) -> Cluster {
    let mut cluster = Cluster::empty(Consul::agent().await, &ARGUMENTS);
    for host in hosts {
        add(&mut cluster, host).await;
    }
    cluster
}

/// The hosts that acknowledge now. The others must answer `400 Not Leader`.
async fn acknowledging(hosts: &[&str]) -> BTreeSet<String> {
    let mut acknowledging = BTreeSet::new();
    for host in hosts {
        match post_log(host, "who?").await.unwrap() {
            (200, body) => {
                assert_eq!(body, "OK");
                acknowledging.insert((*host).to_owned());
            }
            (status, body) => assert_eq!((status, &*body), (400, "Not Leader"), "{host}"),
        }
    }
    acknowledging
}

fn written(cluster: &Cluster, more: &[String]) -> BTreeSet<String> {
    let output = cluster.output();
    output
        .lines()
        .map(str::to_owned)
        .chain(more.iter().cloned())
        .collect()
}

fn holds(written: &BTreeSet<String>, producer: &OldProducer) {
    assert!(!producer.acknowledged.is_empty());
    for number in &producer.acknowledged {
        assert!(
            written.contains(&format!("Message: {number}")),
            "{number} was acknowledged, but is in no output"
        );
    }
}

#[tokio::test]
async fn clients_of_the_first_generation_see_what_they_know() {
    let (hosts, _) = hosts();
    let cluster = start(hosts).await;
    let leader = cluster.leader().await;
    let leader = cluster.node(leader);

    let lock = cluster.consul.key(LEADER_KEY).await.unwrap();
    assert!(lock["Session"].is_string(), "{lock}");
    assert_eq!(cluster.consul.value(LEADER_KEY).await.unwrap(), leader.name);
    let session = lock["Session"].as_str().unwrap();
    let session = cluster.consul.get(&format!("session/info/{session}")).await;
    let name = session.unwrap()[0]["Name"].as_str().unwrap().to_owned();
    assert!(name.contains(&leader.name), "{name}");
    assert!(cluster.consul.key("sluice/leader").await.unwrap().is_null());

    for host in hosts {
        let expected = match host == leader.name {
            true => (200, "OK".to_owned()),
            false => (400, "Not Leader".to_owned()),
        };
        for text in ["Message: 0", ""] {
            assert_eq!(post_log(host, text).await.unwrap(), expected, "{host}");
        }
    }
    leader.wrote("Message: 0\n\n").await;
}

#[tokio::test]
async fn its_producer_follows_the_leader_unchanged() {
    let (hosts, _) = hosts();
    let mut cluster = start(hosts).await;
    let mut producer = OldProducer::new();
    for _ in 0..2 {
        let leader = cluster.leader().await;
        let host = cluster.node(leader).name.clone();
        producer.reaches(&cluster.consul, &host, 20).await;
        cluster.nodes[leader].process.kill();
        let dead = cluster.nodes.remove(leader);
        // Restarted under the same name, so that its earlier output counts.
        drop(dead);
        add(&mut cluster, &host).await;
    }
    let leader = cluster.leader().await;
    let host = cluster.node(leader).name.clone();
    producer.reaches(&cluster.consul, &host, 20).await;
    holds(&written(&cluster, &[]), &producer);
}

#[tokio::test]
async fn old_and_new_nodes_stand_in_one_election() {
    let (hosts, old_host) = hosts();
    let mut cluster = Cluster::empty(Consul::agent().await, &ARGUMENTS);
    let mut producer = OldProducer::new();
    let all = [hosts[0], hosts[1], old_host];

    // The old node leads, and new nodes start as followers.
    let old = OldNode::start(&cluster.consul, old_host).await;
    old.until_it_leads().await;
    for host in &hosts[..2] {
        add(&mut cluster, host).await;
    }
    producer.reaches(&cluster.consul, old_host, 5).await;
    assert_eq!(acknowledging(&all).await, [old_host.to_owned()].into());
    for node in &cluster.nodes {
        node.until("a new node knows the old leader", |status| {
            status["leader"]["address"] == format!("{old_host}:3000")
        })
        .await;
    }

    // It stops cleanly, but the lock names no lease, so the next leader waits.
    old.stop(&cluster.consul).await;
    let released = Instant::now();
    let leader = cluster.leader().await;
    assert!(released.elapsed() >= Duration::from_millis(1250));
    let host = cluster.node(leader).name.clone();
    assert_eq!(cluster.node(leader).status().await.unwrap()["epoch"], 1);
    producer.reaches(&cluster.consul, &host, 5).await;
    let mut lines = old.lines();
    drop(old);

    // An old node starts again as a standby. Then the new nodes stop.
    let old = OldNode::start(&cluster.consul, old_host).await;
    assert_eq!(acknowledging(&all).await, [host].into());
    while !cluster.nodes.is_empty() {
        let leader = cluster.leader().await;
        cluster.nodes[leader].process.terminate().await;
        let ended = cluster.nodes.remove(leader);
        lines.extend(ended.process.stdout().lines().map(str::to_owned));
        let lock = cluster.consul.value(LEADER_KEY).await.unwrap();
        if lock == old_host {
            break;
        }
    }
    old.until_it_leads().await;
    producer.reaches(&cluster.consul, old_host, 5).await;

    // The old node dies while a new node is there. Consul blocks the lock for
    // the lock-delay of the old session, and the epochs continue.
    for node in std::mem::take(&mut cluster.nodes) {
        lines.extend(node.process.stdout().lines().map(str::to_owned));
    }
    add(&mut cluster, hosts[2]).await;
    old.die(&cluster.consul).await;
    lines.extend(old.lines());
    producer.reaches(&cluster.consul, hosts[2], 5).await;
    let status = cluster.node(0).status().await.unwrap();
    assert!(status["epoch"].as_u64() >= Some(2), "{status}");
    holds(&written(&cluster, &lines), &producer);
}

#[tokio::test]
async fn hand_overs_between_old_and_new_leave_one_acknowledging() {
    let (hosts, old_host) = hosts();
    let mut cluster = Cluster::empty(Consul::agent().await, &ARGUMENTS);
    add(&mut cluster, hosts[0]).await;
    cluster.leader().await;
    let old = OldNode::start(&cluster.consul, old_host).await;

    // Asks both in turn. `tenures` has the hosts that answered 200, in order,
    // without repeats.
    let (tell, mut tenures) = watch::channel(Vec::<&str>::new());
    let asking = tokio::spawn(async move {
        while !tell.is_closed() {
            for host in [hosts[0], old_host] {
                // A node that has stopped does not answer.
                let answer = post_log(host, "who?").await;
                if answer.is_ok_and(|(status, _)| status == 200) {
                    tell.send_if_modified(|tenures| {
                        let is_next = tenures.last() != Some(&host);
                        if is_next {
                            tenures.push(host);
                        }
                        is_next
                    });
                }
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    let first = tenures.wait_for(|tenures| !tenures.is_empty());
    drop(timeout(SOON, first).await.unwrap().unwrap());
    cluster.nodes[0].process.terminate().await;
    old.until_it_leads().await;
    cluster.nodes.clear();
    add(&mut cluster, hosts[0]).await;
    old.stop(&cluster.consul).await;
    let third = tenures.wait_for(|tenures| tenures.len() >= 3);
    let tenures = timeout(SOON, third).await.unwrap().unwrap().clone();
    assert_eq!(tenures, [hosts[0], old_host, hosts[0]]);
    asking.abort();
}
