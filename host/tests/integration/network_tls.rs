//! Sinks that send requests over TLS.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::support::{Cluster, Consul, Options, certificate};

/// A server with TLS that answers with the version of HTTP.
struct SecureServer {
    port: u16,
    connections: Arc<AtomicUsize>,
}

impl SecureServer {
    async fn start(protocols: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut config = server_config();
        config.alpn_protocols = protocols
            .iter()
            .map(|protocol| protocol.as_bytes().to_vec())
            .collect();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let connections: Arc<AtomicUsize> = Arc::default();
        let counted = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, counted) = (acceptor.clone(), Arc::clone(&counted));
                tokio::spawn(async move {
                    // A client that does not trust the certificate gives up.
                    if let Ok(stream) = acceptor.accept(stream).await {
                        counted.fetch_add(1, Ordering::Relaxed);
                        let served = Builder::new(TokioExecutor::new());
                        let stream = TokioIo::new(stream);
                        drop(served.serve_connection(stream, service_fn(version)).await);
                    }
                });
            }
        });
        Self { port, connections }
    }
}

/// A server with the certificate for tests.
pub(crate) fn server_config() -> ServerConfig {
    let chain = CertificateDer::from_pem_file(certificate("server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(certificate("server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![chain], key)
        .unwrap()
}

async fn version(request: Request<Incoming>) -> Result<Response<String>, Infallible> {
    Ok(Response::new(format!("{:?}", request.version())))
}

#[tokio::test]
async fn a_sink_speaks_both_versions_of_http_to_servers_that_the_node_trusts() {
    let modern = SecureServer::start(&["h2", "http/1.1"]).await;
    let old = SecureServer::start(&["http/1.1"]).await;
    let origins = [&modern, &old].map(|server| format!("https://localhost:{}", server.port));
    let flag = origins.join(",");
    let mut cluster = Cluster::empty(Consul::start().await, &["--allow-http", &flag]);
    for name in ["trusts", "trusts-not"] {
        let mut options = Options::default();
        let is_trusted = name == "trusts";
        if is_trusted {
            let authority = ("SSL_CERT_FILE".to_owned(), certificate("authority.pem"));
            options.variables.push(authority);
        }
        cluster.add_with(name, options).await;
        cluster.leader().await;
        let permissions = json!({"http": origins});
        cluster.runs_with(json!({}), permissions, json!({})).await;
        for (origin, version) in [(0, "HTTP/2.0"), (0, "HTTP/2.0"), (1, "HTTP/1.1")] {
            let expected = match is_trusted {
                true => format!("done: 200 {version}"),
                false => "failed: ErrorCode::TlsCertificateError".to_owned(),
            };
            let outcome = cluster
                .tries(&format!("GET {}/{name}", origins[origin]))
                .await;
            assert_eq!(outcome, expected, "{name}: {}", origins[origin]);
        }
        cluster.nodes.clear();
    }
    assert_eq!(modern.connections.load(Ordering::Relaxed), 1);
}
