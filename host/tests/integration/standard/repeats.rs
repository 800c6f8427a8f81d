//! Requests that clients send again.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Cluster, Node, Options, Port, SOON, eventually, guest};

/// How many records the sink has confirmed.
async fn delivered(node: &Node) -> u64 {
    node.metric("sluice_records_delivered_total").await
}

async fn with_id(cluster: &Cluster, id: &str, text: &'static str) {
    let request = cluster.http.post(cluster.node(0).url("/api/v1/log"));
    let sending = request.header("sluice-message-id", id).body(text).send();
    assert_eq!(sending.await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_message_with_the_same_id_and_content_is_delivered_once() {
    let cluster = Cluster::start(1, &[]).await;
    for _ in 0..3 {
        with_id(&cluster, "1", "first").await;
    }
    assert_eq!(delivered(cluster.node(0)).await, 1);
    with_id(&cluster, "2", "first").await;
    with_id(&cluster, "1", "other").await;
    // Without an id, two equal messages are two.
    for _ in 0..2 {
        assert_eq!(cluster.node(0).log("equal").await.0, 200);
    }
    assert_eq!(delivered(cluster.node(0)).await, 5);
}

#[tokio::test]
async fn nothing_is_recognised_without_dedupe_ids() {
    let cluster = Cluster::start(1, &["--dedupe-ids", "0"]).await;
    for _ in 0..2 {
        with_id(&cluster, "1", "first").await;
    }
    assert_eq!(delivered(cluster.node(0)).await, 2);
}

#[tokio::test]
async fn a_request_whose_client_went_away_is_recognised_once_when_it_comes_again() {
    let plugin = format!("file://{}", guest("misbehave").display());
    let folder = guest("misbehave").parent().unwrap().display().to_string();
    let cluster = Cluster::start(2, &["--plugin", &plugin, "--plugin-dir", &folder]).await;
    let (leader, follower) = (cluster.leader().await, cluster.follower().await);
    let mut expected = 0;
    for place in [leader, follower] {
        let node = cluster.node(place);
        // The sink needs half a second for it.
        let body = format!(r#"[{{"message":"slow","hostname":"{}"}}]"#, node.name);
        let mut gone = TcpStream::connect(&node.address).await.unwrap();
        let head = format!(
            "POST /api/v2/logs HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        gone.write_all(head.as_bytes()).await.unwrap();
        gone.write_all(body.as_bytes()).await.unwrap();
        eventually("it is being written", SOON, || async {
            match cluster
                .node(leader)
                .metric("sluice_records_accepted_total")
                .await
            {
                accepted if accepted > expected => Ok(()),
                accepted => Err(accepted.to_string()),
            }
        })
        .await;
        // It must be offered to the sink before the client goes: what was not, is
        // withdrawn.
        tokio::time::sleep(Duration::from_millis(100)).await;
        drop(gone);
        expected += 1;
        let again = || node.post("/api/v2/logs", "application/json", body.clone());
        assert_eq!(again().await.0, 202);
        assert_eq!(delivered(cluster.node(leader)).await, expected);
        // The next one is another message, which happens to be equal.
        assert_eq!(again().await.0, 202);
        expected += 1;
        assert_eq!(delivered(cluster.node(leader)).await, expected);
    }
}

#[tokio::test]
async fn what_the_sink_refuses_of_a_client_that_went_away_is_a_dead_letter() {
    let plugin = format!("file://{}", guest("misbehave").display());
    let folder = guest("misbehave").parent().unwrap().display().to_string();
    let cluster = Cluster::start(1, &["--plugin", &plugin, "--plugin-dir", &folder]).await;
    let node = cluster.node(0);
    let documents = ["stderr", "slow", "refuse"]
        .map(|text| format!("{{\"index\":{{}}}}\n{{\"message\":\"{text}\"}}\n"));
    let body = documents.concat();
    let mut gone = TcpStream::connect(&node.address).await.unwrap();
    let length = body.len();
    let head = format!("POST /_bulk HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n");
    gone.write_all(head.as_bytes()).await.unwrap();
    gone.write_all(body.as_bytes()).await.unwrap();
    // Then it needs half a second.
    node.guest_said("a word on stderr").await;
    drop(gone);
    eventually("the refused record is kept", SOON, || async {
        match node.metric("sluice_records_dead_lettered_total").await {
            1 => Ok(()),
            count => Err(count.to_string()),
        }
    })
    .await;
    // The retry is answered with what became of the request.
    let (status, answer) = node.post("/_bulk", "application/x-ndjson", body).await;
    assert_eq!(status, 200);
    assert!(answer.contains("\"errors\":false"), "{answer}");
    assert_eq!(delivered(node).await, 2);
}

#[tokio::test]
async fn a_forward_message_that_comes_again_is_acknowledged_and_not_delivered() {
    let port = Port::claim();
    let mut cluster = Cluster::start(0, &[]).await;
    let address = format!("127.0.0.1:{}", port.number);
    let options = Options::with(&["--forward-listen", &address]);
    cluster.add_with("a", options).await;
    cluster.leader().await;
    // Docker sends the same on the same connection, and on another one.
    let message = b"\x94\xa1t\xce\x65\x00\x00\x00\x81\xa3log\xa2hi\x81\xa5chunk\xa2c1";
    for _ in 0..2 {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        for _ in 0..3 {
            stream.write_all(message).await.unwrap();
            let mut ack = [0; 8];
            let reading = stream.read_exact(&mut ack);
            tokio::time::timeout(SOON, reading).await.unwrap().unwrap();
            assert_eq!(&ack, b"\x81\xa3ack\xa2c1");
        }
    }
    assert_eq!(delivered(cluster.node(0)).await, 1);
}
