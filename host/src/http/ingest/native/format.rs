//! The content types of many messages.

use std::pin::Pin;

use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use bytes::Bytes;
use tokio::time::Sleep;

use crate::http::ingest::body::Received;
use crate::http::ingest::unread::Unread;
use crate::http::problem::Problem;
use sluice_protocols::decoded::Decoded;
use sluice_protocols::memory_budget::Reservation;
use sluice_protocols::meter::Meter;
use sluice_protocols::native::decode;
use sluice_types::clock::unix_nanos;
use sluice_types::excerpt::excerpt;

/// The most characters of an unknown content type in an answer.
const NAME_CHARS: usize = 100;

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
                "the content type {:?} is not understood; use text/plain (one message per line), \
                 application/x-ndjson or application/json",
                excerpt(other, NAME_CHARS)
            ))),
        }
    }

    /// Decodes a body of at most `most` records; what cannot be read at all is shown
    /// to `unread`. Returns them with the memory
    /// that they and the body take.
    ///
    /// # Errors
    /// The body is not in this format; or there was no memory or no time for it.
    pub(super) async fn decode(
        self,
        body: Received<'_>,
        most: usize,
        deadline: Pin<&mut Sleep>,
        unread: Unread,
    ) -> Result<(Decoded, Reservation), Problem> {
        let observed = unix_nanos();
        let decode = move |body: Bytes, meter: &mut Meter| match self {
            Self::Lines => Ok(decode::lines(&body, observed, most, meter)),
            Self::Ndjson => Ok(decode::ndjson(&body, observed, most, meter)),
            Self::Json => {
                let read = decode::json(body.clone(), observed, most, meter);
                read.map_err(|error| {
                    unread.remember(&body);
                    error.into()
                })
            }
        };
        body.decode(deadline, decode).await
    }
}
