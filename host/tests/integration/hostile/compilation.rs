//! Sinks that take the compiler very much: each costs only itself.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::Value;

use super::measure::{Measure, NODE_MIB};
use crate::support::{Cluster, Node, Options, Process, SOON, Turn, eventually, greedy_component};
use crate::swap::without_probation;

/// For a child of low priority to reach a limit of some seconds of processor time.
const REFUSAL_LIMIT: Duration = Duration::from_secs(300);

/// Compiling costs the node itself nothing, and nothing waits in its queue.
fn measure(cluster: &Cluster) -> Measure<'_> {
    Measure::of(cluster).at_most(NODE_MIB)
}

/// A component that takes gigabytes of memory within seconds.
fn greedy(cluster: &Cluster) -> String {
    component(cluster, "greedy.wasm", 6000, 6000)
}

/// A component that takes the compiler minutes, and little memory: it is still
/// being compiled whenever a test looks.
fn slow(cluster: &Cluster) -> String {
    component(cluster, "slow.wasm", 500, 500)
}

fn component(cluster: &Cluster, name: &str, loops: u32, locals: u32) -> String {
    let file = cluster.plugins().join(name);
    fs::write(&file, greedy_component(loops, locals)).unwrap();
    format!("file://{}", file.display())
}

fn error(status: &Value) -> &str {
    status["plugin"]["error"].as_str().unwrap_or_default()
}

async fn compiles(process: &Process) -> Pid {
    eventually("a child compiles", SOON, || async {
        let children = process.children();
        children.first().copied().ok_or_else(String::new)
    })
    .await
}

/// The numbers of the descriptors that a process has, without those that this
/// process got from its parent and passed on.
fn descriptors(process: Pid) -> Vec<String> {
    let folder = format!("/proc/{}/fd", process.as_raw_pid());
    let entries = fs::read_dir(&folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let target = |folder: &str, name: &str| fs::read_link(format!("{folder}/{name}")).ok();
    let is_passed_on = |name: &str| {
        !["0", "1", "2"].contains(&name) && target(&folder, name) == target("/proc/self/fd", name)
    };
    let mut names: Vec<_> = names.filter(|name| !is_passed_on(name)).collect();
    names.sort();
    names
}

/// Waits until the child has told the kernel to kill it before others when memory
/// runs out, and not to dump its core.
async fn spares_others(child: Pid) {
    eventually("the child spares others", SOON, || async {
        let read = |file| fs::read_to_string(format!("/proc/{}/{file}", child.as_raw_pid()));
        let score = read("oom_score_adj").map_err(|error| error.to_string())?;
        let limits = read("limits").map_err(|error| error.to_string())?;
        let core = limits
            .lines()
            .find_map(|line| line.strip_prefix("Max core file size"));
        let core: Vec<_> = core.unwrap_or_default().split_whitespace().collect();
        match score.trim() == "1000" && core.starts_with(&["0", "0"]) {
            true => Ok(()),
            false => Err(format!("score {score}, core {core:?}")),
        }
    })
    .await;
}

/// Waits until the child has ended, and its parent, if it lives, has asked how.
async fn is_gone(pid: Pid) {
    eventually("the child is gone", SOON, || async {
        match fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid())) {
            Ok(stat) => Err(stat),
            Err(_) => Ok(()),
        }
    })
    .await;
}

/// Waits until the child has ended. Nobody may ask how: its parent is gone.
async fn has_ended(pid: Pid) {
    eventually("the child has ended", SOON, || async {
        match fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid())) {
            Ok(stat) if !stat.contains(") Z ") => Err(stat),
            _ => Ok(()),
        }
    })
    .await;
}

/// Puts a component that works in the place of another one.
fn replace(cluster: &Cluster, source: &str) {
    let good = cluster.plugin("misbehave", "good.new");
    let path = |source: &str| source.trim_start_matches("file://").to_owned();
    fs::rename(path(&good), path(source)).unwrap();
}

/// The endings of the names of the notes that node b has about compilations.
fn notes(cluster: &Cluster) -> Vec<String> {
    let entries = fs::read_dir(cluster.folder.path().join("data/b/plugin")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names
        .filter(|name| name.starts_with("note-"))
        .map(|name| name.get(name.len() - 10..).unwrap().to_owned())
        .collect()
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
    let _turn = Turn::alone();
    for (flag, value, sink, expected) in [
        (
            "--max-compile-memory",
            "256MiB",
            greedy as fn(&Cluster) -> String,
            "more than 256 MiB",
        ),
        (
            "--max-compile-time",
            "3s",
            slow,
            "more than 3 s of processor",
        ),
    ] {
        let cluster = Cluster::on_consul(1, &[flag, value]).await;
        let node = cluster.node(0);
        let sink = sink(&cluster);
        let attack = async {
            cluster.ask(&sink).await;
            eventually("it is refused", REFUSAL_LIMIT, || async {
                let status = node.status().await?;
                let is_named = |part| error(&status).contains(part);
                match [sink.as_str(), flag, expected].into_iter().all(is_named) {
                    true => Ok(()),
                    false => Err(status.to_string()),
                }
            })
            .await;
            assert_eq!(node.log("meanwhile").await.0, 200);
            node.wrote("meanwhile\n").await;
            // Longer than the pause after another failure.
            compiles_nothing(node, Duration::from_secs(7)).await;
        };
        let name = format!("a sink that exceeds {flag}");
        measure(&cluster).attack(&name, attack).await;
        // Its file changes.
        replace(&cluster, &sink);
        cluster.all_run(&sink).await;
    }
}

#[tokio::test]
async fn the_next_sink_does_not_wait_for_a_slow_one() {
    let cluster = Cluster::on_consul(1, &[]).await;
    let node = cluster.node(0);
    // The node itself may dump its core, as far as the system permits it.
    let most = getrlimit(Resource::Core).maximum;
    let limit = Rlimit {
        current: most,
        maximum: most,
    };
    prlimit(Some(node.process.pid()), Resource::Core, limit).unwrap();
    let attack = async {
        cluster.ask(&slow(&cluster)).await;
        let child = compiles(&node.process).await;
        eventually("it has nothing of the node", SOON, || async {
            // Until it runs its program, it has all.
            let descriptors = descriptors(child);
            match descriptors == ["0", "1", "2"] {
                true => Ok(()),
                false => Err(format!("{descriptors:?}")),
            }
        })
        .await;
        spares_others(child).await;
        let good = cluster.plugin("misbehave", "good.wasm");
        let asked = Instant::now();
        cluster.ask(&good).await;
        cluster.all_run(&good).await;
        is_gone(child).await;
        asked.elapsed()
    };
    let took = measure(&cluster)
        .attack("a slow sink, then a good one", attack)
        .await;
    println!("live after {took:?}");
}

#[tokio::test]
async fn a_changed_file_does_not_wait_for_the_one_before() {
    let cluster = Cluster::on_consul(1, &[]).await;
    let sink = slow(&cluster);
    cluster.ask(&sink).await;
    let child = compiles(&cluster.node(0).process).await;
    replace(&cluster, &sink);
    cluster.all_run(&sink).await;
    is_gone(child).await;
}

#[tokio::test]
async fn a_node_whose_program_was_replaced_on_disk_compiles() {
    let mut cluster = Cluster::on_consul(0, &[]).await;
    let program = cluster.folder.path().join("sluice");
    // If this process wrote the copy, children of other tests could keep it
    // open, and it could not be started.
    let mut copy = Command::new("cp");
    copy.arg(env!("CARGO_BIN_EXE_sluice")).arg(&program);
    assert!(copy.status().unwrap().success());
    let options = Options {
        program: Some(program.clone()),
        ..Options::default()
    };
    cluster.add_with("a", options).await;
    cluster.leader().await;
    let next = cluster.folder.path().join("sluice.next");
    fs::write(&next, "no program").unwrap();
    fs::rename(next, program).unwrap();
    let good = cluster.plugin("misbehave", "good.wasm");
    cluster.ask(&good).await;
    cluster.all_run(&good).await;
}

#[tokio::test]
async fn a_node_that_is_stopped_while_its_first_sink_is_compiled_tries_again() {
    let cluster = Cluster::on_consul(1, &[]).await;
    cluster.ask(&slow(&cluster)).await;
    for _ in 0..2 {
        let mut process = cluster.spawn("b", Options::default());
        let child = compiles(&process).await;
        // The note is written before the child starts.
        assert_eq!(notes(&cluster), [".compiling"]);
        let status = process.terminate().await;
        assert!(status.success(), "{status}");
        has_ended(child).await;
        assert_eq!(notes(&cluster), [""; 0]);
    }
}

#[tokio::test]
async fn a_node_that_is_killed_while_it_compiles_serves_at_once_and_does_not_try_again() {
    let mut cluster = Cluster::on_consul(1, &[]).await;
    let good = cluster.plugin("misbehave", "good.wasm");
    cluster.ask(&without_probation(&good)).await;
    cluster.all_run(&good).await;
    assert_eq!(cluster.node(0).log("before").await.0, 200);
    let slow = slow(&cluster);
    cluster.ask(&slow).await;
    let child = compiles(&cluster.node(0).process).await;
    cluster.nodes[0].process.kill();
    has_ended(child).await;
    cluster.nodes.clear();

    restart(&mut cluster, &good).await;
    let node = cluster.node(0);
    cluster.leader().await;
    let attack = async {
        node.until("it says why the slow one is not tried", |status| {
            error(status).contains(&slow) && error(status).contains("was killed")
        })
        .await;
        assert_eq!(node.log("after").await.0, 200);
        node.wrote("after attempt 1\n").await;
        compiles_nothing(node, Duration::from_secs(7)).await;
        cluster.ask(&format!(" {slow}")).await;
        compiles(&node.process).await;
    };
    measure(&cluster)
        .attack("a slow sink, after a crash", attack)
        .await;
}

#[tokio::test]
async fn a_node_serves_with_its_last_good_sink_while_the_next_is_compiled() {
    let mut cluster = Cluster::on_consul(1, &[]).await;
    let good = cluster.plugin("misbehave", "good.wasm");
    cluster.ask(&without_probation(&good)).await;
    cluster.all_run(&good).await;
    assert_eq!(cluster.node(0).log("before").await.0, 200);
    cluster.nodes[0].process.terminate().await;
    cluster.nodes.clear();
    let slow = slow(&cluster);
    cluster.ask(&slow).await;

    restart(&mut cluster, &good).await;
    cluster.leader().await;
    let node = cluster.node(0);
    let attack = async {
        assert_eq!(node.log("meanwhile").await.0, 200);
        node.wrote("meanwhile attempt 1\n").await;
        compiles(&node.process).await;
        let status = node.status().await.unwrap();
        assert_eq!(status["plugin"]["desired"]["source"], slow, "{status}");
    };
    measure(&cluster)
        .attack("a slow sink, after a start", attack)
        .await;

    // One that was stopped in order tries again.
    cluster.nodes[0].process.terminate().await;
    cluster.nodes.clear();
    restart(&mut cluster, &good).await;
    compiles(&cluster.node(0).process).await;
}

/// Starts node a, which must soon serve with this sink.
async fn restart(cluster: &mut Cluster, good: &str) {
    let started = Instant::now();
    let process = cluster.spawn("a", Options::default());
    cluster.served_by(&process).await;
    let took = started.elapsed();
    println!("serves {took:?} after its start");
    // Far less than the slow one takes.
    assert!(took < SOON, "{took:?}");
    let place = cluster.adopt("sluice", "a", process).await;
    let node = cluster.node(place);
    node.until("it has the last good sink", |status| {
        status["plugin"]["active"]["source"] == good
    })
    .await;
}
