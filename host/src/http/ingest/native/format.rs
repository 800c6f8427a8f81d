//! The content types of many messages.

use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use bytes::Bytes;

use super::decode;
use crate::http::ingest::decoded::Decoded;
use crate::http::problem::Problem;
use sluice_types::clock::unix_nanos;

/// Bodies of at least this many bytes are decoded on a blocking thread, so that
/// they do not hold up other requests.
const OWN_THREAD_BYTES: usize = 256 << 10;

/// The format of a body.
#[derive(Clone, Copy, Debug)]
pub(super) enum Format {
    Lines,
    Ndjson,
    Json,
}

impl Format {
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let named = headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let essence = named
            .unwrap_or_default()
            .split(';')
            .next()
            .unwrap_or_default()
            .trim();
        match essence.to_ascii_lowercase().as_str() {
            "text/plain" => Ok(Self::Lines),
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Ok(Self::Ndjson),
            "application/json" => Ok(Self::Json),
            other => Err(Problem::Unsupported(format!(
                "the content type {other:?} is not understood; use text/plain (one message per \
                 line), application/x-ndjson or application/json"
            ))),
        }
    }

    /// Decodes a body of at most `most` records.
    pub(super) async fn decode(self, body: Bytes, most: usize) -> Result<Decoded, Problem> {
        let observed = unix_nanos();
        let is_large = body.len() >= OWN_THREAD_BYTES;
        let work = move || match self {
            Self::Lines => Ok(decode::lines(&body, observed, most)),
            Self::Ndjson => Ok(decode::ndjson(&body, observed, most)),
            Self::Json => decode::json(body, observed, most),
        };
        if !is_large {
            return work();
        }
        match tokio::task::spawn_blocking(work).await {
            Ok(decoded) => decoded,
            Err(error) => Err(Problem::Unavailable(format!(
                "the body could not be decoded: {error}"
            ))),
        }
    }
}
