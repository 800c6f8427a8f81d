//! The HTTP client of all sinks of a node, with its open connections.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use http_body_util::BodyExt;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

use sluice_types::error_chain::chain;
use sluice_types::origin::Origin;

use super::ceiling::Allowed;
use super::connect_limit::ConnectLimit;
use super::connector::{ConnectError, Connector};
use super::resolve::Resolve;
use super::timed_body::TimedBody;

/// How long a connection is kept that no request uses. Most servers and load
/// balancers end theirs after 60 s.
const IDLE_LIMIT: Duration = Duration::from_secs(50);
/// The most connections to one origin that are kept while no request uses them.
const MAX_IDLE: usize = 32;
/// What is read at once from a connection, and the most that the head of an
/// answer may take.
const READ_BUFFER: usize = 64 << 10;
/// What a server may send on a stream of HTTP/2, and on all streams of a
/// connection together, before it is read.
const WINDOWS: (u32, u32) = (64 << 10, 1 << 20);
/// The most that is held of requests of a stream of HTTP/2.
const SEND_BUFFER: usize = 64 << 10;

/// How often a connection of HTTP/2 with requests is asked whether it is alive, and
/// how long it may take to say so.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_LIMIT: Duration = Duration::from_secs(10);

/// Why there is no answer.
#[derive(Debug)]
pub(super) struct NoAnswer {
    /// For the sink.
    pub(super) error: Error,
    /// For the node's log.
    pub(super) cause: String,
}

/// Sends requests, and keeps connections for the next ones.
#[derive(Clone, Debug)]
pub(super) struct HttpClient(Client<ConnectLimit<HttpsConnector<Connector>>, WasiBody>);

impl HttpClient {
    pub(super) fn new(
        allowed: Allowed<Origin>,
        tls: ClientConfig,
        resolver: Arc<dyn Resolve>,
    ) -> Self {
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(Connector::new(allowed, resolver));
        let (stream, connection) = WINDOWS;
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_LIMIT)
            .pool_max_idle_per_host(MAX_IDLE)
            .http1_max_buf_size(READ_BUFFER)
            .http2_initial_stream_window_size(stream)
            .http2_initial_connection_window_size(connection)
            .http2_max_send_buf_size(SEND_BUFFER)
            .http2_keep_alive_interval(PING_INTERVAL)
            .http2_keep_alive_timeout(PING_LIMIT)
            .build(ConnectLimit(connector));
        Self(client)
    }

    /// Sends a request, and waits for the head of the answer. Redirects are
    /// answers like others. The caller bounds the time, too.
    pub(super) async fn send(
        &self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
    ) -> Result<Response<WasiBody>, NoAnswer> {
        let options = options.unwrap_or_default();
        let answering = self.0.request(request);
        let answered = match head_limit(&options) {
            Some(limit) => tokio::time::timeout(limit, answering)
                .await
                .map_err(|_| NoAnswer::late(limit))?,
            None => answering.await,
        };
        let answer = answered.map_err(|error| NoAnswer::of(&error))?;
        let between = options.between_bytes_timeout;
        Ok(answer.map(|body| match between {
            Some(limit) => TimedBody::new(body, limit).boxed_unsync(),
            None => body.map_err(Error::Hyper).boxed_unsync(),
        }))
    }
}

/// How long the head of the answer may take. A connection is made, or is there
/// already, before anything is sent. Its time is bounded in any case.
fn head_limit(options: &RequestOptions) -> Option<Duration> {
    let first_byte = options.first_byte_timeout?;
    let connect = options.connect_timeout.unwrap_or_default();
    Some(first_byte.saturating_add(connect))
}

impl NoAnswer {
    fn of(error: &hyper_util::client::legacy::Error) -> Self {
        Self {
            error: meaning(error),
            cause: chain(error),
        }
    }

    fn late(limit: Duration) -> Self {
        Self {
            error: Error::HttpResponseTimeout,
            cause: format!("no answer within {} ms", limit.as_millis()),
        }
    }
}

/// What an error means in WASI's words.
fn meaning(error: &hyper_util::client::legacy::Error) -> Error {
    let mut cause = error.source();
    while let Some(found) = cause {
        if let Some(error) = found.downcast_ref::<ConnectError>() {
            return of_connect(error);
        }
        if let Some(error) = found.downcast_ref::<rustls::Error>() {
            return of_tls(error);
        }
        if let Some(error) = found.downcast_ref::<hyper::Error>()
            && let Some(meaning) = of_hyper(error)
        {
            return meaning;
        }
        let timed_out = found.downcast_ref::<io::Error>();
        if timed_out.is_some_and(|error| error.kind() == io::ErrorKind::TimedOut) {
            return Error::ConnectionTimeout;
        }
        // An error of `std` says who caused it only this way.
        cause = match found
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            Some(inner) => Some(inner),
            None => found.source(),
        };
    }
    Error::ConnectionTerminated
}

fn of_connect(error: &ConnectError) -> Error {
    match error {
        ConnectError::Denied => Error::HttpRequestDenied,
        ConnectError::Full => Error::ConnectionLimitReached,
        ConnectError::Prohibited(_) => Error::DestinationIpProhibited,
        ConnectError::Resolve(error) if error.kind() == io::ErrorKind::TimedOut => {
            Error::DnsTimeout
        }
        ConnectError::Resolve(error) => Error::DnsError {
            rcode: Some(error.to_string()),
            info_code: None,
        },
        ConnectError::Connect(_, error) => match error.kind() {
            io::ErrorKind::TimedOut => Error::ConnectionTimeout,
            io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable => {
                Error::DestinationIpUnroutable
            }
            io::ErrorKind::ConnectionRefused => Error::ConnectionRefused,
            _ => Error::DestinationUnavailable,
        },
    }
}

fn of_tls(error: &rustls::Error) -> Error {
    match error {
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented => {
            Error::TlsCertificateError
        }
        rustls::Error::AlertReceived(alert) => Error::TlsAlertReceived {
            alert_id: Some(u8::from(*alert)),
            alert_message: Some(format!("{alert:?}")),
        },
        _ => Error::TlsProtocolError,
    }
}

fn of_hyper(error: &hyper::Error) -> Option<Error> {
    if error.is_parse_too_large() {
        Some(Error::HttpResponseHeaderSectionSize(None))
    } else if error.is_parse() {
        Some(Error::HttpProtocolError)
    } else if error.is_incomplete_message() || error.is_canceled() || error.is_closed() {
        Some(Error::ConnectionTerminated)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_for_connecting_alone_does_not_bound_the_answer() {
        let second = Duration::from_secs(1);
        for (connect_timeout, first_byte_timeout, limit) in [
            (None, None, None),
            (Some(second), None, None),
            (None, Some(second), Some(second)),
            (Some(second), Some(second), Some(2 * second)),
            (Some(second), Some(Duration::MAX), Some(Duration::MAX)),
        ] {
            let options = RequestOptions {
                connect_timeout,
                first_byte_timeout,
                between_bytes_timeout: None,
            };
            assert_eq!(head_limit(&options), limit);
        }
    }
}
