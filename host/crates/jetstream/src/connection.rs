//! A node's connection to the servers, which all its logs share.

use std::sync::Arc;
use std::time::Duration;

use async_nats::client::RequestErrorKind;
use async_nats::connection::State;
use async_nats::{Client, Event, Request};
use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::OnceCell;

use crate::api::{self, Refusal};
use crate::credentials::Credentials;
use crate::servers::Servers;
use crate::trouble::Trouble;
use sluice_delivery::LogError;

/// The time for a server's answer.
pub(crate) const REQUEST_LIMIT: Duration = Duration::from_secs(2);
/// The time for a connection to be made.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
/// The time between attempts to connect.
const RECONNECT_DELAY: Duration = Duration::from_millis(200);
/// How often the server is asked whether it is still there.
const PING_INTERVAL: Duration = Duration::from_secs(2);
/// How many commands may wait to be written.
const CAPACITY: usize = 256;
/// Servers that are older have lost acknowledged messages in rounds of faults.
const VERSION_MIN: (u32, u32, u32) = (2, 15, 0);

/// A node's connection. It is made when it is first used, and kept.
#[derive(Clone, Debug)]
pub struct Connection(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    servers: Servers,
    credentials: Credentials,
    name: String,
    /// Where the connection lives: longer than its first user.
    runtime: Handle,
    client: OnceCell<Client>,
    trouble: Trouble,
}

/// Why a request was not answered.
#[derive(Debug)]
pub(crate) enum RequestError {
    /// It can never be sent.
    TooLarge,
    /// It may have been received.
    NoAnswer(String),
}

impl Connection {
    /// A connection to these servers, under a name that they show. Nothing is
    /// connected yet. It is served by `runtime`, wherever it is used.
    #[must_use]
    pub fn new(servers: Servers, credentials: Credentials, name: String, runtime: Handle) -> Self {
        Self(Arc::new(Inner {
            servers,
            credentials,
            name,
            runtime,
            client: OnceCell::new(),
            trouble: Trouble::default(),
        }))
    }

    /// The servers.
    #[must_use]
    pub fn servers(&self) -> &Servers {
        &self.0.servers
    }

    /// Waits until there is a connection, for a short time.
    ///
    /// # Errors
    /// There is none, or its server is too old.
    pub(crate) async fn client(&self) -> Result<&Client, LogError> {
        let client = self.0.client.get_or_try_init(|| self.connect()).await?;
        let connected = async {
            while client.connection_state() != State::Connected {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(CONNECT_LIMIT, connected)
            .await
            .is_err()
        {
            return Err(self.not_connected());
        }
        Ok(client)
    }

    /// Whether the servers form a cluster; an error if they cannot keep a journal.
    pub(crate) async fn check(&self) -> Result<bool, LogError> {
        let info = self.client().await?.server_info();
        if !is_new_enough(&info.version) {
            let (major, minor, patch) = VERSION_MIN;
            return Err(LogError(format!(
                "nats-server {} at {}:{} is too old: {major}.{minor}.{patch} or newer is needed, \
                 because older ones lose acknowledged messages",
                info.version, info.host, info.port
            )));
        }
        Ok(info.cluster.is_some_and(|cluster| !cluster.is_empty()))
    }

    /// The largest payload that the server takes, headers included.
    pub(crate) fn max_payload(&self) -> usize {
        let client = self.0.client.get();
        client.map_or(1 << 20, Client::max_payload)
    }

    /// Sends a request, if there is a connection now. What is sent while there is
    /// none would be sent much later.
    pub(crate) async fn request(
        &self,
        subject: String,
        request: Request,
    ) -> Result<Bytes, RequestError> {
        let client = match self.client().await {
            Ok(client) => client,
            Err(LogError(reason)) => return Err(RequestError::NoAnswer(reason)),
        };
        let request = request.timeout(Some(REQUEST_LIMIT));
        match client.send_request(subject, request).await {
            Ok(answer) => Ok(answer.payload),
            Err(error) => Err(match error.kind() {
                RequestErrorKind::MaxPayloadExceeded => RequestError::TooLarge,
                RequestErrorKind::TimedOut => RequestError::NoAnswer(format!(
                    "NATS did not answer within {} s: it may have no majority",
                    REQUEST_LIMIT.as_secs()
                )),
                RequestErrorKind::NoResponders => RequestError::NoAnswer(
                    "NATS has no leader for the journal, or no JetStream".to_owned(),
                ),
                _ => RequestError::NoAnswer(error.to_string()),
            }),
        }
    }

    /// Asks JetStream's API, and reads the answer.
    pub(crate) async fn api<T: serde::de::DeserializeOwned>(
        &self,
        subject: String,
        body: &impl serde::Serialize,
    ) -> Result<Result<T, Refusal>, LogError> {
        let body = serde_json::to_vec(body).map_err(|error| LogError(error.to_string()))?;
        let request = Request::new().payload(body.into());
        let answer = self.request(format!("$JS.API.{subject}"), request).await;
        match answer {
            Ok(answer) => api::answer(&answer),
            Err(RequestError::TooLarge) => Err(LogError("the request is too large".to_owned())),
            Err(RequestError::NoAnswer(reason)) => Err(LogError(reason)),
        }
    }

    async fn connect(&self) -> Result<Client, LogError> {
        let inner = &self.0;
        let options = inner.credentials.options(inner.servers.user());
        let options = options.map_err(|error| LogError(error.to_string()))?;
        let options = options
            .name(&inner.name)
            .retry_on_initial_connect()
            .connection_timeout(CONNECT_LIMIT)
            .request_timeout(Some(REQUEST_LIMIT))
            .ping_interval(PING_INTERVAL)
            .client_capacity(CAPACITY)
            .reconnect_delay_callback(|attempts| match attempts {
                0 | 1 => Duration::ZERO,
                _ => RECONNECT_DELAY,
            })
            .reconnect_to_server_callback({
                let trouble = inner.trouble.clone();
                move |servers, _| {
                    trouble.note(&servers);
                    // The next server in turn.
                    std::future::ready(None)
                }
            })
            .event_callback(log_event);
        let servers = inner.servers.0.clone();
        let connecting = inner.runtime.spawn(options.connect(servers));
        let connected = match connecting.await {
            Ok(connected) => connected.map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        connected.map_err(|reason| LogError(format!("NATS cannot be reached: {reason}")))
    }

    fn not_connected(&self) -> LogError {
        let servers = &self.0.servers;
        LogError(match self.0.trouble.known() {
            Some(trouble) => format!("no NATS server of {servers} can be used: {trouble}"),
            None => format!("no NATS server answers at {servers}"),
        })
    }
}

async fn log_event(event: Event) {
    match event {
        Event::Connected => tracing::info!("connected to NATS"),
        Event::Disconnected => tracing::warn!("the connection to NATS is lost"),
        Event::ServerError(error) => tracing::warn!(%error, "NATS refuses something"),
        other => tracing::debug!(event = %other, "from NATS"),
    }
}

/// Whether this is a version that keeps what it acknowledges.
pub(crate) fn is_new_enough(version: &str) -> bool {
    let release = version.split(['-', '+']).next().unwrap_or_default();
    let mut numbers = release.split('.').map(str::parse::<u32>);
    let mut next = || numbers.next().and_then(Result::ok);
    let read = (next(), next(), next());
    let (Some(major), Some(minor), patch) = read else {
        return false;
    };
    (major, minor, patch.unwrap_or_default()) >= VERSION_MIN
}

#[cfg(test)]
mod tests {
    use super::is_new_enough;

    #[test]
    fn versions_are_compared_as_numbers() {
        for new in ["2.15.0", "2.15.1-1", "3.0.0", "2.100.0"] {
            assert!(is_new_enough(new), "{new}");
        }
        for old in ["2.14.9", "2.9.10", "1.99.0", "", "x"] {
            assert!(!is_new_enough(old), "{old}");
        }
    }
}
