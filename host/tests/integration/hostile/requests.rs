//! What requests cost in memory is accounted before it is spent: however
//! hostile they are, a node's resident memory grows by at most the budget for
//! requests, the queue and a constant, and an innocent client is served.

pub(super) mod attack;

use std::io::Write;
use std::net::TcpStream;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::alone;
use super::measure::{Innocent, Measure};
use crate::support::{Cluster, Node, Options};
use attack::{Attack, BODY, JSON, LINES, NDJSON, attacks, gzip, zstd};

/// In MiB, on any number of cores up to 4: the bodies that are decoded at the
/// time, what each decoder and connection takes, and what the allocator keeps.
const CONSTANT: u64 = 176;
/// The longest that an innocent client waits.
const PATIENCE: Duration = Duration::from_secs(1);
/// The hostile clients of an attack.
const CLIENTS: usize = 40;

/// Sends an attack by many clients, twice each. Returns the statuses of the
/// answers that were read.
async fn send(attack: Attack, address: String) -> Vec<u16> {
    let attack = Arc::new(attack);
    let attacking = move || {
        let clients = (0..CLIENTS).map(|_| {
            let (attack, address) = (Arc::clone(&attack), address.clone());
            std::thread::spawn(move || [attack.send(&address), attack.send(&address)])
        });
        let clients: Vec<_> = clients.collect();
        let sent: Vec<_> = clients.into_iter().map(|c| c.join().unwrap()).collect();
        if !attack.reads {
            // Their answers wait for them.
            std::thread::sleep(Duration::from_secs(1));
        }
        let statuses = sent.iter().flatten().filter_map(|(_, status)| *status);
        statuses.collect()
    };
    tokio::task::spawn_blocking(attacking).await.unwrap()
}

#[tokio::test]
async fn hostile_requests_cost_at_most_the_budget_and_a_constant() {
    let cluster = alone(1, &[]).await;
    let address = &cluster.node(0).address;
    let measure = Measure::of(&cluster);
    let mut faults = Vec::new();
    for attack in attacks() {
        let name = attack.name;
        // The machine may stall for a moment during one of this many attacks;
        // what an attack costs, it costs again.
        for is_last in [false, true] {
            let sending = send(attack.clone(), address.clone());
            let (measured, statuses) = measure.measured(name, sending).await;
            let expected = [200, 400, 413, 422, 429, 503];
            for status in statuses {
                assert!(expected.contains(&status), "{name}: {status}");
            }
            if measured.faults.is_empty() {
                break;
            }
            println!("{:#?}", measured.faults);
            if is_last {
                faults.extend(measured.faults);
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// Sends all of the largest body but its last byte.
fn begin(address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!(
        "POST /api/v1/logs HTTP/1.1\r\nhost: a\r\ncontent-type: {LINES}\r\n\
         content-length: {BODY}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    // It may be refused before its end.
    drop(stream.write_all(&vec![b'x'; BODY - 1]));
    stream
}

#[tokio::test]
async fn large_bodies_that_never_end_leave_memory_to_others() {
    let cluster = Cluster::start(1, &["--request-timeout", "60s"]).await;
    let node = cluster.node(0);
    let slow: Vec<_> = (0..8)
        .map(|_| {
            let address = node.address.clone();
            std::thread::spawn(move || begin(&address))
        })
        .collect();
    let slow: Vec<_> = slow.into_iter().map(|s| s.join().unwrap()).collect();
    let lines = format!("{}\n", "x".repeat(99)).repeat(2000);
    for _ in 0..20 {
        let started = Instant::now();
        let (status, body) = node.post("/api/v1/logs", LINES, lines.clone()).await;
        assert_eq!(status, 200, "{body}");
        assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    drop(slow);
}

#[tokio::test]
async fn short_records_that_wait_do_not_keep_the_large_bodies_that_they_came_in() {
    let mut cluster = Cluster::start(0, &["--request-timeout", "300s"]).await;
    // Nobody reads what the sink writes, so it gets stuck.
    let (reader, writer) = std::io::pipe().unwrap();
    let options = Options {
        stdout: Some(Stdio::from(writer)),
        ..Options::default()
    };
    cluster.add_with("a", options).await;
    cluster.leader().await;
    let node = cluster.node(0);
    // They wait in the queue, so no message is answered.
    let measure = Measure::of(&cluster).innocent(Innocent::Asks);
    let name = "short records of large bodies, which wait";
    let held = measure.attack(name, wait_in_large_bodies(node)).await;
    drop((held, reader));
}

/// Fills the queue of a node whose sink is stuck with short records that came
/// in large bodies. Returns the connections.
async fn wait_in_large_bodies(node: &Node) -> Vec<TcpStream> {
    let stuck = Attack::new("fills the pipe", LINES, &[]).uncompressed("x".repeat(4 << 20));
    let newlines = format!("{}a\n", "\n".repeat(BODY - 2));
    let object = format!("{}{{\"m\":\"a\"}}\n", " ".repeat(BODY - 20));
    let waits = [(LINES, &newlines), (NDJSON, &object), (JSON, &object)]
        .map(|(content_type, body)| Attack::new("waits", content_type, body.as_bytes()));
    let mut held = Vec::new();
    for attack in std::iter::once(stuck).chain(waits.iter().cycle().take(60).cloned()) {
        held.push(attack.without_reading().send(&node.address).0);
        let count = u64::try_from(held.len()).unwrap();
        node.until("it waits", |status| {
            status["queue"]["records"].as_u64() >= Some(count)
        })
        .await;
    }
    held
}

#[tokio::test]
async fn reading_unpacking_and_decoding_count_against_the_request_timeout() {
    let cluster = alone(1, &["--request-timeout", "2s"]).await;
    let node = cluster.node(0);
    let attack = Arc::new(Attack {
        body: gzip(&[]).repeat(400_000),
        ..Attack::new("empty gzip members", LINES, &[])
    });
    let address = node.address.clone();
    let attacking = move || {
        let clients = (0..76).map(|_| {
            let (attack, address) = (Arc::clone(&attack), address.clone());
            std::thread::spawn(move || {
                let started = Instant::now();
                let _answer = attack.send(&address);
                started.elapsed()
            })
        });
        let clients: Vec<_> = clients.collect();
        let took = clients.into_iter().map(|c| c.join().unwrap());
        took.max().unwrap()
    };
    let attacking = async { tokio::task::spawn_blocking(attacking).await.unwrap() };
    let measure = Measure::of(&cluster);
    let longest = measure
        .attack("bodies that unpack for long", attacking)
        .await;
    println!("{longest:?}");
    assert!(longest < Duration::from_secs(5), "{longest:?}");
    // What they left does not hold up the next client.
    let started = Instant::now();
    let small = Attack::new("small", LINES, b"a");
    assert_eq!(small.send(&node.address).1, Some(200));
    assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
}

/// Pieces that matter to decoders.
const PIECES: [&str; 16] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\u0001",
    "\n",
    "\r\n",
    "é",
    "{\"time\":",
    "{\"m\":\"a\"}\n",
    "1e999",
    "\"a\":{\"b\":[1,{}]},",
    "\u{0}",
];

fn random_body(rng: &mut StdRng) -> Vec<u8> {
    let mut body = Vec::new();
    let repeats = 1 << rng.random_range(0..16);
    for _ in 0..rng.random_range(1..20) {
        let piece = PIECES[rng.random_range(0..PIECES.len())];
        match rng.random_range(0..4) {
            0 => body.extend(piece.repeat(repeats).into_bytes()),
            1 => body.push(rng.random()),
            _ => body.extend(piece.as_bytes()),
        }
    }
    body
}

#[tokio::test]
async fn random_bodies_in_every_encoding_cost_a_constant_at_most() {
    let cluster = Cluster::start(1, &[]).await;
    let address = cluster.node(0).address.clone();
    let seed = rand::random();
    println!("seed {seed}");
    let sending = async {
        let sending = move || send_random_bodies(StdRng::seed_from_u64(seed), &address);
        tokio::task::spawn_blocking(sending).await.unwrap();
    };
    let measure = Measure::of(&cluster);
    let (measured, ()) = measure.measured("random bodies", sending).await;
    assert!(measured.faults.is_empty(), "{:#?}", measured.faults);
    let (before, peak) = (measured.before, measured.peak);
    assert!(peak <= before + CONSTANT, "{before}, then {peak} MiB");
}

fn send_random_bodies(mut rng: StdRng, address: &str) {
    for _ in 0..300 {
        let body = random_body(&mut rng);
        let is_broken = rng.random_range(0..4) == 0;
        for content_type in [LINES, NDJSON, JSON] {
            for (encoding, mut body) in [
                ("identity", body.clone()),
                ("gzip", gzip(&body)),
                ("zstd", zstd(&body)),
            ] {
                if is_broken {
                    let at = rng.random_range(0..body.len());
                    body[at] ^= 1 << rng.random_range(0..8);
                }
                let attack = Attack {
                    encoding,
                    body,
                    ..Attack::new("random", content_type, &[])
                };
                let status = attack.send(address).1;
                assert!(matches!(status, Some(200 | 400 | 413 | 422)), "{status:?}");
            }
        }
    }
}
