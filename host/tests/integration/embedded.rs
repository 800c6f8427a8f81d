//! The embedded coordinator: inside a node, and as a separate program.

use std::net::TcpStream;

use crate::support::{
    Cluster, Consul, Kind, Options, Process, SOON, START_LIMIT, TRIES, eventually,
};

fn with_coordinator(address: &str) -> Options {
    Options {
        // The flag overrides settings for a real Consul.
        variables: vec![
            ("CONSUL_HTTP_ADDR".to_owned(), "nowhere.test:1".to_owned()),
            ("CONSUL_HTTP_SSL".to_owned(), "true".to_owned()),
        ],
        ..Options::with(&["--embedded-coordinator", address])
    }
}

/// Starts a node with a coordinator, again on another port if another program
/// took the port.
async fn start() -> Cluster {
    for _ in 0..TRIES {
        let mut cluster = Cluster::empty(Consul::within_a_node(), &[]);
        let options = with_coordinator(&cluster.consul.address);
        let mut process = cluster.spawn("a", options);
        eventually("it listens on three ports, or ends", START_LIMIT, || {
            let ports = process.ports();
            let is_decided = ports.len() == 3 || process.has_ended();
            async move { is_decided.then_some(()).ok_or(format!("{ports:?}")) }
        })
        .await;
        if !process.has_ended() {
            cluster.adopt("sluice", "a", process).await;
            return cluster;
        }
    }
    panic!("{TRIES} nodes ended");
}

#[tokio::test]
async fn a_node_with_a_coordinator_needs_nothing_else() {
    let mut cluster = start().await;
    let address = cluster.consul.address.clone();
    let first = 0;
    cluster.add("b").await;
    assert_eq!(cluster.leader().await, first);
    assert_eq!(cluster.node(first).log("Message: 1").await.0, 200);
    cluster.consul.put("kv/mine", "kept").await;

    // It releases its lock before the coordinator stops with it.
    let status = cluster.nodes[first].process.terminate().await;
    assert_eq!(status.code(), Some(0));
    let gone = cluster.nodes.remove(first);
    cluster.add_with("a", with_coordinator(&address)).await;
    assert_eq!(cluster.consul.value("mine").await.unwrap(), "kept");
    let leader = cluster.leader().await;
    let epoch = cluster.node(leader).status().await.unwrap()["epoch"].clone();
    assert!(epoch.as_u64() > Some(1), "{epoch}");
    assert_eq!(cluster.node(leader).log("Message: 2").await.0, 200);
    drop(gone);
}

#[tokio::test]
async fn what_is_in_use_is_named_with_a_way_out() {
    let consul = Consul::of(Kind::Embedded, false).await;
    let cluster = Cluster::empty(consul, &[]);
    let address = cluster.consul.address.clone();
    let port = address.rsplit(':').next().unwrap().to_owned();
    let start = |name: &str, listen: &str, data: &str| {
        let mut command = cluster.command();
        command.args(["coordinator", "--listen", listen, "--data-dir", data]);
        Process::start(name, cluster.folder.path(), &mut command)
    };
    let mut second = start("second", &address, "other");
    assert_eq!(second.wait(SOON).await.code(), Some(1));
    let said = second.stderr();
    assert!(said.contains(&format!("port {port} is in use")), "{said}");
    assert!(
        said.contains("choose another port, such as 127.0.0.1:"),
        "{said}"
    );

    let mut node = cluster.spawn("n", Options::with(&["--embedded-coordinator", &address]));
    assert_eq!(node.wait(SOON).await.code(), Some(1));
    assert!(node.stderr().contains("is in use"), "{}", node.stderr());

    let own = start("own", "127.0.0.1:0", "own");
    own.listens().await;
    let mut third = start("third", "127.0.0.1:0", "own");
    assert_eq!(third.wait(SOON).await.code(), Some(1));
    let said = third.stderr();
    assert!(said.contains("another coordinator is using it"), "{said}");

    // Only a coordinator that other machines can reach logs a warning.
    let open = start("open", "0.0.0.0:0", "open");
    let is_reachable = |process: &Process| {
        let mut ports = process.ports().into_iter();
        ports.any(|port| TcpStream::connect(("127.0.0.2", port)).is_ok())
    };
    let warns = |process: &Process| process.stderr().contains("\"WARN\"");
    eventually("it warns", START_LIMIT, || async {
        warns(&open).then_some(()).ok_or(open.stderr())
    })
    .await;
    assert!(is_reachable(&open), "{:?}", open.ports());
    assert!(!warns(&own), "{}", own.stderr());
    assert!(!is_reachable(&own), "{:?}", own.ports());
}
