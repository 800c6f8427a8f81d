//! One client cannot take what others need over HTTP/2.

use std::convert::Infallible;
use std::net::Ipv4Addr;

use axum::body::{Body, Bytes};
use axum::http::Request;
use hyper::client::conn::http2::SendRequest;

use super::connections::{ATTACKER, OTHER, connect_from};
use crate::standard::grpc_client::sender_on;
use crate::support::{Cluster, Options, SOON, certificate, eventually};

/// As many requests as a connection may have, on as many connections as take all memory
/// that there is for them.
const CONNECTIONS: usize = 12;
const REQUESTS: usize = 128;

async fn sender_from(source: Ipv4Addr, cluster: &Cluster) -> SendRequest<Body> {
    let address = cluster.node(0).address.parse().unwrap();
    sender_on(connect_from(source, address).await.unwrap()).await
}

/// What a client is told that asks for the status so often at a time.
async fn statuses(sender: &SendRequest<Body>, count: usize) -> Vec<u16> {
    let asking = (0..count).map(|_| {
        let mut sender = sender.clone();
        async move {
            let request = Request::get("https://localhost/api/v1/status");
            let request = request.body(Body::empty()).unwrap();
            sender.ready().await.unwrap();
            sender
                .send_request(request)
                .await
                .unwrap()
                .status()
                .as_u16()
        }
    });
    futures_util::future::join_all(asking).await
}

#[tokio::test]
async fn requests_over_http2_of_one_source_keep_nobody_out() {
    let mut cluster = Cluster::start(0, &[]).await;
    let (chain, key) = (certificate("server.pem"), certificate("server.key"));
    let options = Options::with(&["--tls-cert", &chain, "--tls-key", &key]);
    cluster.add_with("a", options).await;
    let mut held = Vec::new();
    for _ in 0..CONNECTIONS {
        let sender = sender_from(ATTACKER, &cluster).await;
        for _ in 0..REQUESTS {
            let mut sender = sender.clone();
            // It never sends its body.
            let body = futures_util::stream::pending::<Result<Bytes, Infallible>>();
            let request = Request::post("https://localhost/api/v1/log");
            let request = request.body(Body::from_stream(body)).unwrap();
            sender.ready().await.unwrap();
            held.push(tokio::spawn(sender.send_request(request)));
        }
    }
    eventually("the attacker finds no room", SOON, || async {
        let refused = held.iter().filter(|request| request.is_finished()).count();
        match refused {
            0 => Err("it does".to_owned()),
            _ => Ok(()),
        }
    })
    .await;
    let other = sender_from(OTHER, &cluster).await;
    let told = statuses(&other, 20).await;
    assert!(told.iter().all(|status| *status == 200), "{told:?}");
    // One at a time has room on any connection.
    let attacker = sender_from(ATTACKER, &cluster).await;
    assert_eq!(statuses(&attacker, 1).await, [200]);
    held.iter().for_each(tokio::task::JoinHandle::abort);
}
