//! Certificates: of clients, of nodes that trust each other, and renewed ones.

use std::fs;
use std::path::{Path, PathBuf};

use axum::body::Body;
use http_body_util::BodyExt;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType,
    date_time_ymd,
};
use reqwest::{Client, Identity};
use serde_json::Value;

use crate::standard::grpc_client;
use crate::support::{Cluster, Consul, Options, SOON, eventually, sluice};

/// An authority, and the folder that its certificates are written to.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: PathBuf,
}

/// The files of a certificate and its key.
struct Issued {
    certificate: PathBuf,
    key: PathBuf,
}

impl Authority {
    fn new(folder: &Path, name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = folder.join(name);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("ca.pem"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    fn file(&self) -> String {
        self.folder.join("ca.pem").display().to_string()
    }

    /// A certificate for a client or server of this name on this machine.
    fn issue(&self, name: &str) -> Issued {
        self.issue_until(name, 4096)
    }

    fn issue_until(&self, name: &str, year: i32) -> Issued {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let address = SanType::IpAddress([127, 0, 0, 1].into());
        params.subject_alt_names.push(address);
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let issued = Issued {
            certificate: self.folder.join(format!("{name}.pem")),
            key: self.folder.join(format!("{name}.key")),
        };
        fs::write(&issued.certificate, certificate.pem()).unwrap();
        fs::write(&issued.key, key.serialize_pem()).unwrap();
        issued
    }

    /// A client that trusts this authority, and shows a certificate if it has one.
    fn client(&self, own: Option<&Issued>) -> Client {
        let root = reqwest::Certificate::from_pem(self.issuer.pem().as_bytes()).unwrap();
        let builder = Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .tls_certs_only([root]);
        let builder = match own {
            None => builder,
            Some(own) => {
                let mut pem = fs::read(&own.certificate).unwrap();
                pem.extend(fs::read(&own.key).unwrap());
                builder.identity(Identity::from_pem(&pem).unwrap())
            }
        };
        builder.build().unwrap()
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Waits until one of the nodes leads.
async fn leads(cluster: &Cluster, client: &Client) -> usize {
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

async fn send(client: &Client, address: &str) -> Result<u16, String> {
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
