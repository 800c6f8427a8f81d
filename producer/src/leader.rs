//! Where to send: to the given targets, or to the leader that Consul names.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::StatusCode;
use serde::Deserialize;

use crate::args::Destination;
use crate::consul::{Consul, read_text};
use crate::error_chain::chain;
use crate::setup_error::SetupError;

/// The port of a leader whose key holds only a host name.
const DEFAULT_PORT: u16 = 3000;

#[derive(Debug)]
pub(crate) struct Leader {
    consul: Consul,
    key: String,
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
        let is_url = |target: &str| target.starts_with("http://") || target.starts_with("https://");
        if let Some(target) = destination.target.iter().find(|target| !is_url(target)) {
            return Err(SetupError::Target(target.clone()));
        }
        let default_key = || format!("{}/leader", destination.cluster);
        Ok(Self {
            consul: Consul::from_environment()?,
            key: destination.leader_key.clone().unwrap_or_else(default_key),
            scheme: if destination.tls { "https" } else { "http" },
            targets: destination.target.clone(),
            next_target: 0,
        })
    }

    /// The URL to send to now. Given targets take turns, one per call.
    pub(crate) async fn find(&mut self) -> Result<String, String> {
        if !self.targets.is_empty() {
            let next = self.targets.get(self.next_target % self.targets.len());
            self.next_target = self.next_target.wrapping_add(1);
            return next.cloned().ok_or_else(|| "there is no target".to_owned());
        }
        let (status, body) = self
            .ask()
            .await
            .map_err(|error| format!("Consul does not answer: {}", chain(&error)))?;
        if status == StatusCode::NOT_FOUND {
            return Err("there is no leader".to_owned());
        }
        if !status.is_success() {
            let text = String::from_utf8_lossy(&body);
            return Err(format!("Consul answers {status}: {}", text.trim()));
        }
        let entries: Vec<Entry> = serde_json::from_slice(&body)
            .map_err(|error| format!("cannot read Consul's answer: {error}"))?;
        let held = entries.into_iter().find(|entry| entry.session.is_some());
        let held = held.ok_or_else(|| "there is no leader".to_owned())?;
        let value = STANDARD.decode(held.value.unwrap_or_default());
        let address = address(&value.unwrap_or_default());
        Ok(format!("{}://{address}", self.scheme))
    }

    async fn ask(&self) -> reqwest::Result<(StatusCode, Vec<u8>)> {
        let answer = self.consul.get_key(&self.key).send().await?;
        let status = answer.status();
        Ok((status, answer.bytes().await?.into()))
    }
}

/// The leader's address from the value of its key: a JSON object, or the host
/// name that the first versions wrote.
fn address(value: &[u8]) -> String {
    match serde_json::from_slice::<Address>(value) {
        Ok(Address { address }) => address,
        Err(_) => {
            let host = String::from_utf8_lossy(value);
            format!("{}:{DEFAULT_PORT}", host.trim())
        }
    }
}

/// The value of the header `Authorization`, if there is a token file.
pub(crate) fn authorization(destination: &Destination) -> Result<Option<String>, SetupError> {
    let Some(file) = &destination.token_file else {
        return Ok(None);
    };
    Ok(Some(format!("Bearer {}", read_text(file)?)))
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
