//! The embedded coordinator among web pages, greedy clients and checks that
//! lead elsewhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::measure::Measure;
use crate::support::{Cluster, Consul, Kind, Process, SOON, Turn, eventually, http};

const HALF_MIB: usize = 512 * 1024;

/// What the coordinator may have in memory, in MiB: 64 for its store.
const MOST_MIB: u64 = 256 + 64;

/// A node on a coordinator that runs by itself.
async fn led() -> Cluster {
    let consul = Consul::of(Kind::Embedded, false).await;
    Cluster::on(consul, 1, &[]).await
}

/// The same for attacks that keep all cores busy.
async fn led_alone() -> Cluster {
    // The cluster shares the turn.
    let _turn = Turn::alone();
    led().await
}

/// Measures an attack on the coordinator.
async fn attack<T>(cluster: &Cluster, name: &str, attack: impl Future<Output = T>) -> T {
    let measure = Measure::of(cluster).with_coordinator(MOST_MIB).await;
    measure.attack(name, attack).await
}

async fn fill(consul: &Consul) -> (usize, StatusCode, String) {
    let client = http();
    for written in 0.. {
        let url = consul.url(&format!("kv/fill/{written}"));
        let answer = client.put(url).body(vec![b'x'; HALF_MIB]).send().await;
        let answer = answer.unwrap();
        let status = answer.status();
        if !status.is_success() {
            return (written, status, answer.text().await.unwrap());
        }
    }
    unreachable!("the numbers do not end")
}

#[tokio::test]
async fn a_web_page_reads_and_changes_nothing() {
    let cluster = led().await;
    let secret = cluster.consul.url("kv/sluice/secret?raw");
    eventually("there is a secret", SOON, || async {
        let plain = cluster.http.get(&secret).send().await.unwrap();
        match plain.status().as_u16() {
            200 => Ok(()),
            status => Err(status.to_string()),
        }
    })
    .await;
    let asking = async {
        for (name, value) in [
            ("host", "evil.example:8500"),
            ("host", "evil.example"),
            ("host", "consul:8500"),
            ("origin", "http://evil.example"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
        ] {
            for request in [
                cluster.http.get(&secret),
                cluster.http.put(cluster.consul.url("kv/sluice/plugin")),
                cluster.http.put(cluster.consul.url("session/create")),
            ] {
                let answer = request.header(name, value).send().await.unwrap();
                assert_eq!(answer.status(), 403, "{name}: {value}");
                let text = answer.text().await.unwrap();
                assert!(text.contains("embedded coordinator"), "{text}");
            }
        }
    };
    attack(&cluster, "web pages", asking).await;
    assert_eq!(cluster.consul.value("sluice/plugin").await.unwrap(), "");
}

#[tokio::test]
async fn hosts_that_were_named_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_sluice"));
    command
        .args(["coordinator", "--listen", "0.0.0.0:0", "--data-dir"])
        .arg(folder.path().join("data"))
        .args(["--host", "consul", "--host", "Sluice.internal"]);
    let process = Process::start("named", folder.path(), &mut command);
    let port = eventually("it listens", SOON, || async {
        process.ports().pop_first().ok_or_else(|| process.stderr())
    })
    .await;
    let url = format!("http://127.0.0.1:{port}/v1/status/leader");
    let status = |host: &'static str| {
        let request = http().get(&url).header("host", host);
        async move { request.send().await.unwrap().status().as_u16() }
    };
    for host in [
        "consul:8500",
        "sluice.internal",
        "localhost",
        "127.0.0.1",
        "[::1]:8500",
        // A published port: the client names the host's address.
        "192.0.2.1:8500",
    ] {
        assert_eq!(status(host).await, 200, "{host}");
    }
    for host in ["consul.evil.example", "internal", "192.0.2.1.evil.example"] {
        assert_eq!(status(host).await, 403, "{host}");
    }
}

/// A server that counts who asks, and answers everybody with this.
async fn answering(answer: String) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::Relaxed);
            let mut head = [0; 2048];
            if stream.read(&mut head).await.is_ok() {
                drop(stream.write_all(answer.as_bytes()).await);
            }
        }
    });
    (address, asked)
}

async fn register(consul: &Consul, url: &str) -> (u16, String) {
    let body = json!({
        "ID": "s-1", "Name": "s",
        "Check": { "HTTP": url, "Interval": "1s", "Timeout": "500ms", "Status": "passing" },
    });
    let url = consul.url("agent/service/register");
    let answer = http().put(url).body(body.to_string()).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn a_check_is_not_led_elsewhere() {
    let cluster = led().await;
    let leading = lead_elsewhere(&cluster.consul);
    attack(&cluster, "checks that lead elsewhere", leading).await;
}

async fn lead_elsewhere(consul: &Consul) {
    let (other, asked) = answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned()).await;
    let (redirecting, redirected) = answering(format!(
        "HTTP/1.1 302 Found\r\nLocation: http://{other}/\r\nContent-Length: 0\r\n\
         Connection: close\r\n\r\n"
    ))
    .await;
    assert_eq!(
        register(consul, &format!("http://{redirecting}/")).await.0,
        200
    );
    eventually("it was asked twice", SOON, || async {
        let count = redirected.load(Ordering::Relaxed);
        (count >= 2).then_some(()).ok_or(format!("{count} times"))
    })
    .await;
    let check = consul.get("health/checks/s").await.unwrap()[0].clone();
    assert_eq!(check["Status"], "critical", "{check}");
    assert!(check["Output"].as_str().unwrap().contains("302"), "{check}");
    assert_eq!(asked.load(Ordering::Relaxed), 0);

    for foreign in ["http://192.0.2.1/", "http://169.254.169.254/latest/"] {
        let (status, text) = register(consul, foreign).await;
        assert_eq!(status, 400, "{text}");
        assert!(text.contains("only the machine that registers"), "{text}");
    }
}

#[tokio::test]
async fn a_full_store_says_so_and_costs_no_leader() {
    let mut cluster = led().await;
    let filling = async {
        let filled = fill(&cluster.consul).await;
        assert_eq!(cluster.node(0).log("while it is full").await.0, 200);
        filled
    };
    let (written, status, text) = attack(&cluster, "a full store", filling).await;
    assert!((64..=128).contains(&written), "{written} values of 512 KiB");
    assert_eq!(status, 507, "{text}");
    assert!(text.contains("is full"), "{text}");
    let epoch = cluster.node(0).status().await.unwrap()["epoch"].clone();

    // Another node comes, and takes over when the first one leaves.
    cluster.add("b").await;
    let mut first = cluster.nodes.remove(0);
    assert_eq!(first.process.terminate().await.code(), Some(0));
    cluster.leader().await;
    let next = cluster.node(0).status().await.unwrap()["epoch"].clone();
    assert!(next.as_u64() > epoch.as_u64(), "{next} after {epoch}");
    assert_eq!(cluster.node(0).log("by the next one").await.0, 200);

    cluster.consul.delete("kv/fill/?recurse").await;
    cluster.consul.put("kv/fill/0", "again").await;
}

#[tokio::test]
async fn large_reads_hold_up_no_session() {
    let cluster = led_alone().await;
    let consul = &cluster.consul;
    let (written, _, _) = fill(consul).await;
    let reading = async {
        let read = || async {
            let url = consul.url("kv/fill/?recurse");
            let answer = http().get(url).send().await.unwrap();
            assert_eq!(answer.status(), 200);
            answer.bytes().await.unwrap().len()
        };
        for length in join_all((0..12).map(|_| read())).await {
            assert!(length > written * HALF_MIB, "{length}");
        }
    };
    attack(&cluster, "12 large reads", reading).await;

    // It is whole, and what it says is right.
    let list: Value = consul.get("kv/fill/?recurse").await.unwrap();
    let list = list.as_array().unwrap();
    assert_eq!(list.len(), written);
    assert!(
        list.iter()
            .all(|key| key["Value"].as_str().unwrap().len() > HALF_MIB)
    );
}

#[tokio::test]
async fn clients_that_read_nothing_take_no_memory_and_no_turn_for_long() {
    // An answer of 7 MiB, more than the system buffers.
    const PATH: &str = "kv/fill/2?recurse";
    /// How many large answers are sent at a time.
    const TURNS: usize = 4;
    let cluster = led_alone().await;
    let consul = &cluster.consul;
    fill(consul).await;
    let reading_nothing = async {
        let mut stuck = Vec::new();
        for _ in 0..40 {
            stuck.push(ask_without_reading(consul, "kv/?recurse").await);
        }
        tokio::time::sleep(Duration::from_secs(3)).await;
        stuck
    };
    drop(attack(&cluster, "40 unread answers", reading_nothing).await);

    // Then they take all turns.
    let mut stuck = Vec::new();
    for _ in 0..TURNS {
        let mut stream = ask_without_reading(consul, PATH).await;
        // Once its answer has begun, it has its turn.
        let begun = tokio::time::timeout(SOON, stream.read_u8()).await;
        begun.unwrap().unwrap();
        stuck.push(stream);
    }
    let next = async {
        let answer = http().get(consul.url(PATH)).send().await.unwrap();
        answer.bytes().await.unwrap().len()
    };
    let length = tokio::time::timeout(SOON, next).await;
    let length = length.expect("clients that read nothing lose their turn");
    assert!(length > 11 * HALF_MIB, "{length}");
    drop(stuck);
}

async fn ask_without_reading(consul: &Consul, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(&consul.address).await.unwrap();
    let address = &consul.address;
    let head = format!("GET /v1/{path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn a_flood_of_connections_costs_no_leader() {
    let cluster = led_alone().await;
    let flood = async {
        let mut idle = Vec::new();
        for _ in 0..3000 {
            // A limit of the system on this process ends the flood.
            let Ok(stream) = TcpStream::connect(&cluster.consul.address).await else {
                break;
            };
            idle.push(stream);
        }
        tokio::time::sleep(Duration::from_secs(3)).await;
        println!("{} connections", idle.len());
        let mut closed = 0;
        for stream in &idle {
            let mut byte = [0];
            closed += usize::from(matches!(stream.try_read(&mut byte), Ok(0)));
        }
        assert!(closed + 1024 >= idle.len(), "{closed} of {}", idle.len());
    };
    attack(&cluster, "a flood of the coordinator", flood).await;
    assert_eq!(cluster.node(0).log("after the flood").await.0, 200);
}
