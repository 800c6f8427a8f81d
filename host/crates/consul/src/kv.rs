//! The key-value store.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, StatusCode};
use serde::{Deserialize, Deserializer};

use super::client::{CALL_TIMEOUT, Client};
use super::error::Error;

/// A key with its value.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Entry {
    /// The key, with all its parts.
    pub key: String,
    /// The value.
    #[serde(default, deserialize_with = "base64")]
    pub value: Vec<u8>,
    /// A number for the client's use.
    pub flags: u64,
    /// The session that holds the key.
    pub session: Option<String>,
    /// Grows with every write; starts again if Consul loses its state.
    pub modify_index: u64,
    /// The `modify_index` of the write that created the key.
    pub create_index: u64,
}

fn base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text: Option<String> = Deserialize::deserialize(deserializer)?;
    STANDARD
        .decode(text.unwrap_or_default())
        .map_err(serde::de::Error::custom)
}

/// The result of a read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read<T> {
    /// The index for the next read to wait beyond.
    pub index: u64,
    /// What was read.
    pub value: T,
}

/// A wait for a change beyond an index. Consul adds up to a sixteenth of the
/// time at random.
#[derive(Clone, Copy, Debug)]
pub struct Wait {
    /// The index of an earlier read; with 0 the call returns at once.
    pub index: u64,
    /// The longest wait.
    pub most: Duration,
}

impl Wait {
    /// What the wait, if there is one, adds to a path, and the timeout of the
    /// call.
    pub(super) fn query(wait: Option<Self>) -> (String, Duration) {
        let Some(Self { index, most }) = wait else {
            return (String::new(), CALL_TIMEOUT);
        };
        let query = format!("?index={index}&wait={}ms", most.as_millis());
        (query, most * 17 / 16 + Duration::from_secs(2))
    }
}

impl Client {
    /// The key as the agent's servers see it; with `wait`, once it has changed.
    ///
    /// # Errors
    /// No usable answer.
    pub async fn read(&self, key: &str, wait: Option<Wait>) -> Result<Read<Option<Entry>>, Error> {
        let (query, timeout) = Wait::query(wait);
        self.get_entry(&format!("/v1/kv/{key}{query}"), timeout)
            .await
    }

    /// The key as a quorum of servers confirms it, at a moment after the call
    /// was made.
    ///
    /// # Errors
    /// No usable answer.
    pub async fn read_consistent(
        &self,
        key: &str,
        timeout: Duration,
    ) -> Result<Read<Option<Entry>>, Error> {
        self.get_entry(&format!("/v1/kv/{key}?consistent"), timeout)
            .await
    }

    /// All keys with this prefix; with `wait`, once they have changed.
    ///
    /// # Errors
    /// No usable answer.
    pub async fn list(&self, prefix: &str, wait: Option<Wait>) -> Result<Read<Vec<Entry>>, Error> {
        let (query, timeout) = Wait::query(wait);
        let recurse = if query.is_empty() {
            "?recurse"
        } else {
            "&recurse"
        };
        let path = format!("/v1/kv/{prefix}{query}{recurse}");
        let answer = self
            .call(Method::GET, &path, timeout)
            .send(&[StatusCode::NOT_FOUND])
            .await?;
        let index = answer.index();
        let value = match answer.status() {
            StatusCode::NOT_FOUND => Vec::new(),
            _ => answer.json().await?,
        };
        Ok(Read { index, value })
    }

    /// Writes the value if the key was last written at this index (0: if it is
    /// absent), and returns whether it did.
    ///
    /// # Errors
    /// No usable answer.
    pub async fn check_and_set(
        &self,
        key: &str,
        index: u64,
        value: Vec<u8>,
    ) -> Result<bool, Error> {
        let path = format!("/v1/kv/{key}?cas={index}");
        self.put(&path, value).await
    }

    /// Writes the value, whatever the key held before.
    ///
    /// # Errors
    /// No usable answer.
    pub async fn write(&self, key: &str, value: Vec<u8>) -> Result<bool, Error> {
        self.put(&format!("/v1/kv/{key}"), value).await
    }

    /// Writes value and flags if the key is absent, and returns whether it did.
    ///
    /// # Errors
    /// No usable answer.
    pub async fn create(&self, key: &str, flags: u64, value: Vec<u8>) -> Result<bool, Error> {
        let path = format!("/v1/kv/{key}?cas=0&flags={flags}");
        self.put(&path, value).await
    }

    /// Writes the value under the session's lock; false if another holds it.
    ///
    /// # Errors
    /// No usable answer; also if there is no such session.
    pub async fn acquire(&self, key: &str, session: &str, value: Vec<u8>) -> Result<bool, Error> {
        let path = format!("/v1/kv/{key}?acquire={session}");
        self.put(&path, value).await
    }

    /// Releases the session's lock, and writes value and flags.
    ///
    /// # Errors
    /// No usable answer.
    pub async fn release(
        &self,
        key: &str,
        session: &str,
        flags: u64,
        value: Vec<u8>,
    ) -> Result<bool, Error> {
        let path = format!("/v1/kv/{key}?release={session}&flags={flags}");
        self.put(&path, value).await
    }

    async fn put(&self, path: &str, value: Vec<u8>) -> Result<bool, Error> {
        self.call(Method::PUT, path, CALL_TIMEOUT)
            .body(value)
            .send(&[])
            .await?
            .json()
            .await
    }

    async fn get_entry(&self, path: &str, timeout: Duration) -> Result<Read<Option<Entry>>, Error> {
        let answer = self
            .call(Method::GET, path, timeout)
            .send(&[StatusCode::NOT_FOUND])
            .await?;
        let index = answer.index();
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(Read { index, value: None });
        }
        let entries: Vec<Entry> = answer.json().await?;
        Ok(Read {
            index,
            value: entries.into_iter().next(),
        })
    }
}
