//! What no decoder can read is kept, and its sender can be found.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::listeners::doors::cluster;
use crate::support::{Cluster, SOON, eventually, sluice};

/// The addresses of two clients.
const LOUD: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const QUIET: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
/// The most rejects of one client that a node keeps.
const CLIENT_MAX: usize = 100;

/// Sends these bytes over a connection from this address, and waits for its end.
async fn send(from: Ipv4Addr, to: &str, bytes: &[u8]) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((from, 0).into()).unwrap();
    let mut stream: TcpStream = socket.connect(to.parse().unwrap()).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    drop(tokio::time::timeout(SOON, reading).await.expect("an end"));
}

/// Sends lines of NDJSON from this address; returns the answer.
async fn ndjson(from: Ipv4Addr, cluster: &Cluster, body: String) -> Value {
    let http = reqwest::Client::builder()
        .local_address(IpAddr::from(from))
        .timeout(Duration::from_secs(60))
        .build()
        .unwrap();
    let node = cluster.node(cluster.leader().await);
    let request = http.post(node.url("/api/v1/logs")).body(body);
    let request = request.header("content-type", "application/x-ndjson");
    request.send().await.unwrap().json().await.unwrap()
}

async fn rejects(cluster: &Cluster, filter: &[&str]) -> Vec<Value> {
    let (code, out, err) = sluice(cluster, &[&["rejects", "--json"], filter].concat()).await;
    assert_eq!(code, Some(0), "{out}{err}");
    out.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Waits until so many rejects of a client are kept.
async fn kept(cluster: &Cluster, client: Ipv4Addr, count: usize) -> Vec<Value> {
    eventually("the rejects are kept", SOON, || async {
        let found = rejects(cluster, &["--client", &client.to_string()]).await;
        match found.len() == count {
            true => Ok(found),
            false => Err(format!("{found:?}")),
        }
    })
    .await
}

#[tokio::test]
async fn who_sends_something_broken_is_found_by_every_protocol() {
    let (cluster, doors) = cluster(2, &[]).await;
    let (leader, follower) = (cluster.leader().await, cluster.follower().await);
    // An entry that is a number, and a message that has no length.
    let forward = b"\x92\xa3tag\x91\x07";
    send(QUIET, &doors[follower].forward(), forward).await;
    send(QUIET, &doors[follower].syslog(), b"6 <14>ab<14>cd").await;
    let gelf = UdpSocket::bind((QUIET, 0)).unwrap();
    gelf.send_to(b"{\"host\": broken", doors[follower].gelf())
        .unwrap();
    let lines = "{\"body\":\"a good one\"}\n{\"body\":\n".to_owned();
    let answer = ndjson(QUIET, &cluster, lines).await;
    assert_eq!(answer["rejected"][0]["index"], 1, "{answer}");

    let found = kept(&cluster, QUIET, 4).await;
    for (protocol, node, excerpt) in [
        ("forward", follower, "Bw=="),
        ("syslog", follower, "<14>cd"),
        ("gelf", follower, "{\"host\": broken"),
        ("native", leader, "{\"body\":"),
    ] {
        let reject = found.iter().find(|reject| reject["protocol"] == protocol);
        let reject = reject.unwrap_or_else(|| panic!("{protocol}: {found:?}"));
        assert_eq!(reject["node"], cluster.node(node).name, "{reject}");
        assert_eq!(reject["client"], QUIET.to_string(), "{reject}");
        assert!(!reject["reason"].as_str().unwrap().is_empty(), "{reject}");
        match protocol {
            "forward" => assert_eq!(reject["base64"], excerpt, "{reject}"),
            _ => assert_eq!(reject["text"], excerpt, "{reject}"),
        }
    }
    assert_eq!(rejects(&cluster, &["--protocol", "gelf"]).await.len(), 1);
    assert!(
        rejects(&cluster, &["--since", "2999-01-01T00:00:00Z"])
            .await
            .is_empty()
    );
    let (code, out, _) = sluice(&cluster, &["rejects"]).await;
    assert!(
        code == Some(0) && out.contains("{\"host\": broken"),
        "{out}"
    );
    let node = cluster.node(follower);
    assert_eq!(node.metric("sluice_decoder_rejects_total").await, 3);

    // They are no dead letters, and nobody else may see them.
    let (code, out, err) = sluice(&cluster, &["dlq", "list", "--json"]).await;
    assert_eq!((code, out.as_str()), (Some(0), ""), "{err}");
    let asked = cluster.http.get(node.url("/internal/v1/rejects")).send();
    assert_eq!(asked.await.unwrap().status(), 401);
    eventually("the good one is written", SOON, || async {
        let output = cluster.output();
        output.contains("a good one").then_some(()).ok_or(output)
    })
    .await;
}

#[tokio::test]
async fn a_flood_from_one_client_pushes_out_nothing_of_another() {
    const DATAGRAMS: usize = 3000;
    let (cluster, doors) = cluster(1, &[]).await;
    let broken = |name: &str, count: usize| format!("{{\"{name}\":\n").repeat(count);
    ndjson(QUIET, &cluster, broken("first", 1)).await;
    let [loud, quiet] = [LOUD, QUIET].map(|client| UdpSocket::bind((client, 0)).unwrap());
    let gelf = doors[0].gelf();
    let flood = || {
        for _ in 0..DATAGRAMS {
            loud.send_to(b"broken", &gelf).unwrap();
        }
    };
    flood();
    let is_once = |reject: &Value| reject["text"] == "broken once";
    eventually("a datagram gets through", SOON, || async {
        quiet.send_to(b"broken once", &gelf).unwrap();
        let found = rejects(&cluster, &["--protocol", "gelf"]).await;
        match found.iter().any(is_once) {
            true => Ok(()),
            false => Err(format!("{found:?}")),
        }
    })
    .await;
    flood();
    for _ in 0..20 {
        ndjson(LOUD, &cluster, broken("flood", 500)).await;
    }
    send(LOUD, &doors[0].gelf(), &b"broken\0".repeat(5000)).await;
    kept(&cluster, LOUD, CLIENT_MAX).await;
    let all = rejects(&cluster, &[]).await;
    let quiet = all
        .iter()
        .filter(|reject| reject["client"] == QUIET.to_string());
    let mut quiet = quiet.collect::<Vec<_>>().into_iter();
    assert_eq!(quiet.next().unwrap()["text"], "{\"first\":", "{all:?}");
    assert!(quiet.len() > 0 && quiet.all(is_once), "{all:?}");
    let node = cluster.node(0);
    eventually("all are kept or counted as dropped", SOON, || async {
        let total = node.metric("sluice_decoder_rejects_total").await;
        let dropped = node.metric("sluice_decoder_rejects_dropped_total").await;
        let kept = u64::try_from(rejects(&cluster, &[]).await.len()).unwrap();
        match total > 15_000 && total == kept + dropped {
            true => Ok(()),
            false => Err(format!("{total}, {kept} and {dropped}")),
        }
    })
    .await;
}
