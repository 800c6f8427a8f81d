//! TLS on the connections of one instance. The guest hands in the streams of a
//! connection that it may have, so TLS reaches nothing more than they do.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use std::{fmt, io};

use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig};
use sluice_types::host::MAX_NAME;
use sluice_types::readable;
use sluice_types::sink::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use wasmtime_wasi_tls::{Error, TlsProvider, TlsTransport};

use crate::refusals::Refused;

use super::guest_tcp::GuestTcp;

/// The most connections with TLS of an instance. Streams of one can carry another,
/// so the number of handles does not bound them.
pub(crate) const MAX_TLS: usize = 16;
/// The time for a handshake. The deadline of the guest's call is usually shorter.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(30);

/// TLS of the clients that sinks are. Nothing is kept of one connection for the next.
pub(super) fn for_guests(mut config: ClientConfig) -> Arc<ClientConfig> {
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

/// What one instance has of TLS.
pub(crate) struct GuestTls {
    /// `None` if the node allows no connections at all.
    config: Option<Arc<ClientConfig>>,
    tcp: GuestTcp,
    places: Arc<Semaphore>,
}

type Connected = Result<Box<dyn wasmtime_wasi_tls::TlsStream>, Error>;

impl GuestTls {
    pub(super) fn new(config: Option<Arc<ClientConfig>>, tcp: GuestTcp) -> Self {
        let places = Arc::new(Semaphore::new(MAX_TLS));
        Self {
            config,
            tcp,
            places,
        }
    }

    /// What a connection needs, if this instance may have one now.
    fn admit(&self, name: &str) -> Result<(TlsConnector, OwnedSemaphorePermit), Failed> {
        let refuse = |why| {
            self.tcp
                .refuse(Refused::Tcp, &format!("TLS with {name}"), why);
            Err(Failed::Refused(why))
        };
        let config = self.config.as_ref().filter(|_| self.tcp.lists_any());
        let Some(config) = config else {
            return refuse("access denied: permissions.tcp must list the server");
        };
        let place = Arc::clone(&self.places).try_acquire_owned();
        let Ok(place) = place else {
            return refuse("it has as many connections with TLS as an instance may have");
        };
        Ok((TlsConnector::from(Arc::clone(config)), place))
    }
}

impl TlsProvider for GuestTls {
    fn connect(
        &self,
        server_name: String,
        transport: Box<dyn TlsTransport>,
    ) -> BoxFuture<'static, Connected> {
        let shown = readable::line(&server_name, MAX_NAME);
        let admitted = self.admit(&shown);
        Box::pin(async move {
            let connected = async {
                let (connector, place) = admitted?;
                let name = ServerName::try_from(server_name).map_err(|_| Failed::Name)?;
                let connecting = connector.connect(name, transport);
                let connected = tokio::time::timeout(HANDSHAKE_LIMIT, connecting).await;
                let stream = connected.map_err(|_| Failed::Late)?.map_err(Failed::of)?;
                let stream = Stream {
                    stream,
                    _place: place,
                };
                Ok(Box::new(stream) as Box<dyn wasmtime_wasi_tls::TlsStream>)
            };
            connected
                .await
                .map_err(|failed: Failed| Error::msg(format!("TLS with {shown}: {failed}")))
        })
    }
}

/// Why there is no connection, to be read after the name of the server.
#[derive(Debug)]
enum Failed {
    Refused(&'static str),
    Name,
    Late,
    Certificate(CertificateError),
    Tls(rustls::Error),
    Broken(io::Error),
}

impl Failed {
    fn of(error: io::Error) -> Self {
        match error.downcast::<rustls::Error>() {
            Ok(rustls::Error::InvalidCertificate(error)) => Self::Certificate(error),
            Ok(error) => Self::Tls(error),
            Err(error) => Self::Broken(error),
        }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => f.write_str(why),
            Self::Name => f.write_str("expected the name of a server, or its address"),
            Self::Late => {
                let limit = HANDSHAKE_LIMIT.as_secs();
                write!(f, "the handshake was not done within {limit} s")
            }
            Self::Certificate(error) => {
                f.write_str("the certificate of the server is not trusted: ")?;
                distrust(error, f)
            }
            Self::Tls(error) => write!(f, "{error}"),
            Self::Broken(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                f.write_str("the server closed the connection during the handshake")
            }
            Self::Broken(error) => write!(f, "the connection broke: {error}"),
        }
    }
}

fn distrust(error: &CertificateError, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match error {
        CertificateError::UnknownIssuer => {
            f.write_str("its issuer is unknown (add the authority to SSL_CERT_FILE of the node)")
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            f.write_str("it has expired")
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            f.write_str("it is not valid yet")
        }
        CertificateError::NotValidForName => f.write_str("it is for another name"),
        CertificateError::NotValidForNameContext { presented, .. } => {
            // What a server presents has no bound of its own.
            let names = readable::line(&presented.join(", "), MAX_NAME);
            write!(f, "it is for another name: {names}")
        }
        other => write!(f, "{other}"),
    }
}

/// A connection, and its place among those that an instance may have.
struct Stream {
    stream: TlsStream<Box<dyn TlsTransport>>,
    _place: OwnedSemaphorePermit,
}

impl wasmtime_wasi_tls::TlsStream for Stream {}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        read.map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => io::Error::new(
                error.kind(),
                "the connection ended without close_notify of TLS",
            ),
            _ => error,
        })
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::ceiling::Allowed;
    use crate::network::resolve::System;
    use crate::refusals::Refusals;
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use rustls::{RootCertStore, ServerConfig};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
    use tokio_rustls::TlsAcceptor;

    fn certificate(name: &str) -> String {
        format!(
            "{}/../../tests/certificates/{name}",
            env!("CARGO_MANIFEST_DIR")
        )
    }

    fn guest(listed: &[&str], is_trusting: bool) -> GuestTls {
        let mut roots = RootCertStore::empty();
        if is_trusting {
            let authority = CertificateDer::from_pem_file(certificate("authority.pem"));
            roots.add(authority.unwrap()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let endpoints = listed.iter().map(|text| text.parse().unwrap()).collect();
        let tcp = GuestTcp::new(
            endpoints,
            Arc::new(Allowed::default()),
            Arc::new(System::default()),
            Refusals::new(|_| ()).of("test"),
        );
        GuestTls::new(Some(for_guests(config)), tcp)
    }

    /// A server with the certificate for tests, which sends back what it gets.
    fn server() -> DuplexStream {
        let (client, server) = duplex(1 << 10);
        let chain = CertificateDer::from_pem_file(certificate("server.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(certificate("server.key")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![chain], key)
            .unwrap();
        tokio::spawn(async move {
            let accepting = TlsAcceptor::from(Arc::new(config)).accept(server);
            if let Ok(mut stream) = accepting.await {
                let (mut from, mut to) = tokio::io::split(&mut stream);
                tokio::io::copy(&mut from, &mut to).await.unwrap();
                // Without close_notify.
            }
        });
        client
    }

    async fn refused(guest: &GuestTls, name: &str, transport: DuplexStream) -> String {
        let connected = guest.connect(name.to_owned(), Box::new(transport)).await;
        connected.err().unwrap().to_string()
    }

    #[tokio::test]
    async fn a_server_that_is_trusted_is_spoken_to() {
        let guest = guest(&["a.example:6514"], true);
        for name in ["localhost", "127.0.0.1"] {
            let connecting = guest.connect(name.to_owned(), Box::new(server()));
            let mut stream = connecting.await.unwrap();
            let sent = vec![7; 100_000];
            let (mut from, mut to) = tokio::io::split(&mut stream);
            let mut got = vec![0; sent.len()];
            let sending = async {
                to.write_all(&sent).await?;
                to.shutdown().await
            };
            let (sending, reading) = tokio::join!(sending, from.read_exact(&mut got));
            sending.unwrap();
            reading.unwrap();
            assert!(got == sent);
            // An end that anyone could make is no end.
            let error = from.read_u8().await.unwrap_err().to_string();
            assert_eq!(error, "the connection ended without close_notify of TLS");
        }
        assert_eq!(guest.places.available_permits(), MAX_TLS);
    }

    #[tokio::test]
    async fn an_error_names_the_server_and_the_reason() {
        let listed = ["a.example:6514"];
        let said = refused(&guest(&listed, false), "localhost", server()).await;
        assert!(said.starts_with("TLS with localhost: "), "{said}");
        assert!(said.contains("its issuer is unknown"), "{said}");
        let trusting = guest(&listed, true);
        let said = refused(&trusting, "b.example", server()).await;
        assert!(said.starts_with("TLS with b.example: "), "{said}");
        assert!(said.contains("it is for another name: "), "{said}");
        assert!(said.contains("consul.test"), "{said}");
        let said = refused(&trusting, "a b", server()).await;
        assert!(said.contains("expected the name of a server"), "{said}");
        let (client, mut server) = duplex(1 << 10);
        tokio::spawn(async move { server.read_u8().await });
        let said = refused(&trusting, "localhost", client).await;
        assert!(said.contains("closed the connection"), "{said}");
        let (client, mut server) = duplex(1 << 10);
        server
            .write_all(b"220 ready for plain text\r\n")
            .await
            .unwrap();
        let said = refused(&trusting, "localhost", client).await;
        assert!(said.contains("corrupt message"), "{said}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_handshake_has_an_end() {
        let (client, _silent) = duplex(1 << 10);
        let said = refused(&guest(&["a.example:6514"], true), "localhost", client).await;
        assert!(said.ends_with("was not done within 30 s"), "{said}");
    }

    #[tokio::test]
    async fn without_a_permission_nothing_is_sent() {
        let (client, mut server) = duplex(1 << 10);
        let said = refused(&guest(&[], true), "localhost", client).await;
        assert!(said.contains("access denied: permissions.tcp"), "{said}");
        assert_eq!(server.read(&mut [0; 8]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn the_connections_of_an_instance_have_a_bound() {
        let guest = guest(&["a.example:6514"], true);
        let connect = || guest.connect("localhost".to_owned(), Box::new(server()));
        let mut open: Vec<_> = (0..MAX_TLS).map(|_| connect()).collect();
        let said = refused(&guest, "localhost", server()).await;
        assert!(said.contains("as many connections with TLS"), "{said}");
        let first = open.pop().unwrap().await.unwrap();
        let said = refused(&guest, "localhost", server()).await;
        assert!(said.contains("as many connections with TLS"), "{said}");
        drop(first);
        connect().await.unwrap();
    }

    #[test]
    fn certificates_are_refused_with_a_reason() {
        for (error, expected) in [
            (CertificateError::Expired, "it has expired"),
            (CertificateError::NotValidYet, "it is not valid yet"),
            (CertificateError::NotValidForName, "it is for another name"),
        ] {
            let said = Failed::Certificate(error).to_string();
            let start = "the certificate of the server is not trusted: ";
            assert_eq!(said, format!("{start}{expected}"));
        }
    }
}
