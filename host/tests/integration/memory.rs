//! What requests cost in memory is accounted before it is spent: however
//! hostile they are, a node's resident memory grows by at most the budget for
//! requests, the queue and a constant, and an innocent client is served.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::support::{Cluster, Node, Options};

/// The default of `--max-body`.
const BODY: usize = 16 << 20;
/// In MiB: the memory for requests, which is four of the largest bodies.
const BUDGET: u64 = 64;
/// In MiB: what a request that waits may take beyond what it counts.
const QUEUE: u64 = 64;
/// In MiB, on any number of cores up to 4: a further copy of a body for each
/// decoder, what connections take, and what the allocator keeps.
const CONSTANT: u64 = 192;
/// The hostile clients of an attack.
const CLIENTS: usize = 40;
/// The longest that an innocent client waits.
const PATIENCE: Duration = Duration::from_secs(1);

/// A hostile request.
struct Attack {
    name: &'static str,
    content_type: &'static str,
    encoding: &'static str,
    body: Vec<u8>,
    /// Whether the client takes its answer.
    reads: bool,
}

/// In MiB, from the process's status.
fn memory(node: &Node, field: &str) -> u64 {
    let pid = node.process.pid().as_raw_nonzero();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kib = line.unwrap().trim().trim_end_matches(" kB");
    kib.parse::<u64>().unwrap() / 1024
}

/// Makes the peak what is resident now.
fn reset_peak(node: &Node) {
    let pid = node.process.pid().as_raw_nonzero();
    fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap();
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn zstd(body: &[u8]) -> Vec<u8> {
    zstd::encode_all(body, 3).unwrap()
}

/// A zstd frame that asks for a window of 128 MiB.
fn wide_zstd(body: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(27).unwrap();
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

impl Attack {
    fn new(name: &'static str, content_type: &'static str, body: &[u8]) -> Self {
        Self {
            name,
            content_type,
            encoding: "gzip",
            body: gzip(body),
            reads: true,
        }
    }

    fn in_zstd(self, body: Vec<u8>) -> Self {
        Self {
            encoding: "zstd",
            body,
            ..self
        }
    }

    fn as_it_is(self, body: String) -> Self {
        Self {
            encoding: "identity",
            body: body.into(),
            ..self
        }
    }

    fn without_reading(self) -> Self {
        Self {
            reads: false,
            ..self
        }
    }

    /// Sends it; the status of the answer, if it is read and there is one.
    fn send(&self, address: &str) -> (TcpStream, Option<u16>) {
        let mut stream = TcpStream::connect(address).unwrap();
        let timeout = Some(Duration::from_secs(60));
        stream.set_read_timeout(timeout).unwrap();
        stream.set_write_timeout(timeout).unwrap();
        let head = format!(
            "POST /api/v1/logs HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-type: {}\r\n\
             content-encoding: {}\r\ncontent-length: {}\r\n\r\n",
            self.content_type,
            self.encoding,
            self.body.len()
        );
        // It may be refused before its end.
        drop(stream.write_all(&[head.as_bytes(), &self.body].concat()));
        let mut answer = Vec::new();
        if self.reads {
            drop(stream.read_to_end(&mut answer));
        }
        let status = answer
            .get(9..12)
            .and_then(|status| std::str::from_utf8(status).ok())
            .and_then(|status| status.parse().ok());
        (stream, status)
    }
}

const LINES: &str = "text/plain";
const NDJSON: &str = "application/x-ndjson";
const JSON: &str = "application/json";

/// One line per attack.
fn attacks() -> Vec<Attack> {
    let attributes = format!("{{\"m\":1{}}}", ",\"\":1".repeat(2_800_000));
    let fields = (0..1000).map(|n| format!(",\"k{n}\":{n}"));
    let wide = format!("{{\"m\":1{}}}\n", fields.collect::<String>());
    let wide = wide.repeat(BODY / wide.len());
    let time = format!("{{\"time\":\"{}\"}}", "x".repeat(BODY - 100));
    let controls = format!("{{\"time\":\"{}\"}}", "\\u0001".repeat(BODY / 6 - 100));
    let bad = "x\n".repeat(99_999);
    let newlines = format!("{}a\n", "\n".repeat(BODY - 2));
    let object = format!("{}{{}}\n", "\n".repeat(BODY - 3));
    let escapes = format!("{{\"m\":\"{}\"}}", "\\n".repeat(BODY / 2 - 100));
    let names = format!("{{{}\"a\":1}}", "\"\\n\":1,".repeat(BODY / 8));
    let objects = "{}\n".repeat(BODY / 3);
    let numbers = format!("[1{}]", ",1".repeat(BODY / 2 - 10));
    let nested = format!("{{\"a\":{}{}}}", "[".repeat(100), "]".repeat(100)).repeat(80_000);
    let text = format!("\"{}\"", "\\u0001".repeat(BODY / 6 - 100));
    let bomb = vec![b'x'; 8 * BODY];
    vec![
        Attack::new("2.8 million attributes", NDJSON, attributes.as_bytes()),
        Attack::new(
            "the same in an array",
            JSON,
            format!("[{attributes}]").as_bytes(),
        ),
        Attack::new("the same in zstd", NDJSON, &[]).in_zstd(zstd(attributes.as_bytes())),
        Attack::new("1000 attributes each", NDJSON, wide.as_bytes()),
        Attack::new("a time of 16 MiB", NDJSON, time.as_bytes()),
        Attack::new("a time of 16 MiB, unread", JSON, time.as_bytes()).without_reading(),
        Attack::new("a time of control characters", NDJSON, controls.as_bytes()),
        Attack::new("99,999 bad lines", NDJSON, bad.as_bytes()),
        Attack::new("99,999 bad lines, unread", NDJSON, bad.as_bytes()).without_reading(),
        Attack::new("a line among newlines", LINES, newlines.as_bytes()),
        Attack::new("an object among newlines", NDJSON, object.as_bytes()),
        Attack::new("newlines as they are", LINES, &[]).as_it_is(newlines),
        Attack::new("a text of escapes", NDJSON, escapes.as_bytes()),
        Attack::new("names of escapes", NDJSON, names.as_bytes()),
        Attack::new("empty objects", NDJSON, objects.as_bytes()),
        Attack::new("numbers", JSON, numbers.as_bytes()),
        Attack::new("nesting", NDJSON, nested.as_bytes()),
        Attack::new("a text that is no object", NDJSON, text.as_bytes()),
        Attack::new("a gzip bomb", LINES, &bomb),
        Attack::new("a zstd bomb", LINES, &[]).in_zstd(zstd(&bomb)),
        Attack::new("a window of 128 MiB", LINES, &[]).in_zstd(wide_zstd(&bomb[..BODY])),
        Attack {
            body: gzip(&[]).repeat(400_000),
            ..Attack::new("empty gzip members", LINES, &[])
        },
    ]
}

/// Sends an attack by many clients, twice each. Returns the longest that an
/// innocent client waited meanwhile.
async fn run(node: &Node, attack: Attack) -> Duration {
    let is_over = Arc::new(AtomicBool::new(false));
    let (attack, address) = (Arc::new(attack), node.address.clone());
    let hostile = std::thread::spawn({
        let is_over = Arc::clone(&is_over);
        move || {
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
            is_over.store(true, Ordering::Relaxed);
            sent.iter().flatten().map(|(_, status)| *status).collect()
        }
    });
    let mut longest = Duration::ZERO;
    while !is_over.load(Ordering::Relaxed) {
        let started = Instant::now();
        let (status, body) = node.log("innocent").await;
        assert_eq!(status, 200, "{body}");
        longest = longest.max(started.elapsed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let statuses: Vec<Option<u16>> = hostile.join().unwrap();
    let expected = [200, 400, 413, 422, 429, 503];
    for status in statuses.into_iter().flatten() {
        assert!(expected.contains(&status), "{status}");
    }
    longest
}

#[tokio::test]
async fn hostile_requests_cost_at_most_the_budget_and_a_constant() {
    let cluster = Cluster::start(1, &[]).await;
    let node = cluster.node(0);
    let mut failures = Vec::new();
    for attack in attacks() {
        let name = attack.name;
        reset_peak(node);
        let before = memory(node, "VmRSS:");
        let longest = run(node, attack).await;
        let peak = memory(node, "VmHWM:");
        let measured = format!("{name}: {before} MiB, then {peak} MiB at most; waited {longest:?}");
        println!("{measured}");
        if peak > BUDGET + CONSTANT || longest > PATIENCE {
            failures.push(measured);
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[tokio::test]
async fn short_records_that_wait_do_not_keep_the_large_bodies_that_they_came_in() {
    let mut cluster = Cluster::start(0, &["--request-timeout", "40s"]).await;
    // Nobody reads what the sink writes, so it gets stuck.
    let (reader, writer) = std::io::pipe().unwrap();
    let options = Options {
        stdout: Some(Stdio::from(writer)),
        ..Options::default()
    };
    cluster.add_with("a", options).await;
    cluster.leader().await;
    let node = cluster.node(0);
    let stuck = Attack::new("fills the pipe", LINES, &[]).as_it_is("x".repeat(4 << 20));
    let mut held = vec![stuck.without_reading().send(&node.address)];
    let newlines = format!("{}a\n", "\n".repeat(BODY - 2));
    let object = format!("{}{{\"m\":\"a\"}}\n", " ".repeat(BODY - 20));
    for (content_type, body) in [(LINES, &newlines), (NDJSON, &object), (JSON, &object)] {
        let attack = Attack::new("waits", content_type, body.as_bytes()).without_reading();
        for _ in 0..CLIENTS {
            held.push(attack.send(&node.address));
            // So that there is room in the budget for most of them.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    let waiting = u64::try_from(3 * CLIENTS / 2).unwrap();
    node.until("most of them wait", |status| {
        status["queue"]["records"].as_u64() > Some(waiting)
    })
    .await;
    let peak = memory(node, "VmHWM:");
    println!("{peak} MiB");
    assert!(peak <= BUDGET + QUEUE + CONSTANT, "{peak} MiB");
    drop((held, reader));
}

#[tokio::test]
async fn reading_unpacking_and_decoding_count_against_the_request_timeout() {
    let cluster = Cluster::start(1, &["--request-timeout", "2s"]).await;
    let node = cluster.node(0);
    let attack = Arc::new(Attack {
        body: gzip(&[]).repeat(400_000),
        ..Attack::new("empty gzip members", LINES, &[])
    });
    let clients: Vec<_> = (0..76)
        .map(|_| {
            let (attack, address) = (Arc::clone(&attack), node.address.clone());
            std::thread::spawn(move || {
                let started = Instant::now();
                let (_, status) = attack.send(&address);
                (started.elapsed(), status)
            })
        })
        .collect();
    let answers: Vec<_> = clients.into_iter().map(|c| c.join().unwrap()).collect();
    let longest = answers.iter().map(|(took, _)| *took).max().unwrap();
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
    let node = cluster.node(0);
    let before = memory(node, "VmRSS:");
    let seed = rand::random();
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
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
                let status = attack.send(&node.address).1;
                assert!(matches!(status, Some(200 | 400 | 413 | 422)), "{status:?}");
            }
        }
    }
    let peak = memory(node, "VmHWM:");
    println!("{before} MiB, then {peak} MiB at most");
    assert!(peak <= before + CONSTANT, "{before}, then {peak} MiB");
}
