//! Listeners.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::streams::{self, Flood, Stream};
use super::{LIMITS, NODE_MIB, trial};
use crate::hostile::measure::Measure;
use crate::listeners::doors::{Doors, cluster};
use crate::listeners::relp::Relp;
use crate::support::Turn;

/// What listeners may have read and not decoded, in MiB: four of the largest
/// messages, and a quarter more.
const UNREAD_MIB: u64 = 20;
/// How long a client waits for a node that reads nothing of what it sends.
const STUCK: Duration = Duration::from_millis(500);
/// How long a client sends at most, and how much before it looks at the time.
const SENDING: Duration = Duration::from_secs(1);
const PART: usize = 64 << 10;
/// How long begun messages are held.
const HOLD: Duration = Duration::from_secs(2);
/// The longest that an innocent client of a listener waits for its answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Connects, and sends as much as the node reads.
fn begin(stream: &Stream) -> TcpStream {
    let address: SocketAddr = stream.to.parse().unwrap();
    let mut client = TcpStream::connect(address).unwrap();
    client.set_write_timeout(Some(STUCK)).unwrap();
    client.set_read_timeout(Some(STUCK)).unwrap();
    let end = Instant::now() + SENDING;
    for part in stream.bytes.chunks(PART) {
        // The connection may be closed for what is sent.
        if client.write_all(part).is_err() || Instant::now() > end {
            break;
        }
    }
    client
}

/// Sends, and waits until the node closes the connection or says nothing.
fn send(stream: &Stream) {
    let mut client = begin(stream);
    drop(client.shutdown(Shutdown::Write));
    let mut answer = [0; 1 << 16];
    while let Ok(1..) = client.read(&mut answer) {}
}

/// All streams of a protocol, at once.
fn send_all(streams: &[Stream]) {
    thread::scope(|scope| {
        for stream in streams {
            for _ in 0..stream.connections {
                scope.spawn(|| send(stream));
            }
        }
    });
}

/// Begins messages on many connections, and holds these.
fn hold_all(stream: &Stream) {
    let held: Vec<_> = thread::scope(|scope| {
        let clients = (0..stream.connections).map(|_| scope.spawn(|| begin(stream)));
        let clients: Vec<_> = clients.collect();
        let begun = clients.into_iter().map(|client| client.join().unwrap());
        begun.collect()
    });
    thread::sleep(HOLD);
    drop(held);
}

fn flood(flood: &Flood) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut datagram = flood.datagram.clone();
    for number in 0..flood.count {
        if let Some(place) = flood.number_at {
            datagram[place..place + 8].copy_from_slice(&number.to_be_bytes());
        }
        // The buffer of the socket may be full.
        drop(socket.send_to(&datagram, &flood.to));
    }
}

/// Sends messages one after the other until the attack is over, as a client of
/// RELP. Returns the longest wait for an answer.
async fn innocent(relp: String, is_over: Arc<AtomicBool>) -> Duration {
    let mut longest = Duration::ZERO;
    while !is_over.load(Ordering::Relaxed) {
        let began = Instant::now();
        let mut session = Relp::open(&relp).await.expect("a session");
        session.send("innocent").await.expect("the session stays");
        session.answered().await.expect("an answer");
        longest = longest.max(began.elapsed());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    longest
}

/// Attacks while an innocent client sends. Returns how long that waited.
async fn attacked(doors: &Doors, attack: impl FnOnce() + Send + 'static) -> Duration {
    let is_over = Arc::new(AtomicBool::new(false));
    let innocent = tokio::spawn(innocent(doors.relp(), Arc::clone(&is_over)));
    tokio::task::spawn_blocking(attack).await.unwrap();
    is_over.store(true, Ordering::Relaxed);
    innocent.await.unwrap()
}

/// Runs a trial, and also looks at how long the innocent client waited.
async fn listener_trial(
    measure: &Measure<'_>,
    doors: &Doors,
    name: &str,
    attack: impl Fn() + Clone + Send + 'static,
) -> Vec<String> {
    let run = async || attacked(doors, attack.clone()).await;
    let (mut faults, mut longest) = trial(measure, name, run).await;
    if longest > PATIENCE {
        println!("{name}: the client of RELP waited for {longest:?}");
        (faults, longest) = trial(measure, name, run).await;
    }
    if longest > PATIENCE {
        faults.push(format!("{name}: the client of RELP waited for {longest:?}"));
    }
    faults
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_clients_of_listeners_cost_at_most_the_budgets_and_a_constant() {
    let _turn = Turn::alone();
    let (cluster, doors) = cluster(1, &LIMITS).await;
    let doors = &doors[0];
    let measure = Measure::of(&cluster).at_most(NODE_MIB + UNREAD_MIB);
    let mut faults = Vec::new();
    for (name, streams) in [
        ("syslog", streams::syslog(doors)),
        ("RELP", streams::relp(doors)),
        ("Forward", streams::forward(doors)),
        ("GELF", streams::gelf(doors)),
    ] {
        let streams = Arc::new(streams);
        let attack = move || send_all(&streams);
        faults.extend(listener_trial(&measure, doors, name, attack).await);
    }
    for stream in streams::begun(doors) {
        let (name, stream) = (stream.name, Arc::new(stream));
        let attack = move || hold_all(&stream);
        faults.extend(listener_trial(&measure, doors, name, attack).await);
    }
    let floods = Arc::new(streams::floods(doors));
    let attack = move || {
        for one in &*floods {
            flood(one);
        }
    };
    faults.extend(listener_trial(&measure, doors, "floods of datagrams", attack).await);
    assert!(faults.is_empty(), "{faults:#?}");
}
