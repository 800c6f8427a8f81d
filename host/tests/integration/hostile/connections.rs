//! One client cannot take what others need: connections and health checks.

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

use super::alone;
use super::measure::Measure;
use crate::support::{Cluster, SOON, Turn, eventually};

/// What a hostile client waits at most for a connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(1);
pub(super) const ATTACKER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 66);
/// Another address of this machine.
pub(super) const OTHER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// Lets this process hold as many connections as the system permits.
fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let current = limit.maximum;
    setrlimit(Resource::Nofile, Rlimit { current, ..limit }).expect("raise a limit");
}

pub(super) async fn connect_from(
    source: Ipv4Addr,
    address: SocketAddr,
) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::from((source, 0)))?;
    socket.connect(address).await
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
    let cluster = alone(1, &[]).await;
    let address = cluster.node(0).address.parse().unwrap();
    let measure = Measure::of(&cluster);
    let attack = async {
        let mut held = Vec::new();
        for _ in 0..10_100 {
            held.push(connect_from(ATTACKER, address).await.unwrap());
        }
        held
    };
    let held = measure.attack("10,100 connections", attack).await;
    let waiting = tokio::time::sleep(Duration::from_secs(1));
    measure.attack("10,100 idle connections", waiting).await;
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
async fn heads_that_never_end_take_little_memory() {
    raise_descriptors();
    let cluster = alone(1, &[]).await;
    let address = cluster.node(0).address.parse().unwrap();
    let head = format!(
        "GET /readyz HTTP/1.1\r\nhost: a\r\nx: {}",
        "x".repeat(60_000)
    );
    let attack = async {
        let mut held = Vec::new();
        for last in 66..70 {
            for _ in 0..1500 {
                let source = Ipv4Addr::new(127, 0, 0, last);
                let mut stream = connect_from(source, address).await.unwrap();
                // It ends early where there is no memory for it.
                drop(stream.write_all(head.as_bytes()).await);
                held.push(stream);
            }
        }
        held
    };
    let measure = Measure::of(&cluster);
    drop(measure.attack("6000 heads of 60 KB", attack).await);
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
    let address = cluster.node(0).address.parse().unwrap();
    let attack = async {
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
        tokio::time::sleep(Duration::from_millis(500)).await;
        held
    };
    let measure = Measure::of(&cluster);
    drop(measure.attack("a full server", attack).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_the_health_port_does_not_cost_the_lead() {
    let _turn = Turn::alone();
    let cluster = Cluster::on_consul(1, &[]).await;
    let node = cluster.node(0);
    let port = node.process.other_port(&node.address);
    let health = SocketAddr::from(([127, 0, 0, 1], port));
    let attack = async {
        let is_over = Arc::new(AtomicBool::new(false));
        let floods: Vec<_> = (0..4)
            .map(|number| {
                // From the agent's own address, too.
                let source = match number % 2 {
                    0 => Ipv4Addr::LOCALHOST,
                    _ => ATTACKER,
                };
                tokio::spawn(flood(source, health, Arc::clone(&is_over)))
            })
            .collect();
        tokio::time::sleep(Duration::from_secs(12)).await;
        is_over.store(true, Ordering::Relaxed);
        let mut count = 0;
        for flood in floods {
            count += flood.await.unwrap();
        }
        count
    };
    let measure = Measure::of(&cluster).without_limit_on_health();
    let count = measure.attack("a flood of the health port", attack).await;
    assert!(count > 10_000, "only {count} connections");
}

/// Connects again and again, and holds the last 300 connections. Returns how
/// many there were.
async fn flood(source: Ipv4Addr, address: SocketAddr, is_over: Arc<AtomicBool>) -> usize {
    let mut held = VecDeque::new();
    let mut count = 0;
    while !is_over.load(Ordering::Relaxed) {
        let connecting = connect_from(source, address);
        match tokio::time::timeout(CONNECT_LIMIT, connecting).await {
            Ok(Ok(stream)) => {
                held.push_back(stream);
                count += 1;
            }
            // No port is free, or it is too much at the moment.
            _ => tokio::time::sleep(Duration::from_millis(1)).await,
        }
        if held.len() > 300 {
            held.pop_front();
        }
    }
    count
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
        let reached = TcpStream::connect((OTHER, port)).await.is_ok();
        assert_eq!(reached, is_open, "{more:?}");
    }
}
