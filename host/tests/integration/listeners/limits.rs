//! What idle, slow and greedy clients cost.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::doors::cluster;
use super::relp::Relp;
use super::send;
use crate::support::{SOON, eventually};

const CONNECTIONS: usize = 5000;
/// What an idle client may cost, in bytes.
const IDLE_BYTES: usize = 16 << 10;

#[tokio::test]
async fn thousands_of_clients_that_send_little_cost_little() {
    let (cluster, doors) = cluster(1, &[]).await;
    let node = cluster.node(0);
    let before = resident(node.process.pid().as_raw_nonzero().get());
    let mut clients = Vec::new();
    for number in 0..CONNECTIONS {
        let mut client = TcpStream::connect(doors[0].syslog()).await.unwrap();
        let line = format!("<14>1 - host app - - - number {number}\n<14>");
        client.write_all(line.as_bytes()).await.unwrap();
        clients.push(client);
    }
    eventually("all are written", SOON, || async {
        match cluster.output().lines().count() {
            CONNECTIONS => Ok(()),
            count => Err(count.to_string()),
        }
    })
    .await;
    let metrics = cluster.http.get(node.url("/metrics")).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    let open = format!("sluice_listener_connections{{protocol=\"syslog\"}} {CONNECTIONS}");
    assert!(metrics.contains(&open), "{metrics}");
    let after = resident(node.process.pid().as_raw_nonzero().get());
    let each = after.saturating_sub(before) / CONNECTIONS;
    assert!(each <= IDLE_BYTES, "{each} bytes for each client");
    // Every one is still served.
    for (number, client) in clients.iter_mut().enumerate().step_by(500) {
        let line = format!("1 - host app - - - again {number}\n");
        client.write_all(line.as_bytes()).await.unwrap();
    }
    eventually("the rest is written", SOON, || async {
        let output = cluster.output();
        match output
            .lines()
            .filter(|line| line.starts_with("again"))
            .count()
        {
            10 => Ok(()),
            count => Err(count.to_string()),
        }
    })
    .await;
}

/// The resident memory of a process, in bytes.
fn resident(pid: i32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib: usize = line
        .unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    kib << 10
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_and_the_others_stay() {
    let (_cluster, doors) = cluster(1, &["--max-listener-connections", "2"]).await;
    let mut first = Relp::open(&doors[0].relp()).await.unwrap();
    let _second = TcpStream::connect(doors[0].syslog()).await.unwrap();
    eventually("a third one is closed", SOON, || async {
        match Relp::open(&doors[0].relp()).await {
            None => Ok(()),
            Some(_) => Err("it was opened".to_owned()),
        }
    })
    .await;
    first.send("still here").await.unwrap();
    assert_eq!(first.answered().await.as_deref(), Some("still here"));
}

#[tokio::test]
async fn a_full_queue_slows_clients_down_and_loses_nothing() {
    // Much more than the queue and the sockets hold.
    const MESSAGES: usize = 20_000;
    let (cluster, doors) = cluster(2, &["--queue-records", "500"]).await;
    let senders = doors.iter().enumerate().map(|(node, doors)| {
        let address = doors.syslog();
        tokio::task::spawn_blocking(move || {
            let mut lines = String::new();
            for number in 0..MESSAGES {
                lines.push_str(&format!("<14>1 - host app - - - {node} number {number}\n"));
            }
            send(&address, lines.as_bytes());
        })
    });
    let senders: Vec<_> = senders.collect();
    for sender in senders {
        sender.await.unwrap();
    }
    eventually("all are written", Duration::from_secs(60), || async {
        let output = cluster.output();
        let mut lines: Vec<_> = output.lines().collect();
        lines.sort_unstable();
        lines.dedup();
        match lines.len() == 2 * MESSAGES {
            true => Ok(()),
            false => Err(lines.len().to_string()),
        }
    })
    .await;
}
