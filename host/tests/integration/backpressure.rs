//! Clients that are slow or silent, or that send too much, do not affect other
//! clients, and memory stays bounded.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::{Cluster, Node, Options};

/// The peak resident memory of a node, in MiB.
fn peak(node: &Node) -> u64 {
    let pid = node.process.pid().as_raw_nonzero();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.unwrap().trim().trim_end_matches(" kB");
    kib.parse::<u64>().unwrap() / 1024
}

fn connect(node: &Node, said: &str) -> TcpStream {
    let mut stream = TcpStream::connect(&node.address).unwrap();
    stream.write_all(said.as_bytes()).unwrap();
    stream
}

/// Sends messages one by one. Each must be acknowledged. Returns how long the
/// slowest took.
async fn serves(node: &Node, messages: usize) -> Duration {
    let mut slowest = Duration::ZERO;
    for number in 0..messages {
        let started = Instant::now();
        let (status, body) = node.log(&format!("Message: {number}")).await;
        assert_eq!(status, 200, "{body}");
        slowest = slowest.max(started.elapsed());
    }
    slowest
}

#[tokio::test]
async fn idle_slow_and_half_sent_clients_hold_up_nobody() {
    // All of them have one address.
    let arguments = [
        "--request-timeout",
        "3s",
        "--max-connections-per-source",
        "0",
    ];
    let cluster = Cluster::start(1, &arguments).await;
    let node = cluster.node(0);
    let mut held = Vec::new();
    // Each takes two file descriptors of this machine, one of them here.
    for _ in 0..2000 {
        held.push(connect(node, ""));
    }
    for _ in 0..200 {
        held.push(connect(
            node,
            "POST /api/v1/log HTTP/1.1\r\nhost: a\r\ncontent-le",
        ));
        held.push(connect(
            node,
            "POST /api/v1/log HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\nhalf of it",
        ));
        held.push(connect(
            node,
            "POST /api/v1/logs HTTP/1.1\r\nhost: a\r\ncontent-type: text/plain\r\n\
             transfer-encoding: chunked\r\n\r\n5\r\nhel",
        ));
    }
    assert!(serves(node, 200).await < Duration::from_secs(2));
    // A client that sent half of a body gets an answer when the time is over.
    let mut half = held.swap_remove(2001);
    half.set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let mut answer = [0; 12];
    half.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
    assert!(peak(node) < 256, "{} MiB", peak(node));
}

#[tokio::test]
async fn clients_that_do_not_read_their_answers_hold_up_nobody() {
    let cluster = Cluster::start(1, &[]).await;
    let node = cluster.node(0);
    // The requests are pipelined, and no answer is ever read.
    let request = "POST /api/v1/log HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\n\r\nx";
    let mut held = Vec::new();
    for _ in 0..100 {
        let stream = connect(node, "");
        stream.set_nonblocking(true).unwrap();
        held.push(stream);
    }
    let flood = request.repeat(500);
    for stream in &mut held {
        for _ in 0..20 {
            // An error means that the connection is full.
            if stream.write(flood.as_bytes()).is_err() {
                break;
            }
        }
    }
    assert!(serves(node, 200).await < Duration::from_secs(5));
    assert!(peak(node) < 256, "{} MiB", peak(node));
}

#[tokio::test]
async fn huge_bodies_share_a_bounded_memory() {
    let cluster = Cluster::start(1, &[]).await;
    let node = cluster.node(0);
    let head = "POST /api/v1/logs HTTP/1.1\r\nhost: a\r\ncontent-type: text/plain\r\n\
                content-length: 16000000\r\n\r\n";
    // Together these exceed the limit, and none of them is ever complete.
    let block = vec![b'x'; 1 << 20];
    let mut held: Vec<_> = (0..40).map(|_| connect(node, head)).collect();
    for stream in &held {
        stream
            .set_write_timeout(Some(Duration::from_secs(5)))
            .unwrap();
    }
    for _ in 0..12 {
        for stream in &mut held {
            // The node may have refused it and closed the connection.
            drop(stream.write_all(&block));
        }
    }
    assert!(serves(node, 50).await < Duration::from_secs(5));
    // Most of them were refused, and are told within a second.
    let mut told = 0;
    for stream in &mut held {
        stream
            .set_read_timeout(Some(Duration::from_millis(300)))
            .unwrap();
        let mut answer = [0; 12];
        if stream.read_exact(&mut answer).is_ok() {
            assert_eq!(&answer, b"HTTP/1.1 429");
            told += 1;
        }
    }
    assert!(told >= 30, "{told}");
    assert!(peak(node) < 256, "{} MiB", peak(node));
    drop(held);
    // The memory is available again.
    let body = format!("{}\n", "y".repeat(1000)).repeat(10_000);
    let (status, body) = node.post("/api/v1/logs", "text/plain", body.clone()).await;
    assert_eq!(status, 200, "{body}");
}

#[tokio::test]
async fn bodies_that_unpack_to_very_much_are_refused_early() {
    let cluster = Cluster::start(1, &[]).await;
    let node = cluster.node(0);
    let before = peak(node);
    // Decoded into records, these would take gigabytes.
    for (content_type, body) in [
        ("text/plain", "x\n".repeat(4_000_000)),
        ("application/x-ndjson", "{}\n".repeat(4_000_000)),
        ("application/json", format!("[1{}]", ",1".repeat(4_000_000))),
    ] {
        let (status, answer) = node.post("/api/v1/logs", content_type, body.clone()).await;
        assert_eq!(status, 413, "{answer}");
    }
    assert!(
        peak(node) < before + 128,
        "{before}, then {} MiB",
        peak(node)
    );
    assert!(serves(node, 10).await < Duration::from_secs(2));
}

#[tokio::test]
async fn more_than_the_sink_takes_is_refused_and_memory_stays_bounded() {
    let mut cluster = Cluster::start(0, &[]).await;
    let (reader, writer) = std::io::pipe().unwrap();
    let options = Options {
        stdout: Some(Stdio::from(writer)),
        ..Options::default()
    };
    cluster.add_with("a", options).await;
    cluster.leader().await;
    // Reads about a tenth of what is sent.
    let reading = std::thread::spawn(move || {
        let mut reader = reader;
        let mut block = vec![0; 64 << 10];
        while reader.read(&mut block).is_ok_and(|count| count > 0) {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let body = format!("{}\n", "z".repeat(200)).repeat(1000);
    let node = cluster.node(0);
    let end = Instant::now() + Duration::from_secs(8);
    let clients = (0..256).map(|_| async {
        let mut counts = [0_u32; 2];
        while Instant::now() < end {
            match node.post("/api/v1/logs", "text/plain", body.clone()).await {
                (200, _) => counts[0] += 1,
                (429 | 503 | 504, _) => counts[1] += 1,
                other => panic!("{other:?}"),
            }
        }
        counts
    });
    let counts = futures_util::future::join_all(clients).await;
    let sum = |place: usize| counts.iter().map(|counts| counts[place]).sum::<u32>();
    println!("{} taken, {} refused", sum(0), sum(1));
    assert!(sum(0) > 0 && sum(1) > 0, "{counts:?}");
    assert!(peak(node) < 256, "{} MiB", peak(node));
    drop(cluster);
    reading.join().unwrap();
}
