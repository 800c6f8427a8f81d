//! Messages as JetStream hands them out.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::api::GotMessage;
use sluice_delivery::{Envelope, LogError, Stored};

/// The header with the sequence, in what direct gets return.
const SEQUENCE: &str = "Nats-Sequence";

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
        payload: decode(&message.data)?.into(),
    })
}

/// A message that a direct get returned; `None` if it is none.
pub(crate) fn from_direct(message: async_nats::Message) -> Option<Stored> {
    let headers = message.headers?;
    let header = |name: &str| headers.get(name).map(|value| value.as_str());
    let sequence = header(SEQUENCE)?.parse().ok()?;
    let envelope = Envelope::read(header);
    let payload: Bytes = message.payload;
    Some(Stored {
        sequence,
        envelope,
        payload,
    })
}
