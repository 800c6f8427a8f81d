//! The JSON of JetStream's API, as far as it is used here.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use sluice_delivery::LogError;

/// Why JetStream refused a request.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Refusal {
    #[serde(default)]
    pub(crate) err_code: u32,
    #[serde(default)]
    pub(crate) description: String,
}

impl From<Refusal> for LogError {
    fn from(refusal: Refusal) -> Self {
        let Refusal {
            err_code,
            description,
        } = refusal;
        Self(format!("JetStream refuses: {description} ({err_code})"))
    }
}

#[derive(Deserialize)]
struct Failed {
    error: Option<Refusal>,
}

/// Reads an answer.
pub(crate) fn answer<T: DeserializeOwned>(bytes: &[u8]) -> Result<Result<T, Refusal>, LogError> {
    let unreadable = |error| LogError(format!("JetStream's answer cannot be read: {error}"));
    let failed: Failed = serde_json::from_slice(bytes).map_err(unreadable)?;
    if let Some(refusal) = failed.error {
        return Ok(Err(refusal));
    }
    serde_json::from_slice(bytes).map(Ok).map_err(unreadable)
}

/// The answer to a publish.
#[derive(Debug, Deserialize)]
pub(crate) struct PublishAck {
    pub(crate) stream: String,
    pub(crate) seq: u64,
}

/// The settings of a stream that matter here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct StreamConfig {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) subjects: Vec<String>,
    pub(crate) retention: String,
    pub(crate) storage: String,
    pub(crate) discard: String,
    pub(crate) num_replicas: u32,
    pub(crate) max_bytes: i64,
    pub(crate) max_msgs: i64,
    pub(crate) max_msgs_per_subject: i64,
    pub(crate) max_msg_size: i64,
    pub(crate) max_age: i64,
    pub(crate) max_consumers: i64,
    pub(crate) deny_delete: bool,
    pub(crate) deny_purge: bool,
    pub(crate) allow_rollup_hdrs: bool,
    pub(crate) allow_direct: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) metadata: BTreeMap<String, String>,
}

/// What a stream holds.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct StreamState {
    pub(crate) bytes: u64,
    pub(crate) first_seq: u64,
    pub(crate) last_seq: u64,
}

/// A stream.
#[derive(Debug, Deserialize)]
pub(crate) struct StreamInfo {
    pub(crate) config: StreamConfig,
    #[serde(default)]
    pub(crate) state: StreamState,
}

/// A message of a stream.
#[derive(Debug, Deserialize)]
pub(crate) struct Got {
    pub(crate) message: GotMessage,
}

#[derive(Debug, Deserialize)]
pub(crate) struct GotMessage {
    pub(crate) seq: u64,
    #[serde(default)]
    pub(crate) time: String,
    #[serde(default)]
    pub(crate) hdrs: String,
    #[serde(default)]
    pub(crate) data: String,
}

/// Which message is asked for.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Get<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seq: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_by_subj: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) batch: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_bytes: Option<usize>,
}

/// Removes the messages below one.
#[derive(Debug, Serialize)]
pub(crate) struct Purge {
    pub(crate) seq: u64,
}

/// An answer of which nothing is needed.
#[derive(Debug, Deserialize)]
pub(crate) struct Done {}

/// A request without a body.
#[derive(Debug, Serialize)]
pub(crate) struct Nothing {}
