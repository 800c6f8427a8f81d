//! One HTTP client for all calls.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;

use super::config::Config;
use super::error::Error;
use sluice_types::clock::BootTime;

/// The timeout of a call that does not wait for a change.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(2);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Carries the ACL token; all versions of Consul accept it.
const TOKEN: HeaderName = HeaderName::from_static("x-consul-token");
/// The index of an answer, for the next call to wait beyond.
const INDEX: HeaderName = HeaderName::from_static("x-consul-index");

/// A client of one agent. It must stay on the runtime that it was first used on.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    config: Config,
    /// When the agent answered last, whatever it said, in nanoseconds since boot.
    answered: Arc<AtomicU64>,
}

impl Client {
    /// Creates a client; makes no call.
    ///
    /// # Errors
    /// A certificate or the token cannot be used.
    pub fn new(config: Config) -> Result<Self, Error> {
        let mut headers = HeaderMap::new();
        if let Some(token) = &config.token {
            let mut token = HeaderValue::from_str(token).map_err(|_| Error::Token)?;
            token.set_sensitive(true);
            headers.insert(TOKEN, token);
        }
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .default_headers(headers)
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(Duration::from_secs(60))
            .tcp_nodelay(true)
            .user_agent(concat!("sluice/", env!("CARGO_PKG_VERSION")));
        if let Some(socket) = &config.socket {
            builder = builder.unix_socket(socket.clone());
        }
        if let (Some(name), Some(authority)) = (&config.server_name, &config.authority) {
            let resolver = Renamed {
                name: name.clone(),
                authority: authority.clone(),
            };
            builder = builder.dns_resolver(resolver);
        }
        if !config.verify {
            builder = builder.tls_danger_accept_invalid_certs(true);
        }
        if !config.ca.is_empty() {
            let mut authorities = Vec::new();
            for file in &config.ca {
                let pem = read(file)?;
                let parsed = reqwest::Certificate::from_pem_bundle(&pem);
                authorities.extend(parsed.map_err(|cause| pem_error(file, cause))?);
            }
            builder = builder.tls_certs_only(authorities);
        }
        if let Some((certificate, key)) = &config.client_certificate {
            let mut pem = read(certificate)?;
            pem.extend(read(key)?);
            let identity = reqwest::Identity::from_pem(&pem);
            builder = builder.identity(identity.map_err(|cause| pem_error(certificate, cause))?);
        }
        let http = builder.build().map_err(Error::Setup)?;
        let answered = Arc::new(AtomicU64::new(BootTime::now().as_nanos()));
        Ok(Self {
            http,
            config,
            answered,
        })
    }

    /// How this client reaches its agent.
    #[must_use]
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// How long ago the agent gave its last answer, which may have been an
    /// error; at first, how long ago this client was created.
    #[must_use]
    pub fn unanswered_for(&self) -> Duration {
        let answered = BootTime::from_nanos(self.answered.load(Ordering::Relaxed));
        BootTime::now().since(answered)
    }

    pub(super) fn call(&self, method: Method, path: &str, timeout: Duration) -> Call {
        let mut request = self
            .http
            .request(method.clone(), format!("{}{path}", self.config.url))
            .timeout(timeout);
        if let Some((user, password)) = &self.config.basic {
            request = request.basic_auth(user, password.as_ref());
        }
        if let Some(namespace) = &self.config.namespace {
            request = request.header("x-consul-namespace", namespace);
        }
        Call {
            what: format!("{method} {path}"),
            request,
            answered: Arc::clone(&self.answered),
        }
    }
}

/// Resolves the name in the agent's certificate to the agent's address.
struct Renamed {
    name: String,
    /// The host and the port of the agent.
    authority: String,
}

impl Resolve for Renamed {
    fn resolve(&self, asked: Name) -> Resolving {
        let is_agent = asked.as_str().eq_ignore_ascii_case(&self.name);
        let authority = if is_agent {
            self.authority.clone()
        } else {
            format!("{}:0", asked.as_str())
        };
        Box::pin(async move {
            let addresses: Addrs = Box::new(tokio::net::lookup_host(authority).await?);
            Ok(addresses)
        })
    }
}

fn read(file: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(file).map_err(|cause| pem_error(file, cause))
}

fn pem_error(file: &Path, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Pem {
        file: file.display().to_string(),
        cause: cause.into(),
    }
}

/// A call, with its name for errors.
pub(super) struct Call {
    what: String,
    request: RequestBuilder,
    answered: Arc<AtomicU64>,
}

impl Call {
    pub(super) fn json(mut self, body: &impl serde::Serialize) -> Self {
        // Serialised whole: Consul ignores a chunked body of session/create.
        self.request = self.request.json(body);
        self
    }

    pub(super) fn body(mut self, body: impl Into<reqwest::Body>) -> Self {
        self.request = self.request.body(body);
        self
    }

    /// Sends the call. Statuses other than 2xx and those in `also` are errors.
    pub(super) async fn send(self, also: &[StatusCode]) -> Result<Answer, Error> {
        let what = self.what;
        let sent = self.request.send().await;
        let response = sent.map_err(|cause| Error::Transport {
            call: what.clone(),
            cause,
        })?;
        let now = BootTime::now().as_nanos();
        self.answered.store(now, Ordering::Relaxed);
        let status = response.status();
        if status.is_success() || also.contains(&status) {
            return Ok(Answer { what, response });
        }
        let text = response.text().await.unwrap_or_default().trim().to_owned();
        Err(Error::Status {
            call: what,
            status: status.as_u16(),
            text,
        })
    }
}

/// An answer with an expected status.
pub(super) struct Answer {
    what: String,
    response: Response,
}

impl Answer {
    pub(super) fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The index for the next call to wait beyond; 1 if Consul gives none or 0,
    /// because a wait beyond 0 returns at once.
    pub(super) fn index(&self) -> u64 {
        let index = self
            .response
            .headers()
            .get(INDEX)
            .and_then(|index| index.to_str().ok());
        index
            .and_then(|index| index.parse().ok())
            .unwrap_or(1)
            .max(1)
    }

    pub(super) async fn json<T: DeserializeOwned>(self) -> Result<T, Error> {
        let Self { what, response } = self;
        let bytes = response.bytes().await;
        let bytes = bytes.map_err(|cause| Error::Transport {
            call: what.clone(),
            cause,
        })?;
        serde_json::from_slice(&bytes).map_err(|cause| Error::Shape {
            call: what,
            cause: cause.into(),
        })
    }
}
