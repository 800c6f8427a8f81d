//! Messages as JetStream hands them out.

use std::time::Duration;

use async_nats::HeaderMap;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::api::GotMessage;
use sluice_delivery::{Envelope, LogError, Stored, StoredIds};

/// The version of the format of messages with ids.
const VERSION_HEADER: &str = "Sluice-Version";
const VERSION: &str = "1";
/// How old the youngest of the ids was, in milliseconds.
const AGE: &str = "Sluice-Age";
/// The headers with the sequence and the time, in what direct gets return.
const SEQUENCE: &str = "Nats-Sequence";
const TIME: &str = "Nats-Time-Stamp";

/// A message that the API returned.
pub(crate) fn from_api(message: &GotMessage) -> Result<Stored, LogError> {
    let decode = |text: &str| {
        let decoded = STANDARD.decode(text);
        decoded.map_err(|error| LogError(format!("JetStream's answer cannot be read: {error}")))
    };
    let headers = String::from_utf8_lossy(&decode(&message.hdrs)?).into_owned();
    let header = |name: &str| {
        headers.split("\r\n").find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    };
    Ok(Stored {
        sequence: message.seq,
        envelope: Envelope::read(header),
        time: nanos(&message.time),
        payload: decode(&message.data)?.into(),
    })
}

/// A message that a direct get returned; `None` if it is none.
pub(crate) fn from_direct(message: async_nats::Message) -> Option<Stored> {
    let headers = message.headers?;
    let header = |name: &str| headers.get(name).map(|value| value.as_str());
    let sequence = header(SEQUENCE)?.parse().ok()?;
    let envelope = Envelope::read(header);
    let time = header(TIME).map_or(0, nanos);
    let payload: Bytes = message.payload;
    Some(Stored {
        sequence,
        envelope,
        time,
        payload,
    })
}

/// Ids that a direct get returned; `None` if it is no message.
pub(crate) fn ids_from_direct(message: &async_nats::Message) -> Option<StoredIds> {
    let headers = message.headers.as_ref()?;
    let header = |name: &str| headers.get(name).map(|value| value.as_str());
    let is_known = header(VERSION_HEADER) == Some(VERSION);
    let age = header(AGE).and_then(|age| age.parse().ok());
    let (ids, _) = message.payload.as_chunks();
    Some(StoredIds {
        sequence: header(SEQUENCE)?.parse().ok()?,
        time: header(TIME).map_or(0, nanos),
        age: Duration::from_millis(age.unwrap_or_default()),
        ids: if is_known { ids.to_vec() } else { Vec::new() },
    })
}

/// The headers of a message with ids.
pub(crate) fn ids_headers(age: Duration) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(VERSION_HEADER, VERSION);
    headers.insert(AGE, age.as_millis().to_string());
    headers
}

/// A server's time in nanoseconds since 1970; 0 if it cannot be read.
fn nanos(text: &str) -> u64 {
    let time = text.parse::<jiff::Timestamp>().ok();
    let nanos = time.map(|time| time.as_nanosecond());
    nanos
        .and_then(|nanos| u64::try_from(nanos).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::nanos;

    #[test]
    fn the_times_of_servers_are_read() {
        let expected = 1_764_330_000_123_456_789;
        assert_eq!(nanos("2025-11-28T11:40:00.123456789Z"), expected);
        assert_eq!(nanos("2025-11-28T11:40:00Z"), 1_764_330_000_000_000_000);
        assert_eq!(nanos(""), 0);
    }
}
