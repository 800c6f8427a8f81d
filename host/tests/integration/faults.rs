//! Runs with faults: whatever happens, nothing acknowledged is lost, and each
//! producer's messages keep their order. A run ends when enough has happened,
//! which takes some seconds. With `SLUICE_SOAK_SECONDS` (`make soak`) every run
//! takes at least that long.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Cluster, History, Options, Producer, SOON, eventually, guest, sluice};

/// The first number of each producer is a multiple of this.
const SPAN: u64 = 1_000_000_000;
const PRODUCERS: u64 = 4;
/// For conditions that a run reaches within seconds on an idle machine.
const RUN_LIMIT: Duration = Duration::from_secs(120);

/// The earliest end of a run that starts now.
pub(crate) fn earliest_end() -> Instant {
    let seconds = std::env::var("SLUICE_SOAK_SECONDS").map_or(0, |s| s.parse().unwrap());
    Instant::now() + Duration::from_secs(seconds)
}

/// Running producers, and the cluster that they send to.
struct Run {
    cluster: Cluster,
    producers: Vec<Producer>,
}

impl Run {
    /// Nodes with the misbehaving guest as their sink.
    async fn start(nodes: usize, config: &str, limits: Value) -> Self {
        let file = guest("misbehave");
        let folder = file.parent().unwrap().display().to_string();
        let dirs = json!([{"host": "own", "guest": "/own", "write": true}]);
        let manifest = json!({
            "source": format!("file://{}", file.display()),
            "config": config,
            "limits": limits,
            "permissions": {"dirs": dirs},
        });
        let manifest = manifest.to_string();
        let arguments = ["--plugin", &manifest, "--plugin-dir", &folder];
        let cluster = Cluster::on_consul(nodes, &arguments).await;
        let producers = (1..=PRODUCERS)
            .map(|place| Producer::start(&cluster, &format!("p{place}"), place * SPAN + 1, "1ms"))
            .collect();
        Self { cluster, producers }
    }

    async fn progresses(&self, by: usize) {
        for producer in &self.producers {
            producer.progresses(&self.cluster, by).await;
        }
    }

    /// Waits for the earliest end, and until each producer has this many
    /// acknowledgements.
    async fn lasts(&self, acknowledgements: usize) {
        tokio::time::sleep_until(earliest_end().into()).await;
        for producer in &self.producers {
            producer
                .gets(&self.cluster, acknowledgements, RUN_LIMIT)
                .await;
        }
    }

    /// Waits until a message of each producer is in the queue, and the sink has
    /// been offered some of them again several times.
    async fn is_held_up(&self) {
        const RETRIES: u64 = 2 * PRODUCERS;
        let before = self.sum("/counters/retried").await.unwrap();
        eventually("all producers are held up", SOON, || async {
            let waiting = self.sum("/queue/records").await?;
            let retried = self.sum("/counters/retried").await?;
            match waiting >= PRODUCERS && retried >= before + RETRIES {
                true => Ok(()),
                false => Err(format!("{waiting} wait; retried {before}, then {retried}")),
            }
        })
        .await;
    }

    /// The sum of a number in the status of all nodes.
    async fn sum(&self, pointer: &str) -> Result<u64, String> {
        let mut sum = 0;
        for node in &self.cluster.nodes {
            let status = node.status().await?;
            let number = status.pointer(pointer).and_then(Value::as_u64);
            sum += number.ok_or_else(|| status.to_string())?;
        }
        Ok(sum)
    }

    /// Stops the producers and judges the run. Returns the number of
    /// acknowledged messages, and the dead letters.
    async fn judge(mut self) -> (usize, BTreeSet<u64>) {
        self.progresses(1).await;
        for producer in &mut self.producers {
            producer.process.terminate().await;
        }
        let (code, out, err) = sluice(&self.cluster, &["dlq", "list", "--json"]).await;
        assert_eq!(code, Some(0), "{out}{err}");
        let number = |body: &str| {
            body.strip_prefix("Message: ")?
                .split(' ')
                .next()?
                .parse()
                .ok()
        };
        let dead = out.lines().filter_map(|line| {
            let letter: Value = serde_json::from_str(line).unwrap();
            number(letter["record"]["body"].as_str()?)
        });
        let history = History {
            producers: self
                .producers
                .iter()
                .map(|p| p.acknowledged(&self.cluster))
                .collect(),
            written: self
                .cluster
                .nodes
                .iter()
                .map(|node| node.process.stdout().lines().filter_map(number).collect())
                .collect(),
            dead: dead.collect(),
        };
        let verdict = history.judge();
        let acknowledged = history.producers.iter().map(BTreeSet::len).sum();
        println!(
            "{acknowledged} acknowledged, {} set aside, {} repeats",
            history.dead.len(),
            verdict.repeats
        );
        assert!(verdict.is_clean(), "{verdict:?}");
        (acknowledged, history.dead)
    }
}

#[tokio::test]
async fn one_record_in_a_thousand_traps() {
    let run = Run::start(1, "trap 1 in 1000", json!({})).await;
    run.lasts(1500).await;
    let (acknowledged, dead) = run.judge().await;
    assert!(dead.len() >= acknowledged / 2000, "{dead:?}");
    assert!(dead.iter().all(|number| number % 1000 == 0), "{dead:?}");
}

#[tokio::test]
async fn one_record_in_a_thousand_spins() {
    let run = Run::start(1, "spin 1 in 1000", json!({"write_timeout_ms": 500})).await;
    run.lasts(1100).await;
    let (acknowledged, dead) = run.judge().await;
    assert!(acknowledged > 1000, "only {acknowledged}");
    assert!(
        !dead.is_empty() && dead.iter().all(|number| number % 1000 == 0),
        "{dead:?}"
    );
}

#[tokio::test]
async fn one_record_in_a_hundred_is_refused() {
    let run = Run::start(1, "refuse 1 in 100", json!({})).await;
    run.lasts(500).await;
    let (acknowledged, dead) = run.judge().await;
    assert!(acknowledged > 1000, "only {acknowledged}");
    // The producers were told, so nothing is kept.
    assert!(dead.is_empty(), "{dead:?}");
}

#[tokio::test]
async fn the_destination_is_down_for_a_while() {
    let run = Run::start(2, "write 1 in 1", json!({})).await;
    run.progresses(100).await;
    let places = ["a", "b"].map(|node| {
        let own = run
            .cluster
            .folder
            .path()
            .join("data")
            .join(node)
            .join("files/own");
        fs::create_dir_all(&own).unwrap();
        own.join("down")
    });
    for place in &places {
        fs::write(place, "").unwrap();
    }
    tokio::time::sleep_until(earliest_end().into()).await;
    run.is_held_up().await;
    for place in &places {
        fs::remove_file(place).unwrap();
    }
    run.progresses(100).await;
    let (_, dead) = run.judge().await;
    assert!(dead.is_empty(), "{dead:?}");
}

#[tokio::test]
async fn the_leader_is_killed_again_and_again() {
    const KILLS: usize = 5;
    let mut run = Run::start(3, "write 1 in 1", json!({})).await;
    let end = earliest_end();
    let mut kills = 0;
    while kills < KILLS || Instant::now() < end {
        run.progresses(20).await;
        tokio::time::sleep(Duration::from_millis(rand::random_range(0..300))).await;
        let leader = run.cluster.leader().await;
        let name = run.cluster.node(leader).name.clone();
        run.cluster.nodes[leader].process.kill();
        kills += 1;
        run.cluster.leader().await;
        let dead = run.cluster.nodes.remove(leader);
        drop(dead);
        run.cluster.add_with(&name, Options::default()).await;
    }
    println!("{kills} kills");
    run.judge().await;
}

#[tokio::test]
async fn the_sink_is_swapped_every_moment() {
    const SWAPS: usize = 40;
    let run = Run::start(2, "write 1 in 1", json!({})).await;
    run.progresses(10).await;
    let end = earliest_end();
    let mut swaps = 0;
    while swaps < SWAPS || Instant::now() < end {
        swaps += 1;
        let manifest = if swaps % 2 == 0 {
            json!({"source": "builtin:stdout", "permissions": {"env": {"SWAP": swaps.to_string()}}})
        } else {
            json!({"source": "builtin:stdout"})
        };
        run.cluster
            .consul
            .put("kv/sluice/plugin", &manifest.to_string())
            .await;
        run.cluster.runs_what_is_asked_for().await;
    }
    println!("{swaps} swaps");
    run.judge().await;
}
