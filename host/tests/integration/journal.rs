//! `--ack journal`: acknowledged messages are on disk, and are delivered even if
//! nodes and sinks fail.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::faults::earliest_end;
use crate::support::{Cluster, Options, Producer, eventually, guest, sluice};

const LATER: Duration = Duration::from_secs(60);

/// Nodes with the misbehaving guest. Its destination is down on nodes with a
/// file `own/down`.
pub(crate) async fn cluster(nodes: usize, config: &str, arguments: &[&str]) -> Cluster {
    let file = guest("misbehave");
    let folder = file.parent().unwrap().display().to_string();
    let manifest = json!({
        "source": format!("file://{}", file.display()),
        "config": config,
        "permissions": {"dirs": [{"host": "own", "guest": "/own", "write": true}]},
    });
    let manifest = manifest.to_string();
    let own = [
        "--ack",
        "journal",
        "--plugin",
        &manifest,
        "--plugin-dir",
        &folder,
    ];
    let arguments = [&own[..], arguments].concat();
    match nodes {
        0 | 1 => Cluster::start(nodes, &arguments).await,
        // These tests are about elections too.
        _ => Cluster::on_consul(nodes, &arguments).await,
    }
}

pub(crate) fn down(cluster: &Cluster, name: &str) -> PathBuf {
    let own = cluster
        .folder
        .path()
        .join("data")
        .join(name)
        .join("files/own");
    fs::create_dir_all(&own).unwrap();
    own.join("down")
}

fn folder(cluster: &Cluster, name: &str) -> PathBuf {
    cluster
        .folder
        .path()
        .join("data")
        .join(name)
        .join("journal")
}

pub(crate) async fn delivered(cluster: &Cluster, numbers: &BTreeSet<u64>) {
    eventually("all messages are in an output", LATER, || async {
        let output = cluster.output();
        let written: BTreeSet<u64> = output
            .lines()
            .filter_map(|line| line.strip_prefix("Message: ")?.parse().ok())
            .collect();
        match numbers.difference(&written).count() {
            0 => Ok(()),
            missing => Err(format!("{missing} of {} are missing", numbers.len())),
        }
    })
    .await;
}

#[tokio::test]
async fn messages_are_acknowledged_while_the_destination_is_down_and_survive_a_crash() {
    let mut cluster = cluster(1, "write 1 in 1", &[]).await;
    let down = down(&cluster, "a");
    fs::write(&down, "").unwrap();
    let mut producer = Producer::start(&cluster, "p", 1, "2ms");
    producer.progresses(&cluster, 300).await;
    cluster.nodes[0].process.kill();
    cluster.nodes.clear();
    cluster.add("a").await;
    cluster.leader().await;
    producer.progresses(&cluster, 50).await;
    cluster
        .node(0)
        .until("the status shows what is to be delivered", |status| {
            status["journal"]["records"].as_u64() >= Some(350)
        })
        .await;
    fs::remove_file(&down).unwrap();
    delivered(&cluster, &producer.acknowledged(&cluster)).await;
    producer.process.terminate().await;
    delivered(&cluster, &producer.acknowledged(&cluster)).await;
    cluster
        .node(0)
        .until("nothing is left", |status| {
            status["journal"]["records"] == 0
        })
        .await;
    let status = cluster.node(0).status().await.unwrap();
    assert!(
        status["counters"]["acknowledged"].as_u64() >= Some(50),
        "{status}"
    );
}

#[tokio::test]
async fn a_node_that_no_longer_leads_hands_its_journal_over() {
    let mut cluster = cluster(2, "write 1 in 1", &[]).await;
    let first = cluster.leader().await;
    let name = cluster.node(first).name.clone();
    for name in ["a", "b"] {
        fs::write(down(&cluster, name), "").unwrap();
    }
    let mut producer = Producer::start(&cluster, "p", 1, "2ms");
    producer.progresses(&cluster, 200).await;
    cluster.nodes[first].process.kill();
    cluster.nodes.remove(first);
    cluster.leader().await;
    producer.progresses(&cluster, 50).await;
    let back = cluster.add(&name).await;
    // The other node leads, and cannot deliver either: it keeps the records.
    eventually("the journal is handed over", LATER, || async {
        let back = cluster.node(back);
        match back.metric("sluice_records_handed_over_total").await {
            count if count >= 200 => Ok(()),
            count => Err(format!("only {count}")),
        }
    })
    .await;
    cluster
        .node(back)
        .until("nothing is left", |status| {
            status["journal"]["records"] == 0
        })
        .await;
    // The first node no longer has any of these records.
    cluster.nodes[back].process.kill();
    for name in ["a", "b"] {
        fs::remove_file(down(&cluster, name)).unwrap();
    }
    producer.process.terminate().await;
    delivered(&cluster, &producer.acknowledged(&cluster)).await;
}

#[tokio::test]
async fn a_destination_that_is_down_holds_up_no_hand_over() {
    let mut cluster = cluster(2, "write 1 in 1", &["--drain-timeout", "5m"]).await;
    let first = cluster.leader().await;
    for name in ["a", "b"] {
        fs::write(down(&cluster, name), "").unwrap();
    }
    let mut producer = Producer::start(&cluster, "p", 1, "2ms");
    producer.progresses(&cluster, 50).await;
    let ended = cluster.nodes[first].process.terminate().await;
    assert!(ended.success(), "{ended}");
    // From now on the other node acknowledges.
    producer.progresses(&cluster, 50).await;
    let name = cluster.node(first).name.clone();
    cluster.nodes.remove(first);
    cluster.add(&name).await;
    for name in ["a", "b"] {
        fs::remove_file(down(&cluster, name)).unwrap();
    }
    producer.process.terminate().await;
    delivered(&cluster, &producer.acknowledged(&cluster)).await;
}

#[tokio::test]
async fn leaders_are_killed_again_and_again() {
    const KILLS: usize = 4;
    let mut cluster = cluster(3, "write 1 in 1", &[]).await;
    let mut producers: Vec<_> = (1..=4)
        .map(|place| Producer::start(&cluster, &format!("p{place}"), place * 1_000_000_000, "1ms"))
        .collect();
    let end = earliest_end();
    let mut kills = 0;
    while kills < KILLS || Instant::now() < end {
        for producer in &producers {
            producer.progresses(&cluster, 20).await;
        }
        tokio::time::sleep(Duration::from_millis(rand::random_range(0..300))).await;
        let leader = cluster.leader().await;
        let name = cluster.node(leader).name.clone();
        cluster.nodes[leader].process.kill();
        kills += 1;
        cluster.leader().await;
        cluster.nodes.remove(leader);
        cluster.add_with(&name, Options::default()).await;
    }
    println!("{kills} kills");
    for producer in &mut producers {
        producer.process.terminate().await;
    }
    for producer in &producers {
        delivered(&cluster, &producer.acknowledged(&cluster)).await;
    }
}

#[tokio::test]
async fn what_a_crash_cuts_short_is_cut_counted_and_told() {
    let mut cluster = cluster(1, "write 1 in 1", &[]).await;
    let down = down(&cluster, "a");
    fs::write(&down, "").unwrap();
    let producer = Producer::start(&cluster, "p", 1, "2ms");
    producer.progresses(&cluster, 50).await;
    cluster.nodes[0].process.kill();
    let acknowledged = producer.acknowledged(&cluster);

    let data_dir = cluster.folder.path().join("data/a").display().to_string();
    let verify = ["journal", "verify", "--data-dir", &data_dir];
    let newest = |cluster: &Cluster| {
        let mut files: Vec<_> = fs::read_dir(folder(cluster, "a"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        files.pop().unwrap()
    };
    let (code, out, err) = sluice(&cluster, &verify).await;
    assert!(code == Some(0) && out.contains("whole"), "{out}{err}");
    let end = out.lines().find_map(|line| line.strip_prefix("bytes"));
    let end: usize = end.unwrap().trim().parse().unwrap();
    // This is what an unfinished write leaves: a part of a frame in the space
    // that is reserved behind the frames.
    let file = newest(&cluster);
    let mut bytes = fs::read(&file).unwrap();
    assert!(bytes.len() > 1 << 20, "no space is reserved");
    let remains = b"\xFE\x02 a frame that never came to its end";
    bytes[end..end + remains.len()].copy_from_slice(remains);
    fs::write(&file, &bytes).unwrap();
    let (code, out, _) = sluice(&cluster, &verify).await;
    assert!(code == Some(1) && out.contains("did not end"), "{out}");
    let (code, _, err) = sluice(&cluster, &["journal", "verify", "--data-dir", "nowhere"]).await;
    assert!(code == Some(1) && err.contains("nowhere"), "{err}");

    cluster.nodes.clear();
    cluster.add("a").await;
    let damaged = cluster
        .node(0)
        .metric("sluice_journal_damaged_bytes_total")
        .await;
    assert_eq!(damaged, remains.len() as u64);
    fs::remove_file(&down).unwrap();
    delivered(&cluster, &acknowledged).await;
    cluster.nodes[0].process.terminate().await;
    let (code, out, err) = sluice(&cluster, &verify).await;
    assert!(code == Some(0) && out.contains("whole"), "{out}{err}");
}

#[tokio::test]
async fn what_the_sink_refuses_after_the_acknowledgement_is_a_dead_letter() {
    let cluster = cluster(1, "refuse 1 in 100", &[]).await;
    let mut producer = Producer::start(&cluster, "p", 1, "1ms");
    producer.progresses(&cluster, 300).await;
    producer.process.terminate().await;
    let mut expected = producer.acknowledged(&cluster);
    let refused: BTreeSet<_> = expected.iter().copied().filter(|n| n % 100 == 0).collect();
    expected.retain(|number| number % 100 != 0);
    delivered(&cluster, &expected).await;
    assert!(refused.len() >= 3);
    eventually("the refused ones are dead letters", LATER, || async {
        let (_, out, _) = sluice(&cluster, &["dlq", "list", "--json"]).await;
        let is_there = |number: &u64| out.contains(&format!("\"Message: {number}\""));
        match refused.iter().all(is_there) && out.contains("\"cause\":\"refused\"") {
            true => Ok(()),
            false => Err(out),
        }
    })
    .await;
}

#[tokio::test]
async fn a_full_journal_answers_429_until_it_has_room() {
    let arguments = ["--journal-bytes", "1MiB"];
    let cluster = cluster(1, "write 1 in 1", &arguments).await;
    let down = down(&cluster, "a");
    fs::write(&down, "").unwrap();
    let node = cluster.node(0);
    let text = "x".repeat(20_000);
    let mut taken = 0;
    let (status, body) = loop {
        let (status, body) = node.log(&text).await;
        if status != 200 {
            break (status, body);
        }
        taken += 1;
    };
    assert_eq!(status, 429, "{body}");
    assert!((45..=53).contains(&taken), "{taken}");
    fs::remove_file(&down).unwrap();
    eventually("there is space again", LATER, || async {
        match node.log("room").await {
            (200, _) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    node.wrote("room").await;
    let (status, body) = node.log(&"x".repeat(600_000)).await;
    assert!(
        status == 413 && body.contains("--journal-bytes"),
        "{status} {body}"
    );
}

/// A small file system, unmounted on drop.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(place: PathBuf, size: &str) -> Self {
        fs::create_dir_all(&place).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(&place)
            .status()
            .unwrap();
        assert!(mounted.success(), "mounting a tmpfs needs root");
        Self(place)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).status());
    }
}

#[tokio::test]
async fn on_a_full_disk_nothing_is_acknowledged_and_nothing_is_lost() {
    let mut cluster = cluster(0, "write 1 in 1", &[]).await;
    let disk = SmallDisk::mount(cluster.folder.path().join("data/a"), "12m");
    cluster.add("a").await;
    cluster.leader().await;
    let down = down(&cluster, "a");
    fs::write(&down, "").unwrap();
    let node = cluster.node(0);
    node.log("before").await;
    // Something else takes nearly all the space.
    let hog = disk.0.join("hog");
    let mut file = fs::File::create(&hog).unwrap();
    while file.write_all(&[1; 4096]).is_ok() {}
    let left = file.metadata().unwrap().len().saturating_sub(200_000);
    file.set_len(left).unwrap();
    drop(file);
    let mut producer = Producer::start(&cluster, "p", 1, "1ms");
    node.until("the journal cannot be written", |status| {
        status["journal"]["error"]
            .as_str()
            .is_some_and(|error| error.contains("space"))
    })
    .await;
    let (status, body) = node.log("while it is full").await;
    assert!(status == 503 && body.contains("journal"), "{status} {body}");
    let ready = cluster.http.get(node.url("/readyz")).send().await.unwrap();
    assert_eq!(ready.status(), 503);
    let reason = ready.text().await.unwrap();
    assert_eq!(reason, "the journal cannot be written");
    let acknowledged = producer.acknowledged(&cluster);
    // The node resumes by itself when there is space.
    fs::remove_file(&hog).unwrap();
    producer.progresses(&cluster, 50).await;
    fs::remove_file(&down).unwrap();
    producer.process.terminate().await;
    let all = producer.acknowledged(&cluster);
    assert!(all.len() >= acknowledged.len() + 50);
    delivered(&cluster, &all).await;
    node.wrote("before").await;
    cluster.nodes.clear();
}

#[tokio::test]
async fn a_journal_of_before_is_still_delivered_with_ack_sink() {
    let mut cluster = cluster(1, "write 1 in 1", &[]).await;
    let down = down(&cluster, "a");
    fs::write(&down, "").unwrap();
    for number in 0..20 {
        assert_eq!(
            cluster.node(0).log(&format!("Message: {number}")).await.0,
            200
        );
    }
    cluster.nodes[0].process.kill();
    cluster.nodes.clear();
    fs::remove_file(&down).unwrap();
    cluster
        .add_with("a", Options::with(&["--ack", "sink"]))
        .await;
    delivered(&cluster, &(0..20).collect()).await;
    assert_eq!(cluster.node(0).log("now").await.0, 200);
}

#[tokio::test]
async fn a_restart_in_order_delivers_nothing_twice() {
    let mut cluster = cluster(1, "write 1 in 1", &[]).await;
    for number in 0..50 {
        let message = format!("Message: {number}");
        assert_eq!(cluster.node(0).log(&message).await.0, 200);
    }
    delivered(&cluster, &(0..50).collect()).await;
    cluster.nodes[0].process.terminate().await;
    cluster.nodes.clear();
    cluster.add("a").await;
    cluster.leader().await;
    assert_eq!(cluster.node(0).log("Message: 50").await.0, 200);
    delivered(&cluster, &[50].into()).await;
    let output = cluster.output();
    let count = output
        .lines()
        .filter(|line| line.starts_with("Message: "))
        .count();
    assert_eq!(count, 51, "{output}");
}
