//! `--ack journal --journal nats://…`: acknowledged messages are on a majority of
//! servers, and survive the node that took them.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::journal::{cluster, delivered, down};
use crate::support::{Cluster, Nats, Producer, SOON, eventually, sluice};

const LATER: Duration = Duration::from_secs(60);

/// Nodes whose sink is down where [`down`] has a file.
async fn nodes(count: usize, nats: &Nats, arguments: &[&str]) -> Cluster {
    let url = nats.url();
    let arguments = [&["--journal", url.as_str()][..], arguments].concat();
    cluster(count, "write 1 in 1", &arguments).await
}

fn sinks_are_down(cluster: &Cluster, names: &[&str]) {
    for name in names {
        fs::write(down(cluster, name), "").unwrap();
    }
}

async fn posted(cluster: &Cluster, text: &str) -> u16 {
    let leader = cluster.leader().await;
    cluster.node(leader).log(text).await.0
}

#[tokio::test]
async fn what_was_acknowledged_survives_the_node_and_its_disk() {
    let nats = Nats::cluster().await;
    let mut cluster = nodes(2, &nats, &[]).await;
    sinks_are_down(&cluster, &["a", "b"]);
    let mut producer = Producer::start(&cluster, "p", 1, "2ms");
    producer.progresses(&cluster, 300).await;
    let first = cluster.leader().await;
    let name = cluster.node(first).name.clone();
    cluster.nodes[first].process.kill();
    cluster.nodes.remove(first);
    fs::remove_dir_all(cluster.folder.path().join("data").join(&name)).unwrap();
    producer.progresses(&cluster, 50).await;
    let next = cluster.leader().await;
    cluster
        .node(next)
        .until("the status shows what is to be delivered", |status| {
            let journal = &status["journal"];
            journal["kind"] == "replicated" && journal["records"].as_u64() >= Some(350)
        })
        .await;
    producer.process.terminate().await;
    let acknowledged = producer.acknowledged(&cluster);
    let other = if name == "a" { "b" } else { "a" };
    fs::remove_file(down(&cluster, other)).unwrap();
    delivered(&cluster, &acknowledged).await;
}

#[tokio::test]
async fn a_node_that_was_just_installed_takes_over() {
    let nats = Nats::cluster().await;
    let mut cluster = nodes(1, &nats, &[]).await;
    sinks_are_down(&cluster, &["a"]);
    let mut producer = Producer::start(&cluster, "p", 1, "2ms");
    producer.progresses(&cluster, 200).await;
    producer.process.terminate().await;
    let acknowledged = producer.acknowledged(&cluster);
    cluster.nodes[0].process.terminate().await;
    cluster.nodes.clear();
    cluster.add("c").await;
    cluster.leader().await;
    delivered(&cluster, &acknowledged).await;
    cluster
        .node(0)
        .until("nothing is left", |status| {
            status["journal"]["records"] == 0
        })
        .await;
    // What was delivered stays so.
    cluster.nodes[0].process.terminate().await;
    cluster.nodes.clear();
    cluster.add("d").await;
    assert_eq!(posted(&cluster, "one more").await, 200);
    eventually("it is delivered", LATER, || async {
        match cluster.output().contains("one more") {
            true => Ok(()),
            false => Err("not yet".to_owned()),
        }
    })
    .await;
    let written = cluster.output().lines().count();
    assert_eq!(written, 1, "something is delivered again");
    let url = nats.url();
    let arguments = ["journal", "verify", "--journal", &url];
    let (code, out, err) = sluice(&cluster, &arguments).await;
    assert_eq!(code, Some(0), "{out} {err}");
    assert!(
        out.contains("to deliver 0") && out.contains("whole"),
        "{out}"
    );
}

#[tokio::test]
async fn an_old_leader_that_wakes_up_adds_nothing() {
    let nats = Nats::cluster().await;
    let cluster = nodes(2, &nats, &[]).await;
    assert_eq!(posted(&cluster, "before").await, 200);
    let old = cluster.leader().await;
    let new = 1 - old;
    cluster.node(old).process.signal(Signal::STOP);
    cluster
        .node(new)
        .until("the other one leads", |status| status["role"] == "leader")
        .await;
    assert_eq!(cluster.node(new).log("between").await.0, 200);
    cluster.node(old).process.signal(Signal::CONT);
    cluster
        .node(old)
        .until("it follows", |status| status["role"] == "follower")
        .await;
    assert_eq!(posted(&cluster, "after").await, 200);
    for text in ["before", "between", "after"] {
        eventually("it is delivered", LATER, || async {
            match cluster.output().matches(text).count() {
                0 => Err(format!("{text} is missing")),
                _ => Ok(()),
            }
        })
        .await;
    }
}

#[tokio::test]
async fn without_a_majority_requests_wait_and_the_lead_is_kept() {
    let mut nats = Nats::cluster().await;
    let cluster = nodes(1, &nats, &["--request-timeout", "3s"]).await;
    // The servers may take longer than a request to make the log.
    eventually("the log is there", LATER, || async {
        match cluster.node(0).log("1").await {
            (200, _) => Ok(()),
            (status, body) => Err(format!("{status} {body}")),
        }
    })
    .await;
    let epoch = cluster.node(0).status().await.unwrap()["epoch"].clone();
    nats.signal(&[0, 1], Signal::STOP);
    // It may have been stored already.
    let under_way = cluster.node(0).log("2").await.0;
    assert!([200, 503, 504].contains(&under_way), "{under_way}");
    let (status, body) = cluster.node(0).log("3").await;
    assert!([503, 504].contains(&status), "{status} {body}");
    cluster
        .node(0)
        .until("the status says why", |status| {
            status["journal"]["error"].is_string() && status["role"] == "leader"
        })
        .await;
    nats.signal(&[0, 1], Signal::CONT);
    eventually("it goes on by itself", LATER, || async {
        match cluster.node(0).log("4").await {
            (200, _) => Ok(()),
            (status, body) => Err(format!("{status} {body}")),
        }
    })
    .await;
    nats.restart().await;
    eventually("it goes on after a restart", LATER, || async {
        match cluster.node(0).log("5").await {
            (200, _) => Ok(()),
            (status, body) => Err(format!("{status} {body}")),
        }
    })
    .await;
    let status = cluster.node(0).status().await.unwrap();
    assert_eq!(status["epoch"], epoch, "the lead changed");
    assert_eq!(status["journal"]["error"], serde_json::Value::Null);
}

#[tokio::test]
async fn a_full_journal_refuses_and_takes_again() {
    let nats = Nats::cluster().await;
    let cluster = nodes(1, &nats, &["--journal-bytes", "1MiB"]).await;
    sinks_are_down(&cluster, &["a"]);
    cluster.leader().await;
    let text = "x".repeat(50_000);
    let mut taken = 0;
    eventually("it is full", LATER, || {
        taken += 1;
        let node = cluster.node(0);
        let text = text.as_str();
        async move {
            match node.log(text).await {
                (429, _) => Ok(()),
                (status, _) => Err(status.to_string()),
            }
        }
    })
    .await;
    assert!((10..40).contains(&taken), "{taken}");
    fs::remove_file(down(&cluster, "a")).unwrap();
    eventually("it takes again", LATER, || async {
        match cluster.node(0).log(&text).await {
            (200, _) => Ok(()),
            (status, _) => Err(status.to_string()),
        }
    })
    .await;
}

#[tokio::test]
async fn a_server_that_is_too_old_is_refused() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("nats://{}", server.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in server.incoming() {
            let mut stream = stream.unwrap();
            let info = r#"INFO {"server_id":"x","server_name":"x","version":"2.10.27","go":"go",
                "host":"127.0.0.1","port":4222,"headers":true,"max_payload":1048576,"proto":1}"#;
            let info = info.replace('\n', "");
            write!(stream, "{info}\r\n").unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap());
            std::thread::spawn(move || {
                let mut line = String::new();
                while lines.read_line(&mut line).unwrap_or(0) > 0 {
                    if line.starts_with("PING") && stream.write_all(b"PONG\r\n").is_err() {
                        return;
                    }
                    line.clear();
                }
            });
        }
    });
    let cluster = cluster(1, "write 1 in 1", &["--journal", &url]).await;
    eventually("the status says so", SOON, || async {
        let status = cluster.node(0).status().await?;
        let error = status["journal"]["error"].as_str().unwrap_or_default();
        match error.contains("nats-server 2.10.27") && error.contains("is too old") {
            true => Ok(()),
            false => Err(status.to_string()),
        }
    })
    .await;
}

/// What a person should not do: what is not delivered yet is gone then, and nothing else.
#[tokio::test]
async fn a_journal_that_was_purged_or_deleted_by_hand_goes_on() {
    let nats = Nats::cluster().await;
    let mut cluster = nodes(1, &nats, &[]).await;
    cluster.leader().await;
    sinks_are_down(&cluster, &["a"]);
    assert_eq!(posted(&cluster, "Message: 1").await, 200);
    let killed = cluster.nodes.remove(0);
    drop(killed);
    let purged = nats
        .api("STREAM.PURGE.sluice_sluice_default", &json!({}))
        .await;
    assert_eq!(purged.unwrap()["success"], true);
    cluster.add("a").await;
    fs::remove_file(down(&cluster, "a")).unwrap();
    assert_eq!(posted(&cluster, "Message: 2").await, 200);
    delivered(&cluster, &[2].into()).await;

    let deleted = nats
        .api("STREAM.DELETE.sluice_sluice_default", &json!({}))
        .await;
    assert_eq!(deleted.unwrap()["success"], true);
    eventually("it takes records again", LATER, || async {
        match cluster.node(0).log("Message: 3").await {
            (200, _) => Ok(()),
            (status, text) => Err(format!("{status}: {text}")),
        }
    })
    .await;
    delivered(&cluster, &[2, 3].into()).await;
}
