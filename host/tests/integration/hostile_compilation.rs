//! Sinks that take the compiler very much: each costs only itself.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::Pid;
use serde_json::Value;

use crate::support::{Cluster, Node, Options, SOON, eventually, greedy_component};

/// What a node's own memory may reach, in bytes.
const MOST_MEMORY: u64 = 256 << 20;

/// A component that takes far more than any limit of these tests.
fn greedy(cluster: &Cluster) -> String {
    component(cluster, "greedy.wasm", 6000, 6000)
}

fn component(cluster: &Cluster, name: &str, loops: u32, locals: u32) -> String {
    let file = cluster.plugins().join(name);
    fs::write(&file, greedy_component(loops, locals)).unwrap();
    format!("file://{}", file.display())
}

fn error(status: &Value) -> &str {
    status["plugin"]["error"].as_str().unwrap_or_default()
}

async fn compiles(node: &Node) -> Pid {
    eventually("a child compiles", SOON, || async {
        let children = node.process.children();
        children.first().copied().ok_or_else(String::new)
    })
    .await
}

fn descriptors(process: Pid) -> Vec<String> {
    let entries = fs::read_dir(format!("/proc/{}/fd", process.as_raw_pid())).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

async fn is_gone(pid: Pid) {
    eventually("the child is gone", SOON, || async {
        // Perhaps nobody asks for how it ended.
        match fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid())) {
            Ok(stat) if !stat.contains(") Z ") => Err(stat),
            _ => Ok(()),
        }
    })
    .await;
}

/// Fails if the node compiles anything within this time.
async fn compiles_nothing(node: &Node, time: Duration) {
    let until = Instant::now() + time;
    while Instant::now() < until {
        let children = node.process.children();
        assert!(children.is_empty(), "{children:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_sink_that_exceeds_a_limit_of_compiling_is_refused_and_set_aside() {
    for (flag, value, expected) in [
        ("--max-compile-memory", "256MiB", "more than 256 MiB"),
        ("--max-compile-time", "3s", "more than 3 s of processor"),
    ] {
        let cluster = Cluster::on_consul(1, &[flag, value]).await;
        let node = cluster.node(0);
        let greedy = greedy(&cluster);
        cluster.ask(&greedy).await;
        let what = format!("it is refused because of {flag}");
        node.until(&what, |status| {
            let error = error(status);
            [greedy.as_str(), flag, expected]
                .iter()
                .all(|part| error.contains(part))
        })
        .await;
        assert_eq!(node.log("meanwhile").await.0, 200);
        node.wrote("meanwhile\n").await;
        // Longer than the pause after another failure.
        compiles_nothing(node, Duration::from_secs(7)).await;
        let peak = node.process.peak_memory();
        assert!(peak <= MOST_MEMORY, "{} MiB", peak >> 20);
        // Asked for again, it is tried again.
        cluster.ask(&format!(" {greedy}")).await;
        compiles(node).await;
        let good = cluster.plugin("misbehave", "good.wasm");
        cluster.ask(&good).await;
        cluster.all_run(&good).await;
    }
}

#[tokio::test]
async fn the_next_sink_does_not_wait_for_a_greedy_one() {
    let cluster = Cluster::on_consul(1, &[]).await;
    let node = cluster.node(0);
    cluster.ask(&greedy(&cluster)).await;
    let child = compiles(node).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let good = cluster.plugin("misbehave", "good.wasm");
    assert_eq!(node.process.children(), [child], "it still compiles");
    assert_eq!(
        descriptors(child),
        ["0", "1", "2"],
        "it has nothing of the node"
    );
    let asked = Instant::now();
    cluster.ask(&good).await;
    cluster.all_run(&good).await;
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    is_gone(child).await;
    let peak = node.process.peak_memory();
    println!("live after {took:?}; the node took {} MiB", peak >> 20);
    assert!(peak <= MOST_MEMORY, "{} MiB", peak >> 20);
}

#[tokio::test]
async fn a_node_that_is_killed_while_it_compiles_serves_at_once_and_does_not_try_again() {
    let mut cluster = Cluster::on_consul(1, &[]).await;
    let good = cluster.plugin("misbehave", "good.wasm");
    cluster.ask(&good).await;
    cluster.all_run(&good).await;
    assert_eq!(cluster.node(0).log("before").await.0, 200);
    let greedy = greedy(&cluster);
    cluster.ask(&greedy).await;
    let child = compiles(cluster.node(0)).await;
    cluster.nodes[0].process.kill();
    is_gone(child).await;
    cluster.nodes.clear();

    restart(&mut cluster, &good).await;
    let node = cluster.node(0);
    node.until("it says why the greedy one is not tried", |status| {
        error(status).contains(&greedy) && error(status).contains("was killed")
    })
    .await;
    cluster.leader().await;
    assert_eq!(node.log("after").await.0, 200);
    node.wrote("after attempt 1\n").await;
    compiles_nothing(node, Duration::from_secs(7)).await;
    cluster.ask(&format!(" {greedy}")).await;
    compiles(node).await;
}

#[tokio::test]
async fn a_node_serves_with_its_last_good_sink_while_the_next_is_compiled() {
    let mut cluster = Cluster::on_consul(1, &[]).await;
    let good = cluster.plugin("misbehave", "good.wasm");
    cluster.ask(&good).await;
    cluster.all_run(&good).await;
    assert_eq!(cluster.node(0).log("before").await.0, 200);
    cluster.nodes[0].process.terminate().await;
    cluster.nodes.clear();
    let greedy = greedy(&cluster);
    cluster.ask(&greedy).await;

    restart(&mut cluster, &good).await;
    cluster.leader().await;
    let node = cluster.node(0);
    assert_eq!(node.log("meanwhile").await.0, 200);
    node.wrote("meanwhile attempt 1\n").await;
    compiles(node).await;
    let status = node.status().await.unwrap();
    assert_eq!(status["plugin"]["desired"]["source"], greedy, "{status}");

    // One that was stopped in order tries again.
    cluster.nodes[0].process.terminate().await;
    cluster.nodes.clear();
    restart(&mut cluster, &good).await;
    compiles(cluster.node(0)).await;
}

/// Starts node a, which must soon serve with this sink.
async fn restart(cluster: &mut Cluster, good: &str) {
    let started = Instant::now();
    let process = cluster.spawn("a", Options::default());
    cluster.served_by(&process).await;
    let took = started.elapsed();
    println!("serves {took:?} after its start");
    assert!(took < Duration::from_secs(5), "{took:?}");
    let place = cluster.adopt("sluice", "a", process).await;
    let node = cluster.node(place);
    node.until("it has the last good sink", |status| {
        status["plugin"]["active"]["source"] == good
    })
    .await;
}
