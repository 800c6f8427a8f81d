//! Those that watch are few, and slow ones hold up nobody.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::watching::{Watching, ask};
use crate::support::{Cluster, Node, SOON, eventually};

/// Watches without reading the answer.
async fn stuck(node: &Node) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 << 10).unwrap();
    let address = node.address.parse().unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    let request = "GET /api/v1/tail?limit=1000 HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.readable().await.unwrap();
    stream
}

/// The resident memory of a node, in MiB.
fn resident(node: &Node) -> usize {
    let pid = node.process.pid().as_raw_nonzero();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.unwrap().trim().trim_end_matches(" kB");
    kib.parse::<usize>().unwrap() / 1024
}

/// Sends so many requests of 4 MiB each. Meanwhile these clients take a little of
/// their answers, so that they are not cut off.
async fn send(node: &Node, requests: usize, slow: &mut [TcpStream]) {
    let line = format!("{}\n", "x".repeat(4095));
    let body = line.repeat(1000);
    for _ in 0..requests {
        for stream in &mut *slow {
            drop(stream.try_read(&mut [0; 32 << 10]));
        }
        let (status, answer) = node.post("/api/v1/logs", "text/plain", body.clone()).await;
        assert_eq!(status, 200, "{answer}");
    }
}

#[tokio::test]
async fn slow_clients_get_a_sample_and_cost_little_memory() {
    let cluster = Cluster::start(1, &[]).await;
    let node = cluster.node(0);
    send(node, 8, &mut []).await;
    let before = resident(node);
    let mut slow = Vec::new();
    for _ in 0..4 {
        slow.push(stuck(node).await);
    }
    // More than the systems of both sides keep for them.
    send(node, 40, &mut slow).await;
    let grown = resident(node).saturating_sub(before);
    assert!(grown < 64, "{grown} MiB of 160 MiB that have passed");
    for mut stream in slow {
        let mut text = Vec::new();
        let reading = async {
            let unseen = b"\"unfiltered\":";
            let mut part = vec![0; 64 << 10];
            loop {
                let read = stream.read(&mut part).await.unwrap();
                assert_ne!(read, 0, "{}", String::from_utf8_lossy(&text));
                text.extend_from_slice(&part[..read]);
                let from = text.len().saturating_sub(read + unseen.len());
                let mut windows = text[from..].windows(unseen.len() + 1);
                if windows.any(|found| found.starts_with(unseen) && found.last() != Some(&b'0')) {
                    return;
                }
            }
        };
        let told = tokio::time::timeout(SOON, reading).await;
        told.expect("it is told that records were skipped");
    }
}

#[tokio::test]
async fn more_records_than_the_limit_are_sampled_and_counted() {
    let cluster = Cluster::start(1, &[]).await;
    let node = cluster.node(0);
    let mut watching = Watching::begin(node, "limit=10&filter=even").await;
    let lines: String = (0..1000)
        .map(|n| format!("{n} {}\n", if n % 2 == 0 { "even" } else { "odd" }))
        .collect();
    let (status, body) = node.post("/api/v1/logs", "text/plain", lines).await;
    assert_eq!(status, 200, "{body}");
    let (mut shown, mut skipped) = (0, 0);
    while shown + skipped < 500 {
        let (name, data) = watching.next().await.unwrap();
        match &*name {
            "record" => {
                assert!(data["body"].as_str().unwrap().ends_with("even"), "{data}");
                shown += 1;
            }
            "skipped" => {
                assert_eq!(data["unfiltered"], 0, "{data}");
                skipped += data["records"].as_u64().unwrap();
            }
            other => panic!("{other}: {data}"),
        }
    }
    // The batch may have taken a moment.
    assert!((10..50).contains(&shown), "{shown}");
    assert_eq!(shown + skipped, 500);
}

#[tokio::test]
async fn sixteen_may_watch_and_places_come_back() {
    let cluster = Cluster::start(2, &[]).await;
    let node = cluster.node(cluster.follower().await);
    let mut watching = Vec::new();
    for _ in 0..16 {
        watching.push(Watching::begin(node, "").await);
    }
    let refused = ask(node, "").await;
    assert_eq!(refused.status(), 503);
    let text = refused.text().await.unwrap();
    assert!(text.contains("16 clients watch already"), "{text}");
    drop(watching.pop());
    eventually("a place is free", SOON, || async {
        match ask(node, "").await.status().as_u16() {
            200 => Ok(()),
            other => Err(other.to_string()),
        }
    })
    .await;
}

#[tokio::test]
async fn a_node_stops_at_once_while_clients_watch() {
    let mut cluster = Cluster::start(2, &[]).await;
    let (leader, follower) = (cluster.leader().await, cluster.follower().await);
    let _stuck = stuck(cluster.node(leader)).await;
    for place in [follower, leader] {
        let mut watching = Watching::begin(cluster.node(place), "").await;
        let process = &mut cluster.nodes[place].process;
        let started = std::time::Instant::now();
        let (status, end) = tokio::join!(process.terminate(), async {
            let end = watching.event("end").await;
            (end, watching.next().await)
        });
        assert!(status.success(), "{status}");
        let (end, after) = end;
        assert_eq!(end["reason"], "this node is stopping");
        assert!(after.is_none(), "the answer ends as it should: {after:?}");
        assert!(started.elapsed() < Duration::from_secs(10));
    }
}
