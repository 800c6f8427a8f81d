//! How streams spread over the nodes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::key_of;
use crate::support::{Cluster, SOON, eventually};

/// How many streams there are beside the default one.
const STREAMS: usize = 8;
/// How long a node that joins may wait for its share.
const SHARE_WITHIN: Duration = Duration::from_secs(30);

fn names() -> Vec<String> {
    (0..STREAMS).map(|number| format!("s{number}")).collect()
}

impl Cluster {
    /// How many streams each node leads; an error while one has no leader.
    async fn spread(&self, places: &[usize]) -> Result<BTreeMap<usize, usize>, String> {
        let mut counts: BTreeMap<_, _> = places.iter().map(|place| (*place, 0)).collect();
        for stream in names().iter().map(String::as_str).chain(["default"]) {
            let mut leaders = 0;
            for place in places {
                let found = self.stream_at(*place, stream).await;
                let found = found.ok_or_else(|| format!("no {stream} at {place}"))?;
                if found["role"] == "leader" {
                    *counts.entry(*place).or_default() += 1;
                    leaders += 1;
                }
            }
            if leaders != 1 {
                return Err(format!("{leaders} nodes lead {stream}"));
            }
        }
        Ok(counts)
    }

    /// Waits until each of these nodes leads at least so many streams.
    async fn each_leads(&self, places: &[usize], least: usize, within: Duration) {
        eventually(&format!("each leads {least}"), within, || async {
            let counts = self.spread(places).await?;
            match counts.values().all(|count| *count >= least) {
                true => Ok(()),
                false => Err(format!("{counts:?}")),
            }
        })
        .await;
    }

    /// Sends a message to each stream at this node until it is acknowledged.
    async fn all_take(&self, place: usize, text: &str) {
        for stream in names() {
            self.is_taken(place, &stream, &format!("{text}-{stream}"))
                .await;
        }
    }
}

#[tokio::test]
async fn streams_spread_over_the_nodes_that_are_there() {
    let mut cluster = Cluster::on_consul(1, &[]).await;
    cluster.leader().await;
    for stream in names() {
        cluster.consul.put(&key_of(&stream), "builtin:stdout").await;
    }
    cluster.all_take(0, "alone").await;
    cluster.add("b").await;
    cluster.each_leads(&[0, 1], 4, SHARE_WITHIN).await;
    cluster.all_take(0, "two").await;
    cluster.add("c").await;
    // Those that b got a moment ago stay there for a minute.
    cluster.each_leads(&[0, 1, 2], 2, SHARE_WITHIN).await;
    cluster.all_take(1, "three").await;
    // One that is killed.
    let began = Instant::now();
    cluster.nodes[2].process.kill();
    cluster.all_take(0, "killed").await;
    println!(
        "all streams take records {:?} after a kill",
        began.elapsed()
    );
    cluster.each_leads(&[0, 1], 4, SOON).await;
    // One that leaves in order.
    assert!(cluster.nodes[1].process.terminate().await.success());
    let began = Instant::now();
    cluster.all_take(0, "left").await;
    println!(
        "all streams take records {:?} after a node has left",
        began.elapsed()
    );
    // Nothing was lost, and nothing was written twice.
    let output = cluster.output();
    for text in ["alone", "two", "three", "killed", "left"] {
        for stream in names() {
            let line = format!("{text}-{stream}\n");
            assert_eq!(output.matches(&line).count(), 1, "{line}");
        }
    }
}

#[tokio::test]
async fn a_stream_stays_with_the_node_that_it_is_pinned_to() {
    let cluster = Cluster::on_consul(2, &[]).await;
    let leader = cluster.leader().await;
    // Where there is more to do already.
    let name = &cluster.node(leader).name;
    let manifest = format!(r#"{{"source": "builtin:stdout", "pin": "{name}"}}"#);
    cluster.create("pinned", &manifest).await;
    cluster.create("other", "builtin:stdout").await;
    eventually("another goes to the other node", SHARE_WITHIN, || async {
        let mut elsewhere = 0;
        for stream in ["default", "other"] {
            elsewhere += usize::from(cluster.leads(stream, SOON).await != leader);
        }
        match elsewhere {
            0 => Err("all are there still".to_owned()),
            _ => Ok(()),
        }
    })
    .await;
    assert_eq!(cluster.leads("pinned", SOON).await, leader);
    let other = &cluster.node(1 - leader).name;
    let manifest = format!(r#"{{"source": "builtin:stdout", "pin": "{other}"}}"#);
    cluster.create("pinned", &manifest).await;
    eventually("it follows its pin", SHARE_WITHIN, || async {
        match cluster.leads("pinned", SOON).await {
            place if place != leader => Ok(()),
            _ => Err("not yet".to_owned()),
        }
    })
    .await;
}
