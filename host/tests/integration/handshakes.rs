//! Handshakes that fail, and authorities that change.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tokio::io::AsyncReadExt;

use crate::listeners::doors::Doors;
use crate::support::{Authority, Cluster, Consul, Issued, Options, SOON, eventually};
use crate::tls_clients::{leads, send, text};

/// Connects with a certificate that is refused, or without one, and waits for the end.
async fn is_refused(server: &Authority, address: &str, own: Option<&Issued>) {
    let mut stream = server.connect(address, own).await;
    let mut said = Vec::new();
    let ended = tokio::time::timeout(SOON, stream.read_to_end(&mut said));
    assert!(ended.await.expect("the connection ends").is_err());
}

/// Seconds since 1970.
fn seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

/// How many lines of an audit log are about this, and for how often it was refused they
/// stand.
fn refused(log: &[Value], what: &str, why: &str) -> (usize, u64) {
    let lines: Vec<_> = log
        .iter()
        .filter(|line| line["what"] == what && line["detail"].as_str().unwrap().contains(why))
        .collect();
    let times = lines.iter().map(|line| {
        assert_eq!(line["outcome"], "refused", "{line}");
        assert_eq!(line["from"], "127.0.0.1", "{line}");
        assert_eq!(line["who"], Value::Null, "{line}");
        line["repeated"].as_u64().unwrap_or(1)
    });
    (lines.len(), times.sum())
}

#[tokio::test]
async fn handshakes_that_fail_are_in_the_audit_log_and_counted_when_they_repeat() {
    let doors = Doors::claim();
    let mut cluster = Cluster::empty(Consul::start().await, &[]);
    let folder = cluster.folder.path().to_owned();
    let known = Authority::new(&folder, "known");
    let unknown = Authority::new(&folder, "unknown");
    let (server, file) = (known.issue("node"), known.file());
    let log = folder.join("audit.log");
    let listener = doors.syslog_tls();
    let options = Options::with(&[
        "--syslog-listen",
        &format!("tls://{listener}"),
        "--tls-cert",
        text(&server.certificate),
        "--tls-key",
        text(&server.key),
        "--tls-client-ca",
        &file,
        "--audit-log",
        text(&log),
    ]);
    cluster.add_with("a", options).await;
    let client = known.client(Some(&known.issue("agent")));
    leads(&cluster, &client).await;
    let address = cluster.node(0).address.clone();
    let (stranger, late) = (unknown.issue("agent"), known.issue_until("late", 2001));
    for _ in 0..3 {
        is_refused(&known, &address, Some(&stranger)).await;
        is_refused(&known, &listener, Some(&stranger)).await;
        is_refused(&known, &listener, None).await;
        is_refused(&known, &address, Some(&late)).await;
        // The time is no part of what is counted.
        let now = seconds();
        let another = || async { (seconds() > now).then_some(()).ok_or_else(String::new) };
        eventually("it is another second", SOON, another).await;
    }
    assert_eq!(send(&client, &address).await, Ok(200));
    assert!(cluster.nodes[0].process.terminate().await.success());
    let log = fs::read_to_string(&log).unwrap();
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for (what, why) in [
        ("connect", "UnknownIssuer"),
        ("connect", "it has expired"),
        ("send syslog", "UnknownIssuer"),
        ("send syslog", "peer sent no certificates"),
    ] {
        let (lines, times) = refused(&lines, what, why);
        assert_eq!(times, 3, "{what}: {why}: {log}");
        assert!(lines < 3, "{what}: {why}: {log}");
    }
}

/// What a client is told, with its status.
async fn told(client: &reqwest::Client, address: &str) -> Result<String, String> {
    let request = client.post(format!("https://{address}/api/v1/log"));
    let answer = request.body("x").send().await;
    let answer = answer.map_err(|error| format!("{error:?}"))?;
    let status = answer.status();
    Ok(format!("{status} {}", answer.text().await.unwrap()))
}

#[tokio::test]
async fn the_authorities_of_nodes_are_read_again_when_their_file_changes() {
    let mut cluster = Cluster::empty(Consul::start().await, &[]);
    let folder = cluster.folder.path().to_owned();
    let own = Authority::new(&folder, "own");
    let other = Authority::new(&folder, "other");
    let server = own.issue("node");
    let file = folder.join("peers.pem");
    fs::copy(other.file(), &file).unwrap();
    for name in ["a", "b"] {
        let options = Options::with(&[
            "--tls-cert",
            text(&server.certificate),
            "--tls-key",
            text(&server.key),
            "--peer-ca",
            text(&file),
            "--follower",
            "forward",
        ]);
        cluster.add_with(name, options).await;
    }
    let client = own.client(None);
    let leader = leads(&cluster, &client).await;
    let follower = cluster.node(1 - leader).address.clone();
    let is = |what: &'static str, expected: &'static str| {
        let (client, follower) = (&client, &follower);
        eventually(what, SOON, move || async move {
            let told = told(client, follower).await?;
            told.contains(expected).then_some(()).ok_or(told)
        })
    };
    is("the leader is not trusted", "cannot be reached").await;
    fs::copy(own.file(), &file).unwrap();
    is("the leader is trusted", "200").await;
    // One that cannot be used changes nothing.
    fs::write(&file, "no authority").unwrap();
    eventually("that is logged", SOON, || async {
        let log = cluster.node(1 - leader).process.stderr();
        let expected = "using the authorities of nodes as they were before";
        log.contains(expected).then_some(()).ok_or(log)
    })
    .await;
    assert_eq!(send(&client, &follower).await, Ok(200));
    fs::copy(other.file(), &file).unwrap();
    is("the leader is not trusted again", "cannot be reached").await;
}
