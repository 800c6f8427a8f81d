//! OTLP over gRPC.

use std::convert::Infallible;

use axum::body::{Body, Bytes};
use futures_util::future::join_all;
use futures_util::stream;

use super::binary::otlp_messages;
use super::shapes::BODY;
use super::{LIMITS, NODE_MIB, trial};
use crate::hostile::measure::Measure;
use crate::hostile::requests::attack::{gzip, zstd};
use crate::standard::grpc_client::{Client, EXPORT, framed};
use crate::support::{Cluster, Options, Port, Turn};

/// How many connections there are, and how many calls each makes at a time.
const CONNECTIONS: usize = 4;
/// What is said of a call that is not taken: the message is malformed, its form is
/// not known, or it is to come again.
const CODES: [u8; 4] = [0, 3, 12, 14];

/// Encodings, and messages in their frames.
fn calls() -> Vec<(&'static str, Bytes)> {
    let bomb = vec![0; 8 * BODY];
    let mut calls = vec![
        ("gzip", framed(1, &gzip(&bomb))),
        ("gzip", framed(1, &gzip(&gzip(&bomb)))),
        ("gzip", framed(1, &gzip(&[]).repeat(200_000))),
        ("zstd", framed(1, &zstd(&bomb))),
        ("identity", b"\0\xff\xff\xff\xffa".to_vec()),
        ("identity", b"\0\x01\0\0\0".to_vec()),
        ("identity", [0; 5].repeat(100_000)),
    ];
    let messages = otlp_messages().into_iter();
    calls.extend(messages.map(|(_, message)| ("zstd", framed(1, &zstd(&message)))));
    let calls = calls.into_iter();
    calls
        .map(|(encoding, call)| (encoding, call.into()))
        .collect()
}

/// Makes every call on every connection, all at a time. Returns the codes.
async fn call_all(address: &str, calls: &[(&'static str, Bytes)]) -> Vec<u8> {
    let connections = join_all((0..CONNECTIONS).map(|_| Client::connect(address))).await;
    let pairs = connections
        .iter()
        .flat_map(|client| calls.iter().map(move |call| (client, call)));
    let calling = pairs.map(|(client, (encoding, body))| async move {
        let encoding = [("grpc-encoding", *encoding)];
        let called = client.call(EXPORT, &encoding, body.clone()).await;
        called.ok().map(|called| called.status)
    });
    join_all(calling).await.into_iter().flatten().collect()
}

/// Begins calls whose messages do not end, and ends them after a while.
async fn begin_all(address: &str) {
    let connections = join_all((0..CONNECTIONS).map(|_| Client::connect(address))).await;
    let begun = || {
        let begin = framed(0, &vec![0; 250_000]);
        let begin = [&[0, 0, 0x3f, 0, 0], &begin[5..]].concat();
        let first = stream::iter([Ok::<_, Infallible>(Bytes::from(begin))]);
        let rest = stream::pending();
        Body::from_stream(futures_util::StreamExt::chain(first, rest))
    };
    let calling = connections
        .iter()
        .flat_map(|client| (0..100).map(|_| client.call(EXPORT, &[], begun())));
    let hold = std::time::Duration::from_secs(2);
    drop(tokio::time::timeout(hold, join_all(calling)).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_calls_cost_at_most_the_budget_and_a_constant() {
    let _turn = Turn::alone();
    let port = Port::claim();
    let address = format!("127.0.0.1:{}", port.number);
    let mut cluster = Cluster::start(0, &LIMITS).await;
    let options = Options::with(&["--otlp-grpc-listen", &address]);
    cluster.add_with("a", options).await;
    cluster.leader().await;
    let measure = Measure::of(&cluster).at_most(NODE_MIB);
    let calls = calls();
    let attack = async || call_all(&address, &calls).await;
    let (mut faults, codes) = trial(&measure, "OTLP over gRPC", attack).await;
    assert!(!codes.is_empty());
    for code in codes {
        assert!(CODES.contains(&code), "{code}");
    }
    let attack = async || begin_all(&address).await;
    faults.extend(
        trial(&measure, "calls over gRPC that do not end", attack)
            .await
            .0,
    );
    assert!(faults.is_empty(), "{faults:#?}");
}
