//! Uploads of journals.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Bytes;
use http_body_util::StreamBody;
use hyper::body::Frame;
use tokio::sync::mpsc;

use crate::support::{Cluster, Options, SOON, eventually};

const CONTENT_TYPE: &str = "application/vnd.fdo.journal";

fn entry(mark: &str, number: usize) -> String {
    format!(
        "__CURSOR=s=b8c5;i={number};m={mark}\n__REALTIME_TIMESTAMP=1795255000000000\n\
         _HOSTNAME=vm\nPRIORITY=4\nMESSAGE={mark} {number}\n\n"
    )
}

pub(crate) fn entries(mark: &str, numbers: std::ops::Range<usize>) -> String {
    numbers.map(|number| entry(mark, number)).collect()
}

/// What is sent of an upload, and its answer.
pub(crate) type Uploading = (
    mpsc::Sender<String>,
    tokio::task::JoinHandle<reqwest::Result<reqwest::Response>>,
);

/// An upload that goes on until the sender is dropped.
fn upload(cluster: &Cluster, place: usize) -> Uploading {
    upload_as(cluster, place, "")
}

/// The same with a token.
pub(crate) fn upload_as(cluster: &Cluster, place: usize, token: &str) -> Uploading {
    let (more, body) = mpsc::channel::<String>(1);
    let body = futures_util::stream::unfold(body, |mut body| async {
        let part = body.recv().await?;
        Some((Ok::<_, Infallible>(Frame::data(Bytes::from(part))), body))
    });
    let request = cluster.http.post(cluster.node(place).url("/upload"));
    let request = request
        .header("content-type", CONTENT_TYPE)
        .header("expect", "100-continue")
        .bearer_auth(token);
    let sending = request
        .body(reqwest::Body::wrap(StreamBody::new(Box::pin(body))))
        .send();
    (more, tokio::spawn(sending))
}

/// Waits until entries of this mark were written, at least so many.
pub(crate) async fn written(cluster: &Cluster, mark: &str, count: usize) {
    eventually("the entries are written", SOON, || async {
        let output = cluster.output();
        let written = output.matches(&format!("{mark} ")).count();
        match written >= count {
            true => Ok(()),
            false => Err(format!("{written} of {count}")),
        }
    })
    .await;
}

#[tokio::test]
async fn entries_are_delivered_while_the_upload_goes_on() {
    let cluster = Cluster::start(2, &[]).await;
    for place in [cluster.leader().await, cluster.follower().await] {
        let mark = format!("node-{place}");
        let (more, answer) = upload(&cluster, place);
        // Half of the third entry, too.
        let first = entries(&mark, 0..3);
        let (now, later) = first.split_at(first.len() - 10);
        more.send(now.to_owned()).await.unwrap();
        written(&cluster, &mark, 2).await;
        assert!(!answer.is_finished(), "the answer comes at the end");
        more.send(later.to_owned()).await.unwrap();
        more.send(entries(&mark, 3..5)).await.unwrap();
        drop(more);
        assert_eq!(answer.await.unwrap().unwrap().status(), 200);
        written(&cluster, &mark, 5).await;
    }
}

#[tokio::test]
async fn an_upload_can_be_larger_than_a_body_and_only_an_entry_cannot() {
    let cluster = Cluster::start(1, &["--max-body", "64KiB"]).await;
    let (more, answer) = upload(&cluster, 0);
    for part in 0..20 {
        let numbers = part * 1000..(part + 1) * 1000;
        more.send(entries("long", numbers)).await.unwrap();
        let huge = format!("MESSAGE=huge{}\n\n", "x".repeat(100_000));
        more.send(huge).await.unwrap();
    }
    drop(more);
    assert_eq!(answer.await.unwrap().unwrap().status(), 200);
    written(&cluster, "long", 20_000).await;
    let output = cluster.output();
    assert_eq!(output.matches("long ").count(), 20_000);
    assert!(!output.contains("huge"));
}

#[tokio::test]
async fn the_death_of_the_leader_is_a_pause_in_an_upload() {
    let mut cluster = Cluster::start(3, &[]).await;
    let (leader, follower) = (cluster.leader().await, cluster.follower().await);
    let (more, answer) = upload(&cluster, follower);
    more.send(entries("first", 0..10)).await.unwrap();
    written(&cluster, "first", 10).await;
    cluster.nodes[leader].process.kill();
    more.send(entries("second", 0..10)).await.unwrap();
    drop(more);
    assert_eq!(answer.await.unwrap().unwrap().status(), 200);
    written(&cluster, "second", 10).await;
}

#[tokio::test]
async fn a_node_that_stops_ends_an_upload_without_an_answer() {
    let mut cluster = Cluster::start(0, &["--park", "1s"]).await;
    cluster.add_with("a", Options::default()).await;
    cluster.leader().await;
    cluster.consul.stop();
    let node = cluster.node(0);
    node.until("it leads no more", |status| status["role"] != "leader")
        .await;
    let (more, mut answer) = upload(&cluster, 0);
    more.send(entry("lost", 0)).await.unwrap();
    drop(more);
    // Longer than other requests are parked.
    let early = tokio::time::timeout(Duration::from_secs(3), &mut answer).await;
    assert!(early.is_err(), "{early:?}");
    cluster.nodes[0].process.terminate().await;
    let answer = answer.await.unwrap();
    assert!(answer.is_err(), "{answer:?}");
    assert!(!cluster.output().contains("lost"));
}

#[tokio::test]
async fn what_is_no_journal_is_refused() {
    let cluster = Cluster::start(1, &[]).await;
    let node = cluster.node(0);
    let post = |body: &'static str| node.post("/upload", CONTENT_TYPE, body);
    let (status, body) = post("what is this\nno journal, certainly\n").await;
    assert_eq!(status, 400, "{body}");
    assert_eq!(post("").await.0, 200);
    let compressed = cluster
        .http
        .post(node.url("/upload"))
        .header("content-encoding", "zstd");
    let answer = compressed.body("x").send().await.unwrap();
    assert_eq!(answer.status(), 415);
}
