//! OTLP over gRPC.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use rustix::process::Signal;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::grpc_client::{Called, Client, EXPORT, framed};
use super::requests::{gzip, otlp_protobuf};
use crate::support::{Cluster, Consul, Options, Port, SOON, certificate, eventually};

/// The codes of gRPC.
const OK: u8 = 0;
const INVALID_ARGUMENT: u8 = 3;
const UNIMPLEMENTED: u8 = 12;
const UNAVAILABLE: u8 = 14;
const UNAUTHENTICATED: u8 = 16;

/// Nodes with a port for gRPC each.
struct Nodes {
    cluster: Cluster,
    ports: Vec<Port>,
}

impl Nodes {
    async fn start(count: usize, arguments: &[&str]) -> Self {
        let cluster = Cluster::on(Consul::start().await, 0, arguments).await;
        let ports = Vec::new();
        let mut nodes = Self { cluster, ports };
        for name in ["a", "b", "c"].into_iter().take(count) {
            nodes.ports.push(Port::claim());
            let address = nodes.address(nodes.ports.len() - 1);
            let options = Options::with(&["--otlp-grpc-listen", &address]);
            nodes.cluster.add_with(name, options).await;
        }
        nodes.cluster.leader().await;
        nodes
    }

    fn address(&self, place: usize) -> String {
        format!("127.0.0.1:{}", self.ports[place].number)
    }

    async fn client(&self, place: usize) -> Client {
        Client::connect(&self.address(place)).await
    }

    /// Waits until this text was written so often.
    async fn written(&self, text: &str, count: usize) {
        eventually("the records are written", SOON, || async {
            let output = self.cluster.output();
            match output.matches(text).count() == count {
                true => Ok(()),
                false => Err(output),
            }
        })
        .await;
    }
}

fn assert_taken(called: &Called) {
    assert_eq!(called.status, OK, "{called:?}");
    assert!(!called.in_headers);
    assert_eq!(called.body, framed(0, b""), "a response without a field");
}

#[tokio::test]
async fn every_node_takes_calls_packed_or_not() {
    let nodes = Nodes::start(3, &[]).await;
    let follower = nodes.cluster.follower().await;
    for place in [nodes.cluster.leader().await, follower] {
        let client = nodes.client(place).await;
        let message = otlp_protobuf(&format!("from-{place}"));
        assert_taken(&client.export(&message).await);
        let packed = framed(1, &gzip(&message));
        let encoding = [("grpc-encoding", "gzip")];
        let called = client.call(EXPORT, &encoding, packed).await.unwrap();
        assert_taken(&called);
        nodes.written(&format!("from-{place}"), 2).await;
        // Several at a time on one connection.
        let message = otlp_protobuf(&format!("together-{place}"));
        let calls = (0..50).map(|_| client.export(&message));
        let called = futures_util::future::join_all(calls).await;
        called.iter().for_each(assert_taken);
        nodes.written(&format!("together-{place}"), 50).await;
    }
    let metric = "sluice_records_accepted_total";
    let taken = nodes.cluster.node(follower).metric(metric).await;
    assert_eq!(taken, 0, "a follower takes nothing itself");
}

#[tokio::test]
async fn what_is_not_taken_has_the_code_that_its_clients_read() {
    let nodes = Nodes::start(1, &["--max-body", "64KiB"]).await;
    let client = nodes.client(0).await;
    let fine = framed(0, &otlp_protobuf("fine"));
    let packed = framed(1, &otlp_protobuf("packed"));
    let brotli = [("grpc-encoding", "br")];
    let gzipped = [("grpc-encoding", "gzip")];
    let bomb = framed(1, &gzip(&vec![0; 100_000]));
    let traces = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    for (path, headers, body, status) in [
        (EXPORT, &[][..], b"".to_vec(), INVALID_ARGUMENT),
        (EXPORT, &[], framed(0, b"\xff"), INVALID_ARGUMENT),
        (
            EXPORT,
            &[],
            fine[..fine.len() - 1].to_vec(),
            INVALID_ARGUMENT,
        ),
        (EXPORT, &[], packed.clone(), INVALID_ARGUMENT),
        (EXPORT, &gzipped, packed.clone(), INVALID_ARGUMENT),
        (EXPORT, &gzipped, bomb, INVALID_ARGUMENT),
        (EXPORT, &[], framed(0, &[0; 100_000]), INVALID_ARGUMENT),
        (EXPORT, &brotli, packed, UNIMPLEMENTED),
        (traces, &[], fine.clone(), UNIMPLEMENTED),
    ] {
        let called = client.call(path, headers, body).await.unwrap();
        assert_eq!(called.status, status, "{called:?}");
        assert!(called.in_headers && called.body.is_empty(), "{called:?}");
        assert!(!called.message.is_empty());
    }
    // The connection is as good as before.
    let called = client.call(EXPORT, &[], fine).await.unwrap();
    assert_taken(&called);
}

#[tokio::test]
async fn a_call_carries_the_token_as_other_requests_do() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "secret\n").unwrap();
    let nodes = Nodes::start(2, &["--token-file", file.to_str().unwrap()]).await;
    let follower = nodes.cluster.follower().await;
    let client = nodes.client(follower).await;
    let body = || framed(0, &otlp_protobuf("with-a-token"));
    for headers in [&[][..], &[("authorization", "Bearer other")]] {
        let called = client.call(EXPORT, headers, body()).await.unwrap();
        assert_eq!(called.status, UNAUTHENTICATED, "{called:?}");
    }
    let token = [("authorization", "Bearer secret")];
    assert_taken(&client.call(EXPORT, &token, body()).await.unwrap());
}

#[tokio::test]
async fn without_a_leader_a_call_is_parked_and_then_told_when_to_come_again() {
    let mut nodes = Nodes::start(1, &["--park", "1s"]).await;
    let client = nodes.client(0).await;
    nodes.cluster.consul.stop();
    let node = nodes.cluster.node(0);
    node.until("it leads no more", |status| status["role"] != "leader")
        .await;
    let started = Instant::now();
    let called = client.export(&otlp_protobuf("without-a-leader")).await;
    assert!(started.elapsed() >= Duration::from_secs(1));
    assert_eq!(called.status, UNAVAILABLE, "{called:?}");
    let details = STANDARD_NO_PAD.decode(&called.details).unwrap();
    let details = String::from_utf8_lossy(&details);
    assert!(details.contains("google.rpc.RetryInfo"), "{details}");
    assert!(!node.process.stdout().contains("without-a-leader"));
}

#[tokio::test]
async fn the_death_of_the_leader_is_a_pause_and_no_error() {
    let mut nodes = Nodes::start(3, &[]).await;
    let follower = nodes.cluster.follower().await;
    let leader = nodes.cluster.leader().await;
    let client = nodes.client(follower).await;
    nodes.cluster.nodes[leader].process.kill();
    assert_taken(&client.export(&otlp_protobuf("after-the-death")).await);
    nodes.written("after-the-death", 1).await;
}

#[tokio::test]
async fn a_node_that_stops_answers_the_calls_that_are_under_way() {
    let mut nodes = Nodes::start(1, &[]).await;
    let client = nodes.client(0).await;
    let (body_in, body) = mpsc::channel::<Result<Bytes, Infallible>>(1);
    let body =
        futures_util::stream::unfold(body, |mut body| async { Some((body.recv().await?, body)) });
    let mut parts = framed(0, &otlp_protobuf("while-it-stops"));
    let rest = parts.split_off(10);
    let address = nodes.address(0);
    let process = &mut nodes.cluster.nodes[0].process;
    let stopping = async {
        body_in.send(Ok(parts.into())).await.unwrap();
        // The node takes the calls of a connection in their order: when it
        // has answered this one, it has taken the one before.
        assert_taken(&client.export(&otlp_protobuf("before-it-stops")).await);
        process.signal(Signal::TERM);
        eventually("no more connections are taken", SOON, || async {
            match TcpStream::connect(&address).await {
                Ok(_) => Err("it is".to_owned()),
                Err(_) => Ok(()),
            }
        })
        .await;
        body_in.send(Ok(rest.into())).await.unwrap();
        drop(body_in);
    };
    let calling = client.call(EXPORT, &[], Body::from_stream(body));
    let (called, ()) = tokio::join!(calling, stopping);
    let called = called.unwrap();
    assert_eq!(called.status, UNAVAILABLE, "{called:?}");
    assert!(process.wait(SOON).await.success());
    // The connection was not kept for more.
    let again = client.call(EXPORT, &[], framed(0, b"")).await;
    assert!(again.is_err(), "{again:?}");
}

#[tokio::test]
async fn with_a_certificate_the_node_chooses_http2() {
    let cluster = Cluster::empty(Consul::start().await, &[]);
    let (chain, key, port) = (
        certificate("server.pem"),
        certificate("server.key"),
        Port::claim(),
    );
    let address = format!("127.0.0.1:{}", port.number);
    let options = Options::with(&[
        "--tls-cert",
        &chain,
        "--tls-key",
        &key,
        "--otlp-grpc-listen",
        &address,
    ]);
    let node = cluster.spawn("a", options);
    node.listens().await;
    let client = Client::connect_tls(&address).await;
    eventually("a call is taken", SOON, || async {
        let called = client.export(&otlp_protobuf("over-tls")).await;
        match called.status {
            OK => Ok(()),
            _ => Err(format!("{called:?}")),
        }
    })
    .await;
}
