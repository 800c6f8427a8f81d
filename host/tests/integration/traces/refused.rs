//! Clients that may not send.

use std::fs;

use super::{TRACE, receiver, traceparent, variables};
use crate::access::client;
use crate::standard::grpc_client::{Client, EXPORT, framed};
use crate::support::{Cluster, Options, Port};
use receiver::{Receiver, hex};

const LOG: &str = "/api/v1/log";

#[tokio::test]
async fn a_client_that_is_refused_can_have_no_trace_recorded() {
    let receiver = Receiver::start().await;
    let mut cluster = Cluster::start(0, &[]).await;
    let tokens = cluster.folder.path().join("tokens.toml");
    let known = client("web", "send", "") + &client("viewer", "read", "");
    fs::write(&tokens, known).unwrap();
    let port = Port::claim();
    let grpc = format!("127.0.0.1:{}", port.number);
    let mut options = Options::with(&[
        "--tokens",
        tokens.to_str().unwrap(),
        "--otlp-grpc-listen",
        &grpc,
    ]);
    options.variables = variables(&receiver.url);
    cluster.add_with("a", options).await;
    cluster.leader().await;
    let send = async |path: &str, token: Option<&str>, parent: &str| {
        let request = cluster.http.post(cluster.node(0).url(path));
        let request = request.header("traceparent", parent);
        let content_type = match path.starts_with("/api/") {
            true => "text/plain",
            false => "application/json",
        };
        let request = request.header("content-type", content_type);
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        request
            .body("a message")
            .send()
            .await
            .unwrap()
            .status()
            .as_u16()
    };
    for path in [LOG, "/api/v1/logs", "/loki/api/v1/push", "/v1/logs"] {
        for token in [None, Some("guessed"), Some("token-of-viewer")] {
            let status = send(path, token, &traceparent()).await;
            // Protocols tell a wrong token in their own ways.
            assert!([401, 403].contains(&status), "{path} {token:?}: {status}");
        }
    }
    let headers = [("traceparent", &*traceparent())];
    let caller = Client::connect(&grpc).await;
    let called = caller.call(EXPORT, &headers, framed(0, &[])).await;
    assert_eq!(called.unwrap().status, 16);
    let own = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    assert_eq!(send(LOG, Some("token-of-web"), own).await, 200);
    // Everything is exported before the node ends.
    assert!(cluster.nodes[0].process.terminate().await.success());
    let spans = receiver.spans();
    let requests = spans.iter().filter(|span| span.span.name.contains("POST"));
    assert_eq!(requests.count(), 1, "{spans:?}");
    let is_of_another = |span: &receiver::Span| hex(&span.span.trace_id) == TRACE;
    assert!(!spans.iter().any(is_of_another), "{spans:?}");
}
