//! Where to send: the targets that were given, or the leader that Consul names.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use thiserror::Error;

use crate::args::Destination;

/// The port of a leader whose key holds a bare host name.
const FIRST_GENERATION_PORT: u16 = 3000;

/// What keeps the producer from sending at all.
#[derive(Debug, Error)]
pub(crate) enum SetupError {
    #[error("set up an HTTP client")]
    Http(#[source] reqwest::Error),
    #[error("use the file {}", .file.display())]
    File {
        file: PathBuf,
        #[source]
        cause: io::Error,
    },
    #[error("use the PEM file {}", .file.display())]
    Pem {
        file: PathBuf,
        #[source]
        cause: reqwest::Error,
    },
    #[error("use the target {0:?}: expected http://host:port, with or without a path")]
    Target(String),
}

/// Names the node to send to, as a URL without a path.
#[derive(Debug)]
pub(crate) struct Leader {
    http: reqwest::Client,
    /// Of the leader's key.
    url: String,
    token: Option<String>,
    scheme: &'static str,
    targets: Vec<String>,
    next_target: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    value: Option<String>,
    session: Option<String>,
}

#[derive(Deserialize)]
struct Address {
    address: String,
}

impl Leader {
    pub(crate) fn new(destination: &Destination) -> Result<Self, SetupError> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let mut http = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(Duration::from_secs(1))
            .timeout(Duration::from_secs(2));
        if let Some(file) = variable("CONSUL_CACERT").map(PathBuf::from) {
            let parsed = reqwest::Certificate::from_pem_bundle(&read(&file)?);
            http = http.tls_certs_only(parsed.map_err(|cause| SetupError::Pem { file, cause })?);
        }
        if let (Some(file), Some(key)) = (
            variable("CONSUL_CLIENT_CERT"),
            variable("CONSUL_CLIENT_KEY"),
        ) {
            let file = PathBuf::from(file);
            let mut pem = read(&file)?;
            pem.extend(read(Path::new(&key))?);
            let identity = reqwest::Identity::from_pem(&pem);
            http = http.identity(identity.map_err(|cause| SetupError::Pem { file, cause })?);
        }
        if variable("CONSUL_HTTP_SSL_VERIFY").as_deref() == Some("false") {
            http = http.tls_danger_accept_invalid_certs(true);
        }
        let token = match variable("CONSUL_HTTP_TOKEN_FILE") {
            Some(file) => {
                let text = String::from_utf8_lossy(&read(Path::new(&file))?)
                    .trim()
                    .to_owned();
                Some(text)
            }
            None => variable("CONSUL_HTTP_TOKEN"),
        };
        let address = variable("CONSUL_HTTP_ADDR").unwrap_or_else(|| "127.0.0.1:8500".to_owned());
        let ssl = matches!(variable("CONSUL_HTTP_SSL").as_deref(), Some("1" | "true"));
        let (scheme, host) = match address.split_once("://") {
            Some((scheme, host)) => (scheme, host),
            None => ("http", address.as_str()),
        };
        let scheme = if ssl { "https" } else { scheme };
        let key = match &destination.leader_key {
            Some(key) => key.clone(),
            None => format!("{}/leader", destination.cluster),
        };
        for target in &destination.target {
            if !target.starts_with("http://") && !target.starts_with("https://") {
                return Err(SetupError::Target(target.clone()));
            }
        }
        Ok(Self {
            http: http.build().map_err(SetupError::Http)?,
            url: format!("{scheme}://{}/v1/kv/{key}", host.trim_end_matches('/')),
            token,
            scheme: if destination.tls { "https" } else { "http" },
            targets: destination.target.clone(),
            next_target: 0,
        })
    }

    /// Where to send now. Given targets take turns, one a call.
    pub(crate) async fn find(&mut self) -> Result<String, String> {
        if !self.targets.is_empty() {
            let target = self
                .targets
                .get(self.next_target % self.targets.len())
                .cloned();
            self.next_target = self.next_target.wrapping_add(1);
            return target.ok_or_else(|| "there is no target".to_owned());
        }
        let mut request = self.http.get(&self.url);
        if let Some(token) = &self.token {
            request = request.header("x-consul-token", token);
        }
        let asked = async {
            let answer = request.send().await?;
            let status = answer.status();
            Ok::<_, reqwest::Error>((status, answer.bytes().await?))
        };
        let (status, body) = asked
            .await
            .map_err(|error| format!("Consul does not answer: {}", crate::chain(&error)))?;
        if status == reqwest::StatusCode::NOT_FOUND {
            return Err("there is no leader".to_owned());
        }
        if !status.is_success() {
            let text = String::from_utf8_lossy(&body);
            return Err(format!("Consul answers {status}: {}", text.trim()));
        }
        let entries: Vec<Entry> = serde_json::from_slice(&body)
            .map_err(|error| format!("read Consul's answer: {error}"))?;
        let held = entries.into_iter().find(|entry| entry.session.is_some());
        let value = held
            .ok_or_else(|| "there is no leader".to_owned())?
            .value
            .unwrap_or_default();
        let value = STANDARD.decode(value).unwrap_or_default();
        Ok(format!("{}://{}", self.scheme, address(&value)))
    }
}

fn address(value: &[u8]) -> String {
    match serde_json::from_slice::<Address>(value) {
        Ok(Address { address }) => address,
        Err(_) => {
            format!(
                "{}:{FIRST_GENERATION_PORT}",
                String::from_utf8_lossy(value).trim()
            )
        }
    }
}

/// The value of the `Authorization` header, if a token is wanted.
pub(crate) fn authorization(destination: &Destination) -> Result<Option<String>, SetupError> {
    let Some(file) = &destination.token_file else {
        return Ok(None);
    };
    let token = read(file)?;
    Ok(Some(format!(
        "Bearer {}",
        String::from_utf8_lossy(&token).trim()
    )))
}

fn read(file: &Path) -> Result<Vec<u8>, SetupError> {
    std::fs::read(file).map_err(|cause| SetupError::File {
        file: file.to_owned(),
        cause,
    })
}

/// The numbers of acknowledged messages, one a line.
#[derive(Debug)]
pub(crate) struct Journal(Option<std::io::BufWriter<std::fs::File>>);

impl Journal {
    pub(crate) fn open(destination: &Destination) -> Result<Self, SetupError> {
        let Some(file) = &destination.journal else {
            return Ok(Self(None));
        };
        let opened = std::fs::File::options()
            .create(true)
            .append(true)
            .open(file);
        let opened = opened.map_err(|cause| SetupError::File {
            file: file.clone(),
            cause,
        })?;
        Ok(Self(Some(std::io::BufWriter::new(opened))))
    }

    /// Notes the numbers from `first` to `last`.
    pub(crate) fn acknowledged(&mut self, first: u64, last: u64) -> io::Result<()> {
        let Some(file) = &mut self.0 else {
            return Ok(());
        };
        (first..=last).try_for_each(|number| writeln!(file, "{number}"))
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.0.as_mut().map_or(Ok(()), Write::flush)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_the_leaders_key_are_understood() {
        assert_eq!(
            address(br#"{"node":"a","address":"10.0.0.1:3001"}"#),
            "10.0.0.1:3001"
        );
        assert_eq!(address(b"logger-1\n"), "logger-1:3000");
    }
}
