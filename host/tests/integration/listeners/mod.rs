//! Listeners of protocols that are not HTTP.

pub(crate) mod doors;
mod limits;
pub(crate) mod relp;
mod stop;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::TcpStream as Blocking;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Cluster, SOON, eventually, guest, sluice};
use doors::{Doors, cluster, datagram};
use relp::Relp;

/// Sends these bytes on a connection of their own.
fn send(to: &str, bytes: &[u8]) {
    Blocking::connect(to).unwrap().write_all(bytes).unwrap();
}

/// A Forward message with one record, which is to be acknowledged.
pub(crate) fn forward_message(body: &str, chunk: &str) -> Vec<u8> {
    let text = |text: &str| {
        let length = u8::try_from(text.len()).unwrap();
        [&[0xd9, length], text.as_bytes()].concat()
    };
    let time = [0xce, 0x65, 0, 0, 0];
    [
        &[0x94][..],
        &text("tag"),
        &time,
        &[0x81],
        &text("log"),
        &text(body),
        &[0x81],
        &text("chunk"),
        &text(chunk),
    ]
    .concat()
}

async fn forward_acknowledged(to: &str, body: &str) {
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream
        .write_all(&forward_message(body, "c1"))
        .await
        .unwrap();
    let mut ack = [0; 8];
    let reading = stream.read_exact(&mut ack);
    tokio::time::timeout(SOON, reading).await.unwrap().unwrap();
    assert_eq!(&ack, b"\x81\xa3ack\xa2c1");
}

/// Waits until the sinks have written every one of these, in any order.
async fn all_written(cluster: &Cluster, bodies: &BTreeSet<String>) {
    eventually("all are written", SOON, || async {
        let output = cluster.output();
        let lines: BTreeSet<&str> = output.lines().collect();
        let missing: Vec<_> = bodies
            .iter()
            .filter(|body| !lines.contains(body.as_str()))
            .take(5)
            .collect();
        match missing.is_empty() {
            true => Ok(()),
            false => Err(format!("{missing:?} and perhaps more are missing")),
        }
    })
    .await;
}

/// Sends a message by every protocol, and returns the messages.
async fn send_by_all(doors: &Doors, mark: &str) -> BTreeSet<String> {
    let body = |protocol: &str| format!("{protocol} {mark}");
    let syslog = |protocol: &str| format!("<14>1 - host app - - - {}", body(protocol));
    send(&doors.syslog(), format!("{}\n", syslog("lines")).as_bytes());
    let counted = syslog("counted");
    send(
        &doors.syslog(),
        format!("{} {counted}", counted.len()).as_bytes(),
    );
    datagram(&doors.syslog_udp(), syslog("udp").as_bytes());
    let gelf = |protocol: &str| {
        format!(
            r#"{{"version":"1.1","host":"h","short_message":"{}"}}"#,
            body(protocol)
        )
    };
    send(&doors.gelf(), format!("{}\0", gelf("gelf")).as_bytes());
    datagram(&doors.gelf(), gelf("gelf-udp").as_bytes());
    forward_acknowledged(&doors.forward(), &body("forward")).await;
    let mut relp = Relp::open(&doors.relp()).await.unwrap();
    relp.send(&body("relp")).await.unwrap();
    assert_eq!(relp.answered().await, Some(body("relp")));
    [
        "lines", "counted", "udp", "gelf", "gelf-udp", "forward", "relp",
    ]
    .map(body)
    .into()
}

#[tokio::test]
async fn every_node_takes_every_protocol() {
    let (cluster, doors) = cluster(3, &[]).await;
    let (leader, follower) = (cluster.leader().await, cluster.follower().await);
    for (place, mark) in [(leader, "to-the-leader"), (follower, "to-a-follower")] {
        let sent = send_by_all(&doors[place], mark).await;
        all_written(&cluster, &sent).await;
    }
    let metric = "sluice_records_accepted_total";
    let taken = cluster.node(follower).metric(metric).await;
    assert_eq!(taken, 0, "a follower takes nothing itself");
}

#[tokio::test]
async fn a_fail_over_is_a_pause_and_loses_nothing_of_a_follower_s_clients() {
    const MESSAGES: usize = 400;
    let (mut cluster, doors) = cluster(3, &[]).await;
    let (leader, follower) = (cluster.leader().await, cluster.follower().await);
    let mut lines = TcpStream::connect(doors[follower].syslog()).await.unwrap();
    let mut relp = Relp::open(&doors[follower].relp()).await.unwrap();
    let mut sent = BTreeSet::new();
    for number in 0..MESSAGES {
        if number == MESSAGES / 4 {
            cluster.nodes[leader].process.kill();
        }
        let body = format!("syslog number {number}");
        let line = format!("<14>1 - host app - - - {body}\n");
        lines.write_all(line.as_bytes()).await.unwrap();
        sent.insert(body);
        let body = format!("relp number {number}");
        relp.send(&body).await.expect("the session stays");
        sent.insert(body);
        if relp.unanswered.len() >= 100 {
            relp.answered().await.expect("the session stays");
        }
    }
    while !relp.unanswered.is_empty() {
        relp.answered().await.expect("the session stays");
    }
    all_written(&cluster, &sent).await;
}

#[tokio::test]
async fn what_a_sink_refuses_is_acknowledged_and_kept_as_a_dead_letter() {
    let plugin = format!("file://{}", guest("misbehave").display());
    let folder = guest("misbehave").parent().unwrap().display().to_string();
    let flags = ["--plugin", &plugin, "--plugin-dir", &folder];
    let (cluster, doors) = cluster(2, &flags).await;
    for node in &doors {
        let mut relp = Relp::open(&node.relp()).await.unwrap();
        for body in ["refuse", "fine"] {
            relp.send(body).await.unwrap();
        }
        assert_eq!(relp.answered().await.as_deref(), Some("refuse"));
        assert_eq!(relp.answered().await.as_deref(), Some("fine"));
    }
    let leader = cluster.leader().await;
    let rejected = cluster.node(leader).metric("sluice_records_rejected_total");
    assert_eq!(rejected.await, 2);
    let (code, out, err) = sluice(&cluster, &["dlq", "list", "--json"]).await;
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(out.lines().count(), 2, "{out}");
}

#[tokio::test]
async fn what_is_not_of_the_protocol_ends_its_connection_and_no_other() {
    let (cluster, doors) = cluster(1, &[]).await;
    let doors = &doors[0];
    let mut innocent = Relp::open(&doors.relp()).await.unwrap();
    for address in [doors.relp(), doors.forward()] {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
            .await
            .unwrap();
        let mut rest = Vec::new();
        let reading = stream.read_to_end(&mut rest);
        drop(tokio::time::timeout(SOON, reading).await.expect("an end"));
    }
    // Syslog takes any line, and GELF says what it cannot read.
    send(&doors.syslog(), b"GET / HTTP/1.1\r\n");
    send(
        &doors.gelf(),
        b"no JSON\0{\"host\":\"h\",\"short_message\":\"good\"}\0",
    );
    let expected = ["GET / HTTP/1.1", "good"].map(str::to_owned).into();
    all_written(&cluster, &expected).await;
    innocent.send("still here").await.unwrap();
    assert_eq!(innocent.answered().await.as_deref(), Some("still here"));
    let rejected = cluster.node(0).metric("sluice_records_rejected_total");
    assert_eq!(rejected.await, 1);
}
