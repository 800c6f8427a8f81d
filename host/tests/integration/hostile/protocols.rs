//! The memory rule on every decoder: what is made to cost a decoder much costs the
//! budget and a constant, and an innocent client is served. The attacks of a
//! protocol run together, so that they also meet.

mod binary;
mod grpc;
mod json;
mod listeners;
mod shapes;
mod streams;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::alone;
use super::measure::Measure;
use super::requests::attack::Attack;

/// A quarter of the defaults: what is too much comes sooner.
const LIMITS: [&str; 4] = ["--max-body", "4MiB", "--queue-bytes", "16MiB"];
/// What such a node may have in memory, in MiB: as by default, but for three quarters
/// of the queue and of the budget for requests.
const NODE_MIB: u64 = 224;
/// How many clients a protocol is attacked by at a time.
const CLIENTS: usize = 24;
/// How often each attack is sent.
const ROUNDS: usize = 2;
/// What a protocol may answer to what it does not take. Status 408 and 500 are
/// final for several clients.
const STATUSES: [u16; 8] = [200, 201, 202, 204, 400, 413, 429, 503];

/// The attacks on a protocol.
type Attacks = fn() -> Vec<Attack>;

const PROTOCOLS: [(&str, Attacks); 12] = [
    ("OTLP, protobuf", binary::otlp),
    ("OTLP, JSON", json::otlp),
    ("_bulk", json::bulk),
    ("documents", json::documents),
    ("Loki, protobuf", binary::loki),
    ("Loki, JSON", json::loki),
    ("HEC", json::splunk),
    ("GELF over HTTP", json::gelf),
    ("Datadog", json::datadog),
    ("CloudWatch Logs", json::aws),
    ("Logplex and Logpush", json::lines),
    ("uploads of journals", json::journal),
];

/// Sends all attacks. Returns the statuses of the answers to each.
fn send(attacks: &[Attack], address: &str) -> BTreeMap<&'static str, BTreeSet<Option<u16>>> {
    let next = AtomicUsize::new(0);
    let client = || {
        let mut statuses = Vec::new();
        while let Some(attack) = {
            let place = next.fetch_add(1, Ordering::Relaxed);
            attacks.get(place / ROUNDS)
        } {
            statuses.push((attack.name, attack.send(address).1));
        }
        statuses
    };
    let mut all = BTreeMap::<_, BTreeSet<_>>::new();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        for client in clients {
            for (name, status) in client.join().unwrap() {
                all.entry(name).or_default().insert(status);
            }
        }
    });
    all
}

/// Measures attacks, and once more if something is wrong: the machine may stall
/// for a moment. What attacks cost, they cost again. Returns the faults.
async fn trial<T>(
    measure: &Measure<'_>,
    name: &str,
    attack: impl AsyncFn() -> T,
) -> (Vec<String>, T) {
    let (measured, outcome) = measure.measured(name, attack()).await;
    if measured.faults.is_empty() {
        return (measured.faults, outcome);
    }
    println!("{:#?}", measured.faults);
    let (measured, outcome) = measure.measured(name, attack()).await;
    (measured.faults, outcome)
}

#[tokio::test]
async fn hostile_requests_of_every_protocol_cost_at_most_the_budget_and_a_constant() {
    let cluster = alone(1, &LIMITS).await;
    let address = &cluster.node(0).address;
    let measure = Measure::of(&cluster).at_most(NODE_MIB);
    let mut faults = Vec::new();
    for (name, attacks) in PROTOCOLS {
        let attacks = Arc::new(attacks());
        let (found, statuses) = trial(&measure, name, async || {
            let (attacks, address) = (Arc::clone(&attacks), address.clone());
            let sending = tokio::task::spawn_blocking(move || send(&attacks, &address));
            sending.await.unwrap()
        })
        .await;
        faults.extend(found);
        for (attack, statuses) in statuses {
            let wrong = |status: &&Option<u16>| status.is_some_and(|one| !STATUSES.contains(&one));
            if let Some(status) = statuses.iter().find(wrong) {
                faults.push(format!("{name}, {attack}: {status:?}"));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}
