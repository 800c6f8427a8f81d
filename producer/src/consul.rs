//! The client for Consul, configured by Consul's own environment variables.

use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::{Certificate, Client, ClientBuilder, Identity, RequestBuilder};

use crate::setup_error::SetupError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(crate) struct Consul {
    http: Client,
    /// Scheme, host and port.
    url: String,
    token: Option<String>,
}

impl Consul {
    pub(crate) fn from_environment() -> Result<Self, SetupError> {
        let http = Client::builder()
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT);
        Ok(Self {
            http: tls(http)?.build().map_err(SetupError::Http)?,
            url: url(),
            token: token()?,
        })
    }

    pub(crate) fn get_key(&self, key: &str) -> RequestBuilder {
        let request = self.http.get(format!("{}/v1/kv/{key}", self.url));
        match &self.token {
            Some(token) => request.header("x-consul-token", token),
            None => request,
        }
    }
}

fn tls(mut http: ClientBuilder) -> Result<ClientBuilder, SetupError> {
    if let Some(file) = variable("CONSUL_CACERT").map(PathBuf::from) {
        let parsed = Certificate::from_pem_bundle(&read(&file)?);
        http = http.tls_certs_only(parsed.map_err(|cause| SetupError::Pem { file, cause })?);
    }
    if let (Some(file), Some(key)) = (
        variable("CONSUL_CLIENT_CERT"),
        variable("CONSUL_CLIENT_KEY"),
    ) {
        let file = PathBuf::from(file);
        let mut pem = read(&file)?;
        pem.extend(read(Path::new(&key))?);
        let identity = Identity::from_pem(&pem);
        http = http.identity(identity.map_err(|cause| SetupError::Pem { file, cause })?);
    }
    if variable("CONSUL_HTTP_SSL_VERIFY").as_deref() == Some("false") {
        http = http.tls_danger_accept_invalid_certs(true);
    }
    Ok(http)
}

fn token() -> Result<Option<String>, SetupError> {
    match variable("CONSUL_HTTP_TOKEN_FILE") {
        Some(file) => read_text(Path::new(&file)).map(Some),
        None => Ok(variable("CONSUL_HTTP_TOKEN")),
    }
}

fn url() -> String {
    let address = variable("CONSUL_HTTP_ADDR").unwrap_or_else(|| "127.0.0.1:8500".to_owned());
    let ssl = matches!(variable("CONSUL_HTTP_SSL").as_deref(), Some("1" | "true"));
    let (scheme, host) = address.split_once("://").unwrap_or(("http", &address));
    let scheme = if ssl { "https" } else { scheme };
    format!("{scheme}://{}", host.trim_end_matches('/'))
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn read(file: &Path) -> Result<Vec<u8>, SetupError> {
    std::fs::read(file).map_err(|cause| SetupError::File {
        file: file.to_owned(),
        cause,
    })
}

/// Reads a file of text, without white space around it.
pub(crate) fn read_text(file: &Path) -> Result<String, SetupError> {
    Ok(String::from_utf8_lossy(&read(file)?).trim().to_owned())
}
