//! The embedded coordinator: inside a node, and as a program of its own.

use crate::support::{Cluster, Consul, Kind, Options, Process, SOON, eventually};

#[tokio::test]
async fn a_node_with_a_coordinator_needs_nothing_else() {
    let mut cluster = Cluster::empty(Consul::within_a_node(), &[]);
    let address = cluster.consul.address.clone();
    let options = |address: &str| Options {
        // The flag goes before what was set for a real Consul.
        variables: vec![
            ("CONSUL_HTTP_ADDR".to_owned(), "nowhere.test:1".to_owned()),
            ("CONSUL_HTTP_SSL".to_owned(), "true".to_owned()),
        ],
        ..Options::with(&["--embedded-coordinator", address])
    };
    let first = cluster.add_with("a", options(&address)).await;
    cluster.add("b").await;
    assert_eq!(cluster.leader().await, first);
    assert_eq!(cluster.node(first).log("Message: 1").await.0, 200);
    cluster.consul.put("kv/mine", "kept").await;

    // It lets go of its lock before it takes the coordinator with it.
    let status = cluster.nodes[first].process.terminate().await;
    assert_eq!(status.code(), Some(0));
    let gone = cluster.nodes.remove(first);
    cluster.add_with("a", options(&address)).await;
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

    let open = start("open", "0.0.0.0:0", "open");
    eventually("it warns about being reachable", SOON, || async {
        match open.stderr() {
            log if log.contains("can be reached from other machines") => Ok(()),
            log => Err(log),
        }
    })
    .await;
    let mut third = start("third", "127.0.0.1:0", "open");
    assert_eq!(third.wait(SOON).await.code(), Some(1));
    let said = third.stderr();
    assert!(said.contains("another coordinator is using it"), "{said}");
}
