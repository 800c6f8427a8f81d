//! Certificates: of clients, of nodes that trust each other, and renewed ones.

use std::fs;
use std::path::Path;
use std::time::Duration;

use axum::body::Body;
use http_body_util::BodyExt;
use reqwest::Client;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::listeners::doors::Doors;
use crate::standard::grpc_client;
use crate::support::{Authority, Cluster, Consul, Issued, Options, SOON, eventually, sluice};

pub(crate) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Waits until one of the nodes leads.
pub(crate) async fn leads(cluster: &Cluster, client: &Client) -> usize {
    eventually("a node leads", SOON, || async {
        for (place, node) in cluster.nodes.iter().enumerate() {
            let url = format!("https://{}/api/v1/status", node.address);
            let status = client.get(url).send().await;
            let status = status.map_err(|error| format!("{error:?}"))?;
            let status: Value = serde_json::from_slice(&status.bytes().await.unwrap()).unwrap();
            if status["role"] == "leader" {
                return Ok(place);
            }
        }
        Err("none does".to_owned())
    })
    .await
}

pub(crate) async fn send(client: &Client, address: &str) -> Result<u16, String> {
    let url = format!("https://{address}/api/v1/log");
    let answer = client.post(url).body("x").send().await;
    answer
        .map(|answer| answer.status().as_u16())
        .map_err(|error| format!("{error:?}"))
}

#[tokio::test]
async fn a_client_is_known_by_its_certificate() {
    let mut cluster = Cluster::empty(Consul::start().await, &[]);
    let servers = Authority::new(cluster.folder.path(), "servers");
    let clients = Authority::new(cluster.folder.path(), "clients");
    let others = Authority::new(cluster.folder.path(), "others");
    let server = servers.issue("node");
    let authority = clients.file();
    let options = Options::with(&[
        "--tls-cert",
        text(&server.certificate),
        "--tls-key",
        text(&server.key),
        "--tls-client-ca",
        &authority,
    ]);
    cluster.add_with("a", options).await;
    leads(&cluster, &servers.client(None)).await;
    let address = cluster.node(0).address.clone();
    let as_client = |own: Option<Issued>| servers.client(own.as_ref());
    let known = as_client(Some(clients.issue("agent")));
    assert_eq!(send(&known, &address).await, Ok(200));
    assert_eq!(send(&as_client(None), &address).await, Ok(401));
    for wrong in [others.issue("agent"), clients.issue_until("late", 2001)] {
        let refused = send(&as_client(Some(wrong)), &address).await;
        assert!(refused.is_err(), "{refused:?}");
    }
    assert_eq!(send(&known, &address).await, Ok(200));
}

#[tokio::test]
async fn a_certificate_has_the_scopes_of_its_name() {
    let mut cluster = Cluster::empty(Consul::start().await, &[]);
    let authority = Authority::new(cluster.folder.path(), "all");
    let (server, file) = (authority.issue("node"), authority.file());
    let tokens = cluster.folder.path().join("tokens.toml");
    let entry = "[[token]]\nname = \"seven\"\ncertificate = \"agent-7\"\nscopes = [\"send\"]\n\
                 records_per_second = 1\n";
    fs::write(&tokens, entry).unwrap();
    let options = Options::with(&[
        "--tls-cert",
        text(&server.certificate),
        "--tls-key",
        text(&server.key),
        "--tls-client-ca",
        &file,
        "--tokens",
        text(&tokens),
    ]);
    cluster.add_with("a", options).await;
    leads(&cluster, &authority.client(None)).await;
    let address = cluster.node(0).address.clone();
    let stranger = authority.client(Some(&authority.issue("agent-8")));
    assert_eq!(send(&stranger, &address).await, Ok(401));
    let known = authority.client(Some(&authority.issue("agent-7")));
    assert_eq!(send(&known, &address).await, Ok(200));
    // A moment later it holds a part of a record, so a second one is taken whole.
    let mut answers = Vec::new();
    for _ in 0..2 {
        answers.push(send(&known, &address).await);
    }
    assert!(answers.contains(&Ok(429)), "{answers:?}");
    let url = format!("https://{address}/api/v1/history");
    assert_eq!(known.get(url).send().await.unwrap().status(), 403);
}

#[tokio::test]
async fn a_follower_forwards_for_a_client_with_a_certificate() {
    let mut cluster = Cluster::empty(Consul::start().await, &[]);
    let authority = Authority::new(cluster.folder.path(), "all");
    let (server, file) = (authority.issue("node"), authority.file());
    for name in ["a", "b"] {
        let options = Options::with(&[
            "--tls-cert",
            text(&server.certificate),
            "--tls-key",
            text(&server.key),
            "--tls-client-ca",
            &file,
            "--peer-ca",
            &file,
            "--follower",
            "forward",
        ]);
        cluster.add_with(name, options).await;
    }
    let leader = leads(&cluster, &authority.client(None)).await;
    let follower = cluster.node(1 - leader).address.clone();
    let known = authority.client(Some(&authority.issue("agent")));
    eventually("the follower forwards", SOON, || async {
        match send(&known, &follower).await {
            Ok(200) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    assert_eq!(send(&authority.client(None), &follower).await, Ok(401));
}

#[tokio::test]
async fn a_listener_takes_records_of_clients_that_may_send_them() {
    let doors = Doors::claim();
    let mut cluster = Cluster::empty(Consul::start().await, &[]);
    let authority = Authority::new(cluster.folder.path(), "all");
    let (server, file) = (authority.issue("node"), authority.file());
    let tokens = cluster.folder.path().join("tokens.toml");
    let log = cluster.folder.path().join("audit.log");
    let entry = "[[token]]\nname = \"seven\"\ncertificate = \"agent-7\"\nscopes = [\"send\"]\n\
                 [[token]]\nname = \"eight\"\ncertificate = \"agent-8\"\nscopes = [\"read\"]\n";
    fs::write(&tokens, entry).unwrap();
    let address = format!("tls://{}", doors.syslog_tls());
    let options = Options::with(&[
        "--syslog-listen",
        &address,
        "--tls-cert",
        text(&server.certificate),
        "--tls-key",
        text(&server.key),
        "--tls-client-ca",
        &file,
        "--tokens",
        text(&tokens),
        "--audit-log",
        text(&log),
    ]);
    cluster.add_with("a", options).await;
    leads(&cluster, &authority.client(None)).await;
    for name in ["agent-7", "agent-8", "agent-9"] {
        let own = authority.issue(name);
        let mut stream = authority.connect(&doors.syslog_tls(), Some(&own)).await;
        let line = format!("<14>1 - host app - - - of {name}\n");
        stream.write_all(line.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        if name == "agent-7" {
            cluster.node(0).wrote("of agent-7\n").await;
            continue;
        }
        // It is closed without a goodbye, or reset.
        let mut said = Vec::new();
        let ended = tokio::time::timeout(SOON, stream.read_to_end(&mut said));
        drop(ended.await.expect("the connection ends"));
    }
    eventually("the refusals are in the audit log", SOON, || async {
        let text = fs::read_to_string(&log).unwrap();
        let is_there = text.contains("client eight may not do this")
            && text.contains("the certificate of agent-9 is not listed");
        is_there.then_some(()).ok_or(text)
    })
    .await;
    assert!(!cluster.output().contains("of agent-8"));
    assert!(!cluster.output().contains("of agent-9"));
    // An agent whose right is taken away is cut off with its next message.
    let own = authority.issue("agent-7");
    let mut stream = authority.connect(&doors.syslog_tls(), Some(&own)).await;
    fs::write(&tokens, entry.replace("send", "admin")).unwrap();
    let writing = async {
        let line = b"<14>1 - host app - - - again\n";
        while stream.write_all(line).await.is_ok() && stream.flush().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let ended = tokio::time::timeout(SOON, writing);
    ended.await.expect("the connection ends");
}

#[tokio::test]
async fn a_renewed_certificate_counts_without_a_restart() {
    let mut cluster = Cluster::empty(Consul::start().await, &[]);
    let old = Authority::new(cluster.folder.path(), "old");
    let new = Authority::new(cluster.folder.path(), "new");
    let server = old.issue("node");
    let options = Options::with(&[
        "--tls-cert",
        text(&server.certificate),
        "--tls-key",
        text(&server.key),
    ]);
    cluster.add_with("a", options).await;
    leads(&cluster, &old.client(None)).await;
    let address = cluster.node(0).address.clone();
    assert!(send(&new.client(None), &address).await.is_err());
    let renewed = new.issue("node");
    fs::copy(&renewed.certificate, &server.certificate).unwrap();
    fs::copy(&renewed.key, &server.key).unwrap();
    eventually("the new certificate is shown", SOON, || async {
        match send(&new.client(None), &address).await {
            Ok(200) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
    assert!(send(&old.client(None), &address).await.is_err());
}

#[tokio::test]
async fn nodes_and_commands_trust_the_clusters_own_authority() {
    let mut cluster = Cluster::empty(Consul::start().await, &[]);
    let authority = Authority::new(cluster.folder.path(), "own");
    let (server, file) = (authority.issue("node"), authority.file());
    for name in ["a", "b"] {
        let options = Options::with(&[
            "--tls-cert",
            text(&server.certificate),
            "--tls-key",
            text(&server.key),
            "--peer-ca",
            &file,
            "--follower",
            "forward",
        ]);
        cluster.add_with(name, options).await;
    }
    let client = authority.client(None);
    let leader = leads(&cluster, &client).await;
    let follower = cluster.node(1 - leader).address.clone();
    // Both ways to the leader: a forwarded request, and a relayed one.
    assert_eq!(send(&client, &follower).await, Ok(200));
    let push = r#"{"streams":[{"stream":{"a":"b"},"values":[["1700000000000000000","relayed"]]}]}"#;
    let pushed = client
        .post(format!("https://{follower}/loki/api/v1/push"))
        .header("content-type", "application/json")
        .body(push)
        .send()
        .await
        .unwrap();
    assert_eq!(pushed.status(), 204);
    let (code, out, err) = sluice(&cluster, &["status", "--cacert", &file]).await;
    assert_eq!(code, Some(0), "{out}{err}");
    assert!(out.contains("leader"), "{out}");
    let (code, out, err) = sluice(&cluster, &["rejects", "--cacert", &file]).await;
    assert_eq!(code, Some(0), "{out}{err}");
    let (code, out, err) = sluice(&cluster, &["rejects", "--tls"]).await;
    assert_ne!(code, Some(0), "{out}{err}");
}

#[tokio::test]
async fn a_client_chooses_http2_in_the_handshake() {
    let mut cluster = Cluster::empty(Consul::start().await, &[]);
    let (chain, key) = (
        crate::support::certificate("server.pem"),
        crate::support::certificate("server.key"),
    );
    let options = Options::with(&["--tls-cert", &chain, "--tls-key", &key]);
    cluster.add_with("a", options).await;
    let address = cluster.node(0).address.clone();
    eventually("a message is acknowledged over HTTP/2", SOON, || async {
        let mut sender = grpc_client::sender(&address).await;
        let request = axum::http::Request::post("https://localhost/api/v1/log");
        let request = request.body(Body::from("over-http2")).unwrap();
        let answer = sender.send_request(request).await.unwrap();
        let status = answer.status();
        let text = answer.into_body().collect().await.unwrap().to_bytes();
        match status.as_u16() {
            200 => Ok(()),
            _ => Err(format!("{status} {text:?}")),
        }
    })
    .await;
    cluster.node(0).wrote("over-http2").await;
    // Several at a time on one connection, of a standard protocol too.
    let sender = grpc_client::sender(&address).await;
    let asking = (0..20).map(|_| {
        let mut sender = sender.clone();
        async move {
            let request = axum::http::Request::get("https://localhost/api/v1/history");
            let request = request.body(Body::empty()).unwrap();
            sender.ready().await.unwrap();
            sender.send_request(request).await.unwrap().status()
        }
    });
    let answers = futures_util::future::join_all(asking).await;
    assert!(answers.iter().all(|status| *status == 200), "{answers:?}");
}
