//! One client cannot take what others need: connections and health
//! checks.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

use crate::support::{Cluster, Node, SOON, eventually};

/// What an innocent client waits at most.
const INNOCENT_LIMIT: Duration = Duration::from_secs(1);
const ATTACKER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 66);
const INNOCENT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// Lets this process hold as many connections as the system permits.
fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let current = limit.maximum;
    setrlimit(Resource::Nofile, Rlimit { current, ..limit }).expect("raise a limit");
}

async fn connect_from(source: Ipv4Addr, address: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((source, 0)))?;
    socket.connect(address).await
}

/// An innocent client, each time on a new connection; how long the slowest
/// request took.
async fn innocent(node: &Node, requests: usize) -> Duration {
    let client = reqwest::Client::builder()
        .no_proxy()
        .local_address(std::net::IpAddr::from(INNOCENT))
        .pool_max_idle_per_host(0)
        .build()
        .unwrap();
    let mut slowest = Duration::ZERO;
    for number in 0..requests {
        let started = Instant::now();
        let request = client.post(node.url("/api/v1/log"));
        let sent = request.body(format!("Message: {number}")).send();
        let answer = tokio::time::timeout(SOON, sent).await;
        let answer = answer.expect("an answer").unwrap();
        assert_eq!(answer.status(), 200);
        slowest = slowest.max(started.elapsed());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    slowest
}

async fn open_connections(cluster: &Cluster) -> u64 {
    let url = cluster.node(0).url("/metrics");
    let answer = cluster.http.get(url).send().await.unwrap();
    let text = answer.text().await.unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("sluice_connections "));
    line.unwrap().parse().unwrap()
}

#[tokio::test]
async fn ten_thousand_idle_connections_of_one_address_keep_nobody_out() {
    raise_descriptors();
    let cluster = Cluster::start(1, &[]).await;
    let node = cluster.node(0);
    let address = node.address.parse().unwrap();
    let attack = async {
        let mut held = Vec::new();
        for _ in 0..10_100 {
            held.push(connect_from(ATTACKER, address).await.unwrap());
        }
        held
    };
    let (held, slowest) = tokio::join!(attack, innocent(node, 50));
    assert!(slowest < INNOCENT_LIMIT, "meanwhile: {slowest:?}");
    let slowest = innocent(node, 50).await;
    assert!(slowest < INNOCENT_LIMIT, "afterwards: {slowest:?}");
    let open = open_connections(&cluster).await;
    assert!(open <= 2500 + 10, "{open} are open");
    // 10 s for the head of a request, which never comes.
    eventually("the idle connections are closed", SOON, || async {
        match open_connections(&cluster).await {
            open @ ..10 => Ok(open),
            open => Err(format!("{open} are open")),
        }
    })
    .await;
    drop(held);
}

#[tokio::test]
async fn a_full_server_ends_idle_connections_before_it_keeps_anybody_out() {
    let arguments = [
        "--max-connections",
        "40",
        "--max-connections-per-source",
        "0",
    ];
    let cluster = Cluster::start(1, &arguments).await;
    let node = cluster.node(0);
    let address = node.address.parse().unwrap();
    let mut held = Vec::new();
    for number in 0..80 {
        let mut stream = connect_from(ATTACKER, address).await.unwrap();
        // Some idle after a request, some in the midst of a head.
        let said = match number % 3 {
            0 => "GET /readyz HTTP/1.1\r\nhost: a\r\n\r\n",
            1 => "GET /readyz HTTP/1.1\r\nho",
            _ => "",
        };
        stream.write_all(said.as_bytes()).await.unwrap();
        held.push(stream);
    }
    let slowest = innocent(node, 20).await;
    assert!(slowest < INNOCENT_LIMIT, "{slowest:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_the_health_port_does_not_cost_the_lead() {
    let cluster = Cluster::on_consul(1, &[]).await;
    let node = cluster.node(0);
    let port = node.process.other_port(&node.address);
    let health = SocketAddr::from(([127, 0, 0, 1], port));
    let lock = || async {
        let key = cluster.consul.key("sluice/leader").await.unwrap();
        (key["Session"].clone(), key["LockIndex"].clone())
    };
    let before = lock().await;
    let (stop, count) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let mut floods = Vec::new();
    for number in 0_u8..4 {
        let (stop, count) = (Arc::clone(&stop), Arc::clone(&count));
        // From the agent's own address, too.
        let source = match number % 2 {
            0 => Ipv4Addr::LOCALHOST,
            _ => ATTACKER,
        };
        floods.push(tokio::spawn(async move {
            let mut held = std::collections::VecDeque::new();
            while !stop.load(Ordering::Relaxed) {
                let connecting = connect_from(source, health);
                match tokio::time::timeout(INNOCENT_LIMIT, connecting).await {
                    Ok(Ok(stream)) => {
                        held.push_back(stream);
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                    // No port is free, or it is too much at the moment.
                    _ => tokio::time::sleep(Duration::from_millis(1)).await,
                }
                if held.len() > 300 {
                    held.pop_front();
                }
            }
        }));
    }
    let slowest = innocent(node, 600).await;
    stop.store(true, Ordering::Relaxed);
    for flood in floods {
        flood.await.unwrap();
    }
    let count = count.load(Ordering::Relaxed);
    assert!(count > 10_000, "only {count} connections");
    assert_eq!(lock().await, before, "after {count} connections");
    assert!(slowest < INNOCENT_LIMIT, "{slowest:?}");
}

#[tokio::test]
async fn health_is_asked_on_loopback_where_the_agent_is_local() {
    let arguments = ["--listen", "0.0.0.0:0", "--advertise", "127.0.0.1"];
    let cluster = Cluster::start(1, &[]).await;
    let folder = cluster.folder.path();
    for (more, is_open) in [(&[][..], false), (&["--health-listen", "0.0.0.0:0"], true)] {
        let mut command = cluster.command();
        command
            .args(["node", "--name", "z", "--data-dir"])
            .arg(folder.join("data/z"))
            .args(arguments)
            .args(more);
        let process = crate::support::Process::start("z", folder, &mut command);
        let address = cluster.served_by(&process).await;
        let port = process.other_port(&address);
        let reached = TcpStream::connect((INNOCENT, port)).await.is_ok();
        assert_eq!(reached, is_open, "{more:?}");
    }
}
