//! What containers need: nodes that choose their own names, a health check that
//! needs no HTTP client, and nodes that survive a Consul without its state.

use std::time::{Duration, Instant};

use crate::support::{Cluster, Consul, Options, Producer, SOON, START_LIMIT, eventually};

/// Adds a node with `--name auto`, which must choose the expected name.
async fn add(cluster: &mut Cluster, expected: &str) -> usize {
    let root = cluster.folder.path().join("shared").display().to_string();
    let options = Options::with(&["--name", "auto", "--data-dir", &root]);
    cluster.add_with(expected, options).await
}

fn place(cluster: &Cluster, name: &str) -> usize {
    let place = cluster.nodes.iter().position(|node| node.name == name);
    place.expect("a node of that name")
}

#[tokio::test]
async fn what_a_dead_node_leaves_is_taken_up_by_the_next() {
    let mut cluster = Cluster::empty(Consul::agent().await, &[]);
    add(&mut cluster, "node-1").await;
    add(&mut cluster, "node-2").await;
    let leader = cluster.leader().await;
    let leader = cluster.node(leader).name.clone();
    let producer = Producer::start(&cluster, "p", 1, "5ms");
    producer.progresses(&cluster, 20).await;
    let orphan = cluster
        .folder
        .path()
        .join("shared")
        .join(&leader)
        .join("epoch");
    assert_eq!(std::fs::read_to_string(&orphan).unwrap().trim(), "1");

    let dead = place(&cluster, &leader);
    cluster.nodes[dead].process.kill();
    let dead = cluster.nodes.remove(dead);
    // The first free name is that of the dead node, even while Consul still
    // knows that node.
    add(&mut cluster, &leader).await;
    producer.progresses(&cluster, 20).await;
    eventually("the epoch was found and raised", SOON, || async {
        match std::fs::read_to_string(&orphan) {
            Ok(epoch) if epoch.trim().parse().is_ok_and(|epoch: u64| epoch >= 2) => Ok(()),
            epoch => Err(format!("{epoch:?}")),
        }
    })
    .await;
    add(&mut cluster, "node-3").await;
    let services = cluster.consul.get("catalog/service/sluice").await.unwrap();
    let mut ids: Vec<_> = services
        .as_array()
        .unwrap()
        .iter()
        .map(|service| service["ServiceID"].as_str().unwrap())
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, ["sluice-node-1", "sluice-node-2", "sluice-node-3"]);
    let mut producer = producer;
    producer.process.terminate().await;
    cluster.holds(&producer.acknowledged(&cluster));
    drop(dead);
}

#[tokio::test]
async fn nodes_that_start_at_once_share_out_the_names() {
    let cluster = Cluster::empty(Consul::agent().await, &["--name", "auto"]);
    let root = cluster.folder.path().join("shared").display().to_string();
    let nodes: Vec<_> = ["x", "y", "z"]
        .iter()
        .map(|label| cluster.spawn(label, Options::with(&["--data-dir", &root])))
        .collect();
    eventually(
        "all are registered, each under its own name",
        START_LIMIT,
        || async {
            let keys = cluster.consul.get("kv/sluice/nodes/?keys").await?;
            let wanted = [1, 2, 3].map(|number| format!("sluice/nodes/node-{number}"));
            match keys == serde_json::json!(wanted) {
                true => Ok(()),
                false => Err(keys.to_string()),
            }
        },
    )
    .await;
    drop(nodes);
}

#[tokio::test]
async fn health_is_asked_from_the_command_line() {
    let cluster = Cluster::start(1, &["--health-listen", "127.0.0.1:0"]).await;
    let node = cluster.node(0);
    let port = node.process.other_port(&node.address);
    let address = format!("127.0.0.1:{port}");
    let health = |address: &str| {
        let mut command = cluster.command();
        let output = command
            .args(["health", "--health-listen", address])
            .output();
        output.unwrap()
    };
    let alive = health(&address);
    assert!(alive.status.success(), "{alive:?}");
    let everywhere = health(&format!("0.0.0.0:{port}"));
    assert!(everywhere.status.success(), "{everywhere:?}");

    cluster
        .node(0)
        .process
        .signal(rustix::process::Signal::STOP);
    let frozen = health(&address);
    cluster
        .node(0)
        .process
        .signal(rustix::process::Signal::CONT);
    assert_eq!(frozen.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&frozen.stderr).contains(&address),
        "{frozen:?}"
    );
    assert_eq!(health("127.0.0.1:1").status.code(), Some(1));
}

#[tokio::test]
async fn a_dev_agent_that_restarts_forgets_the_sink_and_the_nodes_see_it_soon() {
    let mut cluster = Cluster::on_consul(1, &[]).await;
    // After the restart its indexes are far below those that the node has seen.
    for number in 0..200 {
        let key = format!("kv/other/{number}");
        cluster.consul.put(&key, "x").await;
    }
    let asked = r#"{"source": "builtin:stdout", "config": {"format": "json"}}"#;
    cluster.consul.put("kv/sluice/plugin", asked).await;
    let said = async |cluster: &Cluster, expected: &str| {
        let node = cluster.node(0);
        let answer = node.log("hello").await;
        let output = node.process.stdout();
        match output.lines().last() {
            Some(line) if answer.0 == 200 && line.starts_with(expected) => Ok(()),
            line => Err(format!("{answer:?} {line:?}")),
        }
    };
    eventually("the sink writes JSON", SOON, || said(&cluster, "{")).await;
    cluster.consul.restart().await;
    cluster.leader().await;
    let started = Instant::now();
    eventually("the default sink is back", SOON, || said(&cluster, "hello")).await;
    assert!(
        started.elapsed() < Duration::from_secs(6),
        "{:?}",
        started.elapsed()
    );
}
