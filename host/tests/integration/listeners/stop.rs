//! The end of a node with clients.

use std::collections::BTreeSet;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::doors::cluster;
use super::relp::Relp;
use crate::support::{SOON, certificate};

#[tokio::test]
async fn a_node_that_stops_delivers_what_has_arrived_and_says_goodbye() {
    let (mut cluster, doors) = cluster(1, &[]).await;
    let mut lines = TcpStream::connect(doors[0].syslog()).await.unwrap();
    let mut relp = Relp::open(&doors[0].relp()).await.unwrap();
    let mut sent = BTreeSet::new();
    for number in 0..1000 {
        let body = format!("number {number}");
        let line = format!("<14>1 - host app - - - {body}\n");
        lines.write_all(line.as_bytes()).await.unwrap();
        sent.insert(body);
    }
    let status = cluster.nodes[0].process.terminate().await;
    assert_eq!(status.code(), Some(0));
    let (number, command, _) = relp.frame().await.expect("a goodbye");
    assert_eq!((number, command.as_str()), (0, "serverclose"));
    let output = cluster.output();
    let written: BTreeSet<&str> = output.lines().collect();
    let missing: Vec<_> = sent
        .iter()
        .filter(|body| !written.contains(body.as_str()))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[tokio::test]
async fn a_listener_that_cannot_be_opened_is_named_with_its_flag() {
    let (cluster, doors) = cluster(1, &[]).await;
    let taken = doors[0].syslog();
    let udp = format!("udp://{}", doors[0].relp());
    let tls = format!("tls://{}", doors[0].syslog_tls());
    for (flags, expected) in [
        (["--syslog-listen", &taken], "--syslog-listen tcp://"),
        (
            ["--relp-listen", &udp],
            "this protocol is not spoken over UDP",
        ),
        (["--syslog-listen", &tls], "set --tls-cert and --tls-key"),
    ] {
        let options = crate::support::Options::with(&flags);
        let mut node = cluster.spawn("other", options);
        assert_eq!(node.wait(SOON).await.code(), Some(1));
        assert!(node.stderr().contains(expected), "{}", node.stderr());
    }
}

#[tokio::test]
async fn syslog_can_be_sent_over_tls() {
    let doors = super::Doors::claim();
    let mut cluster = crate::support::Cluster::start(0, &[]).await;
    let (chain, key) = (certificate("server.pem"), certificate("server.key"));
    let address = format!("tls://{}", doors.syslog_tls());
    let flags = [
        "--syslog-listen",
        &address,
        "--tls-cert",
        &chain,
        "--tls-key",
        &key,
    ];
    let node = cluster.spawn("a", crate::support::Options::with(&flags));
    node.listens().await;
    let authority = std::fs::read(certificate("authority.pem")).unwrap();
    let connector = tls_connector(&authority);
    let name = rustls::pki_types::ServerName::try_from("127.0.0.1").unwrap();
    let stream = crate::support::eventually("it listens", SOON, || async {
        let stream = TcpStream::connect(doors.syslog_tls()).await;
        stream.map_err(|error| error.to_string())
    })
    .await;
    let mut stream = connector.connect(name, stream).await.unwrap();
    stream
        .write_all(b"<14>1 - host app - - - over TLS\n")
        .await
        .unwrap();
    stream.flush().await.unwrap();
    crate::support::eventually("it is written", SOON, || async {
        match node.stdout().contains("over TLS") {
            true => Ok(()),
            false => Err(node.stderr()),
        }
    })
    .await;
    cluster.consul.stop();
}

fn tls_connector(authority: &[u8]) -> tokio_rustls::TlsConnector {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(authority).unwrap())
        .unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    tokio_rustls::TlsConnector::from(std::sync::Arc::new(config))
}
