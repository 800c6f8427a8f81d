//! Traces that follow a message from its producer to the destination of the sink.

mod destination;
mod receiver;
mod refused;

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;
use tokio::net::TcpListener;

use crate::standard::grpc_client::{Client, EXPORT, framed};
use crate::support::{Cluster, Options, Port, SOON, eventually};
use destination::Destination;
use receiver::{Receiver, Span, hex};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PRODUCER: &str = "00f067aa0ba902b7";
/// What a sink of these tests sends if it makes traces itself.
const OF_THE_SINK: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn traceparent() -> String {
    format!("00-{TRACE}-{PRODUCER}-01")
}

/// The variables of a node that exports at once.
fn variables(endpoint: &str) -> Vec<(String, String)> {
    let pairs = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ];
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

fn with(mut variables: Vec<(String, String)>, more: &[(&str, &str)]) -> Vec<(String, String)> {
    let more = more
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    variables.extend(more);
    variables
}

/// A node whose sink posts to this destination.
async fn posting(destination: &Destination, variables: Vec<(String, String)>) -> Cluster {
    let cluster = one(destination, variables).await;
    let url = format!("{}/logs?key=secret", destination.origin);
    runs(&cluster, destination, json!({"post": url})).await;
    cluster
}

async fn one(destination: &Destination, variables: Vec<(String, String)>) -> Cluster {
    let mut cluster = Cluster::start(0, &["--allow-http", &destination.origin]).await;
    let options = Options {
        variables,
        ..Options::default()
    };
    cluster.add_with("a", options).await;
    cluster.leader().await;
    cluster
}

async fn runs(cluster: &Cluster, destination: &Destination, config: serde_json::Value) {
    let permissions = json!({"http": [destination.origin]});
    let limits = json!({"write_timeout_ms": 20_000});
    cluster.runs_with(config, permissions, limits).await;
}

/// Sends a message below this span, which is acknowledged.
async fn send(cluster: &Cluster, place: usize, traceparent: &str) {
    let request = cluster.http.post(cluster.node(place).url("/api/v1/log"));
    let request = request.header("traceparent", traceparent);
    let request = request.header("tracestate", "vendor=1");
    let answer = request.body("a message").send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn a_message_is_followed_from_its_producer_to_the_destination() {
    let (receiver, destination) = (Receiver::start().await, Destination::start().await);
    let more = [
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=a%20b"),
        (
            "OTEL_RESOURCE_ATTRIBUTES",
            "deployment.environment.name=test",
        ),
        ("OTEL_SERVICE_NAME", "logs"),
    ];
    let cluster = posting(&destination, with(variables(&receiver.url), &more)).await;
    send(&cluster, 0, &traceparent()).await;
    let request = receiver.only("POST /api/v1/log").await;
    let batch = receiver.only("batch").await;
    let write = receiver.only("write").await;
    let outgoing = receiver.only("POST").await;
    assert_eq!(request.above(), traceparent(), "below the producer's span");
    assert!(batch.is_below(&request), "{batch:?}");
    assert!(write.is_below(&batch), "{write:?}");
    assert!(outgoing.is_below(&write), "{outgoing:?}");
    let expected = (outgoing.traceparent(), "vendor=1".to_owned());
    assert_eq!(destination.seen(), [expected]);
    for (span, key, expected) in [
        (&request, "http.request.method", "POST"),
        (&request, "http.route", "/api/v1/log"),
        (&request, "http.response.status_code", "200"),
        (&request, "client.address", "127.0.0.1"),
        (&request, "url.scheme", "http"),
        (&request, "sluice.records", "1"),
        (&request, "sluice.outcome", "accepted"),
        (&batch, "sluice.stream", "default"),
        (&batch, "sluice.requests", "1"),
        (&batch, "sluice.outcome", "accepted"),
        (&write, "sluice.attempt", "1"),
        (&write, "sluice.outcome", "accepted"),
        (
            &outgoing,
            "url.full",
            &format!("{}/logs", destination.origin),
        ),
        (&outgoing, "server.address", "127.0.0.1"),
        (&outgoing, "http.response.status_code", "200"),
    ] {
        let found = span.attribute(key);
        assert_eq!(found.as_deref(), Some(expected), "{key} of {span:?}");
    }
    for (key, expected) in [
        ("service.name", "logs"),
        ("service.instance.id", "a"),
        ("deployment.environment.name", "test"),
    ] {
        assert_eq!(request.resource(key).as_deref(), Some(expected));
    }
    assert_eq!(receiver.headers()["x-tenant"], "a b");
    let all = format!("{:?}", receiver.spans());
    assert!(!all.contains("secret"), "{all}");
    assert_eq!(receiver.spans().len(), 4, "exports are not traced: {all}");
}

#[tokio::test]
async fn a_batch_of_many_requests_links_them() {
    let (receiver, destination) = (Receiver::start().await, Destination::holding(0).await);
    let cluster = posting(&destination, variables(&receiver.url)).await;
    let producer = traceparent();
    let first = send(&cluster, 0, &producer);
    let parents: Vec<_> = (0..40)
        .map(|n| format!("00-{TRACE}-{:016x}-01", n + 1))
        .collect();
    let others = async {
        eventually("the first is being written", SOON, || async {
            match destination.seen().len() {
                1 => Ok(()),
                other => Err(other.to_string()),
            }
        })
        .await;
        join_all(parents.iter().map(|parent| send(&cluster, 0, parent))).await;
    };
    let release = async {
        let is_full = |status: &serde_json::Value| status["queue"]["records"] == 41;
        cluster.node(0).until("all wait", is_full).await;
        destination.release();
    };
    tokio::join!(first, others, release);
    let requests = receiver.named("POST /api/v1/log", 41).await;
    let batches = receiver.named("batch", 2).await;
    let is_many = |span: &&Span| span.attribute("sluice.requests").as_deref() == Some("40");
    let many = batches.iter().find(is_many).unwrap();
    assert_eq!(many.span.parent_span_id, Vec::<u8>::new());
    assert_ne!(hex(&many.span.trace_id), TRACE, "a trace of its own");
    assert_eq!(many.span.links.len(), 32);
    assert_eq!(many.attribute("sluice.links.dropped").as_deref(), Some("8"));
    for link in &many.span.links {
        let is_linked = |request: &&Span| {
            request.span.span_id == link.span_id && request.span.trace_id == link.trace_id
        };
        assert!(requests.iter().any(|request| is_linked(&request)));
    }
    let writes = receiver.named("write", 2).await;
    let write = writes.iter().find(|write| write.is_below(many)).unwrap();
    let sent = receiver.named("POST", 2).await;
    let sent = sent.iter().find(|sent| sent.is_below(write)).unwrap();
    let seen = destination.seen();
    assert_eq!(seen[1].0, sent.traceparent());
}

#[tokio::test]
async fn a_follower_hands_the_trace_on_to_the_leader() {
    let receiver = Receiver::start().await;
    let mut cluster = Cluster::start(0, &["--follower", "forward"]).await;
    let mut ports = Vec::new();
    for name in ["a", "b"] {
        let port = Port::claim();
        let address = format!("127.0.0.1:{}", port.number);
        let mut options = Options::with(&["--otlp-grpc-listen", &address]);
        options.variables = variables(&receiver.url);
        cluster.add_with(name, options).await;
        ports.push(port);
    }
    let follower = cluster.follower().await;
    let leader = &cluster.node(1 - follower).name;
    send(&cluster, follower, &traceparent()).await;
    let push = r#"{"streams":[{"stream":{"a":"b"},"values":[["1","x"]]}]}"#;
    let request = cluster
        .http
        .post(cluster.node(follower).url("/loki/api/v1/push"));
    let request = request.header("traceparent", traceparent());
    let request = request.header("content-type", "application/json");
    assert_eq!(request.body(push).send().await.unwrap().status(), 204);
    let address = format!("127.0.0.1:{}", ports[follower].number);
    let client = Client::connect(&address).await;
    let headers = [("traceparent", &*traceparent())];
    // One record without a field.
    let message = [0x0A, 0x04, 0x12, 0x02, 0x12, 0x00];
    let called = client.call(EXPORT, &headers, framed(0, &message)).await;
    assert_eq!(called.unwrap().status, 0);
    for name in [
        "POST /api/v1/log",
        "POST /loki/api/v1/push",
        &format!("POST {EXPORT}"),
    ] {
        let spans = receiver.named(name, 2).await;
        let (at_leader, at_follower): (Vec<_>, Vec<_>) =
            spans.iter().partition(|span| span.node() == *leader);
        let (at_leader, at_follower) = (at_leader[0], at_follower[0]);
        assert_eq!(at_follower.above(), traceparent());
        let relayed_to = at_follower.attribute("sluice.relayed_to");
        assert_eq!(relayed_to.as_ref(), Some(leader), "{name}");
        assert!(at_leader.is_below(at_follower), "{name}");
        let outcome = at_leader.attribute("sluice.outcome");
        assert_eq!(outcome.as_deref(), Some("accepted"), "{name}");
    }
    let batches = receiver.named("batch", 3).await;
    assert!(batches.iter().all(|batch| batch.node() == *leader));
    assert!(
        batches
            .iter()
            .all(|batch| hex(&batch.span.trace_id) == TRACE)
    );
}

#[tokio::test]
async fn what_waits_is_exported_when_the_node_ends() {
    let receiver = Receiver::start().await;
    let destination = Destination::start().await;
    let never = [("OTEL_BSP_SCHEDULE_DELAY", "3600000")];
    let mut cluster = posting(&destination, with(variables(&receiver.url), &never)).await;
    send(&cluster, 0, &traceparent()).await;
    assert!(receiver.spans().is_empty());
    assert!(cluster.nodes[0].process.terminate().await.success());
    assert_eq!(receiver.spans().len(), 4, "{:?}", receiver.spans());
}

/// A metric of the node's spans.
async fn spans(cluster: &Cluster, outcome: &str) -> u64 {
    let answer = cluster
        .http
        .get(cluster.node(0).url("/metrics"))
        .send()
        .await;
    let text = answer.unwrap().text().await.unwrap();
    let sample = format!("sluice_spans_total{{outcome=\"{outcome}\"}} ");
    let count = text.lines().find_map(|line| line.strip_prefix(&sample));
    count
        .unwrap_or_else(|| panic!("no {sample} in {text}"))
        .parse()
        .unwrap()
}

#[tokio::test]
async fn a_receiver_that_never_answers_holds_up_nothing() {
    // What connects is accepted by the kernel.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let destination = Destination::start().await;
    let small = [("OTEL_BSP_MAX_QUEUE_SIZE", "20")];
    let mut cluster = posting(&destination, with(variables(&url), &small)).await;
    for _ in 0..50 {
        send(&cluster, 0, &traceparent()).await;
    }
    // Four of each message. A request has 20 at most, and 20 wait.
    let dropped = eventually("spans are dropped", SOON, || async {
        match spans(&cluster, "dropped").await {
            0 => Err("none".to_owned()),
            dropped => Ok(dropped),
        }
    })
    .await;
    assert!((160..=200).contains(&dropped), "{dropped}");
    assert_eq!(spans(&cluster, "exported").await, 0);
    let asked = Instant::now();
    assert!(cluster.nodes[0].process.terminate().await.success());
    assert!(asked.elapsed() < Duration::from_secs(10));
    assert_eq!(destination.seen().len(), 50);
}

#[tokio::test]
async fn without_the_variables_only_sinks_send_traces() {
    let destination = Destination::start().await;
    let cluster = posting(&destination, Vec::new()).await;
    send(&cluster, 0, &traceparent()).await;
    assert_eq!(destination.seen(), [(String::new(), String::new())]);
    runs(&cluster, &destination, json!({})).await;
    let url = format!("{}/logs", destination.origin);
    let said = cluster.tries(&format!("TRACED {url}")).await;
    assert_eq!(said, format!("done: {OF_THE_SINK}"));
}

#[tokio::test]
async fn a_sink_that_sends_a_trace_keeps_it_and_what_is_not_sampled_is_handed_on() {
    let (receiver, destination) = (Receiver::start().await, Destination::start().await);
    let sampler = [("OTEL_TRACES_SAMPLER", "parentbased_always_off")];
    let variables = with(variables(&receiver.url), &sampler);
    let cluster = one(&destination, variables).await;
    runs(&cluster, &destination, json!({})).await;
    let url = format!("{}/logs", destination.origin);
    let said = cluster.tries(&format!("TRACED {url}")).await;
    assert_eq!(said, format!("done: {OF_THE_SINK}"));
    // This one has no trace of its own, nor of its producer.
    let said = cluster.tries(&format!("GET {url}")).await;
    let (_, handed_on) = said.rsplit_once(' ').unwrap();
    assert!(
        handed_on.starts_with("00-") && handed_on.ends_with("-00"),
        "{said}"
    );
    assert!(receiver.spans().is_empty(), "{:?}", receiver.spans());
    // The producer decides.
    send(&cluster, 0, &traceparent()).await;
    receiver.only("POST /api/v1/log").await;
}

#[tokio::test]
async fn what_cannot_be_used_is_named() {
    let cluster = Cluster::start(0, &[]).await;
    for (name, value, expected) in [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "http/protobuf"),
        ("OTEL_TRACES_SAMPLER", "xray", "parentbased_traceidratio"),
    ] {
        let variables = with(variables("http://127.0.0.1:1"), &[(name, value)]);
        let mut command = cluster.command();
        command.args(["node", "--name", "x", "--listen", "127.0.0.1:0"]);
        command.envs(variables);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap());
        let output = output.await.unwrap();
        assert_eq!(output.status.code(), Some(1));
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(name) && said.contains(expected), "{said}");
    }
}
