//! What a manifest asks for: directories, environment variables, destinations,
//! limits.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::text_list;
use sluice_types::endpoint::Endpoint;
use sluice_types::origin::Origin;

/// What a manifest asks for beyond clocks, random numbers, stdout and stderr.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Permissions {
    /// The origins of HTTP requests.
    #[serde(skip_serializing_if = "Vec::is_empty", with = "text_list")]
    pub http: Vec<Origin>,
    /// The headers with secrets that the node adds to requests, by origin and name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, BTreeMap<String, HeaderWanted>>,
    /// The signatures that the node adds to requests, by origin.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sigv4: BTreeMap<String, SigningWanted>,
    /// The endpoints of TCP connections.
    #[serde(skip_serializing_if = "Vec::is_empty", with = "text_list")]
    pub tcp: Vec<Endpoint>,
    /// Directories of the host.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dirs: Vec<DirectoryWanted>,
    /// Environment variables.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
}

/// The value of a header that a manifest asks for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct HeaderWanted {
    /// The name of a secret of the node.
    pub secret: String,
    /// The text in front of it, such as `Bearer `.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
}

/// An AWS Signature Version 4 that a manifest asks for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SigningWanted {
    /// The name of a secret of the node, which holds the keys.
    pub secret: String,
    /// The region, such as `eu-central-1`.
    pub region: String,
    /// The service, such as `s3`.
    #[serde(default = "s3")]
    pub service: String,
}

fn s3() -> String {
    "s3".to_owned()
}

/// A directory that a manifest asks for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct DirectoryWanted {
    /// The path on the host: relative to the node's `<data-dir>/files`, or
    /// absolute.
    pub host: String,
    /// The absolute path that the sink sees.
    pub guest: String,
    /// Whether the sink may write.
    #[serde(default)]
    pub write: bool,
}

/// What a manifest asks to use at most. The node's own limits apply as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsWanted {
    /// Linear memory, in MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<u32>,
    /// The time of one call, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_timeout_ms: Option<u64>,
    /// The writes at a time, each in an instance of its own: 1 to
    /// [`MAX_CONCURRENCY`](sluice_sandbox::MAX_CONCURRENCY).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
}
