//! Reads a request's body, within its limits.

use std::io::Read;
use std::pin::Pin;

use axum::body::{Body, HttpBody};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, EXPECT};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::time::Sleep;

use crate::http::memory_budget::Reservation;
use crate::http::problem::Problem;

/// Bodies of up to this many bytes are copied, so that a short message does not
/// keep the connection's read buffer alive while it waits.
const COPY_LIMIT: usize = 4 << 10;

/// How many times as large a compressed body is assumed to become.
const ASSUMED_RATIO: usize = 16;

/// Reads and decompresses a body of at most `limit` bytes, both before and
/// after. Larger bodies reserve the memory that they take.
///
/// # Errors
/// The body is too large, came too slowly, broke off, or has an unknown
/// encoding; or there is no memory for it now.
pub(super) async fn read(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
    reservation: &mut Reservation,
    deadline: Pin<&mut Sleep>,
) -> Result<Bytes, Problem> {
    let too_large = || {
        Problem::TooLarge(format!(
            "the body is larger than {limit} bytes; send it in smaller parts, or raise --max-body"
        ))
    };
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        if !expects_continue(headers) {
            discard(body, limit, deadline).await;
        }
        return Err(too_large());
    }
    let bytes = tokio::select! {
        biased;
        collected = collect(body, limit, reservation) => collected?.ok_or_else(too_large)?,
        () = deadline => return Err(Problem::SlowBody),
    };
    match headers
        .get(CONTENT_ENCODING)
        .map(|encoding| encoding.as_bytes())
    {
        None | Some(b"" | b"identity") => Ok(bytes),
        Some(encoding) => {
            let encoding = String::from_utf8_lossy(encoding).to_ascii_lowercase();
            // The decompressed size is not known before.
            if !reservation.grow(limit.min(bytes.len().saturating_mul(ASSUMED_RATIO))) {
                return Err(Problem::Full);
            }
            decompress(encoding, bytes, limit)
                .await?
                .ok_or_else(too_large)
        }
    }
}

/// Whether the client waits for `100 Continue` before it sends the body. Then
/// an answer without reading the body is what it hopes for.
pub(super) fn expects_continue(headers: &HeaderMap) -> bool {
    headers
        .get(EXPECT)
        .is_some_and(|expect| expect.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// Reads and discards a body of up to `limit` bytes. To many clients, an answer
/// that comes while they still send looks like a broken connection.
pub(super) async fn discard(mut body: Body, limit: usize, deadline: Pin<&mut Sleep>) {
    let reading = async {
        let mut read = 0;
        while let Some(Ok(frame)) = body.frame().await {
            read += frame.data_ref().map_or(0, Bytes::len);
            if read > limit {
                return;
            }
        }
    };
    // The answer is the same whether it ended, broke off or ran out of time.
    tokio::select! {
        () = reading => {}
        () = deadline => {}
    }
}

/// The whole body, or `None` if it is larger than the limit.
async fn collect(
    mut body: Body,
    limit: usize,
    reservation: &mut Reservation,
) -> Result<Option<Bytes>, Problem> {
    // Joined at the end: a buffer that grows would be copied each time.
    let mut parts: Vec<Bytes> = Vec::new();
    let mut small = BytesMut::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            Problem::Malformed(format!("the body broke off: {error}; send it again"))
        })?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        length += data.len();
        if length > limit {
            return Ok(None);
        }
        if length > COPY_LIMIT && !reservation.grow(data.len()) {
            return Err(Problem::Full);
        }
        if length == data.len() && length <= COPY_LIMIT && body.is_end_stream() {
            return Ok(Some(Bytes::copy_from_slice(&data)));
        }
        if data.len() > COPY_LIMIT {
            if !small.is_empty() {
                parts.push(small.split().freeze());
            }
            parts.push(data);
        } else {
            small.extend_from_slice(&data);
        }
    }
    if !small.is_empty() {
        parts.push(small.freeze());
    }
    Ok(Some(match parts.as_mut_slice() {
        [] => Bytes::new(),
        [whole] => std::mem::take(whole),
        parts => {
            let mut whole = BytesMut::with_capacity(length);
            parts.iter().for_each(|part| whole.extend_from_slice(part));
            whole.freeze()
        }
    }))
}

/// The decompressed body, or `None` if it is larger than the limit.
async fn decompress(
    encoding: String,
    bytes: Bytes,
    limit: usize,
) -> Result<Option<Bytes>, Problem> {
    let work = move || {
        let mut decoded = Vec::new();
        let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
        let result = match encoding.as_str() {
            "gzip" | "x-gzip" => flate2::read::MultiGzDecoder::new(&*bytes)
                .take(most)
                .read_to_end(&mut decoded),
            "zstd" => zstd::stream::read::Decoder::new(&*bytes)
                .and_then(|decoder| decoder.take(most).read_to_end(&mut decoded)),
            _ => {
                return Err(Problem::Unsupported(format!(
                    "the content encoding {encoding:?} is not understood; use gzip, zstd or none"
                )));
            }
        };
        match result {
            Ok(_) if decoded.len() > limit => Ok(None),
            Ok(_) => Ok(Some(Bytes::from(decoded))),
            Err(error) => Err(Problem::Malformed(format!(
                "the body is not valid {encoding}: {error}; correct it or its Content-Encoding"
            ))),
        }
    };
    // Even a small body may unpack to a large one.
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(Problem::Unavailable(format!(
            "the body could not be unpacked: {error}"
        ))),
    }
}
