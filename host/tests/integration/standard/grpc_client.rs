//! A client of gRPC on hyper's HTTP/2, for the method `Export`.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Request};
use http_body_util::BodyExt;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::support::certificate;

pub(crate) const EXPORT: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

/// A connection to a node.
pub(crate) struct Client {
    sender: SendRequest<Body>,
}

/// How a call ended.
#[derive(Debug)]
pub(crate) struct Called {
    /// `grpc-status`
    pub(crate) status: u8,
    /// Whether it was in the headers: the answer has no trailers.
    pub(crate) in_headers: bool,
    /// `grpc-message`
    pub(crate) message: String,
    /// `grpc-status-details-bin`
    pub(crate) details: Vec<u8>,
    pub(crate) body: Bytes,
}

/// A message in its frame.
pub(crate) fn framed(flag: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[flag], &length[..], message].concat()
}

impl Client {
    /// Connects without TLS, knowing that the node speaks HTTP/2.
    pub(crate) async fn connect(address: &str) -> Self {
        Self {
            sender: connected(TcpStream::connect(address).await.unwrap()).await,
        }
    }

    /// Connects with TLS, and expects the node to choose HTTP/2.
    pub(crate) async fn connect_tls(address: &str) -> Self {
        Self {
            sender: sender(address).await,
        }
    }

    /// Calls `Export` with a message that is not packed.
    pub(crate) async fn export(&self, message: &[u8]) -> Called {
        self.call(EXPORT, &[], framed(0, message)).await.unwrap()
    }

    /// Makes a call, and waits for its end.
    pub(crate) async fn call(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> hyper::Result<Called> {
        let mut request = Request::post(format!("http://localhost{path}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut sender = self.sender.clone();
        sender.ready().await?;
        let request = request.body(body.into()).unwrap();
        let (head, body) = sender.send_request(request).await?.into_parts();
        assert_eq!(head.status, 200);
        assert_eq!(head.headers["content-type"], "application/grpc");
        let body = body.collect().await?;
        let in_headers = head.headers.contains_key("grpc-status");
        assert_ne!(
            in_headers,
            body.trailers().is_some(),
            "either, and not both"
        );
        let said = body.trailers().unwrap_or(&head.headers).clone();
        Ok(Called {
            status: text(&said, "grpc-status").parse().unwrap(),
            in_headers,
            message: text(&said, "grpc-message"),
            details: text(&said, "grpc-status-details-bin").into(),
            body: body.to_bytes(),
        })
    }
}

fn text(headers: &HeaderMap, name: &str) -> String {
    let value = headers.get(name).map(|value| value.to_str().unwrap());
    value.unwrap_or_default().to_owned()
}

/// Connects with TLS to a node that chooses HTTP/2 when it is offered.
pub(crate) async fn sender(address: &str) -> SendRequest<Body> {
    sender_on(TcpStream::connect(address).await.unwrap()).await
}

/// The same on a connection that is there.
pub(crate) async fn sender_on(stream: TcpStream) -> SendRequest<Body> {
    let authority = CertificateDer::from_pem_file(certificate("authority.pem")).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority).unwrap();
    let mut config = rustls::ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let name = ServerName::try_from("localhost").unwrap();
    let stream = connector.connect(name, stream).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    connected(stream).await
}

async fn connected(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> SendRequest<Body> {
    let connecting = handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (sender, connection) = connecting.await.unwrap();
    tokio::spawn(connection);
    sender
}
