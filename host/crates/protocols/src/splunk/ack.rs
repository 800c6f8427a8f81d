//! Answers whether events are indexed.
//!
//! A client gets an id only after its events are delivered, so they always are,
//! whichever node is asked.

use bytes::Bytes;

use super::answer;
use crate::answer::Answer;
use crate::error::DecodeError;
use crate::json::cursor::{Cursor, Fault, Kind, Token};
use crate::meter::Meter;

/// The most ids of a request. Clients ask for what they sent in the last seconds.
const IDS_MAX: usize = 100_000;
/// What an id takes in the answer at most, in bytes.
const ID_BYTES: usize = ",\"18446744073709551615\":true".len();
/// How much of the answer is allocated at least, in bytes.
const STEP_BYTES: usize = 1 << 10;

/// The answer to `{"acks":[7,8]}`, which is true for each of them. The channel is
/// from the header `X-Splunk-Request-Channel` or from the query; ids are given
/// only with one.
///
/// # Errors
/// The body is no such question, or has more ids than 100,000.
pub fn answer(
    body: &Bytes,
    channel: Option<&str>,
    meter: &mut Meter,
) -> Result<Answer, DecodeError> {
    if channel.is_none_or(str::is_empty) {
        return Ok(answer::channel_missing());
    }
    let mut ids = Ids {
        text: Vec::new(),
        count: 0,
    };
    read(body, &mut ids, meter).map_err(|error| match error {
        Wrong::Json(fault) => DecodeError::Malformed(fault.to_string()),
        Wrong::Id => DecodeError::Malformed("an id in acks is not a whole number".to_owned()),
        Wrong::TooMany => DecodeError::Malformed(format!("more than {IDS_MAX} ids in acks")),
        Wrong::Absent => DecodeError::Malformed("there is no list named acks".to_owned()),
        // The meter says why.
        Wrong::Stopped => DecodeError::Malformed("stopped".to_owned()),
    })?;
    ids.text.extend_from_slice(b"}}");
    Ok(Answer::new(200, "application/json", ids.text))
}

enum Wrong {
    Json(Fault),
    Id,
    TooMany,
    Absent,
    Stopped,
}

impl From<Fault> for Wrong {
    fn from(fault: Fault) -> Self {
        Self::Json(fault)
    }
}

fn read(body: &[u8], ids: &mut Ids, meter: &mut Meter) -> Result<(), Wrong> {
    let mut cursor = Cursor::new(body);
    if !cursor.take(b'{') {
        return Err(Wrong::Absent);
    }
    let mut is_first = true;
    let mut is_present = false;
    while let Some(name) = cursor.member(&mut is_first)? {
        if name.bytes != b"acks" {
            cursor.value()?;
            continue;
        }
        if is_present || !cursor.take(b'[') {
            return Err(Wrong::Absent);
        }
        is_present = true;
        ids.reserve(meter)?;
        ids.text.extend_from_slice(b"{\"acks\":{");
        let mut is_first = true;
        while cursor.element(&mut is_first)? {
            ids.add(cursor.value()?, meter)?;
        }
    }
    match is_present {
        true => Ok(()),
        false => Err(Wrong::Absent),
    }
}

/// The answer so far.
struct Ids {
    text: Vec<u8>,
    count: usize,
}

impl Ids {
    fn add(&mut self, id: Token<'_>, meter: &mut Meter) -> Result<(), Wrong> {
        let digits = match id.kind {
            Kind::Number => std::str::from_utf8(id.bytes).ok(),
            _ => None,
        };
        let id: u64 = digits.and_then(|id| id.parse().ok()).ok_or(Wrong::Id)?;
        if self.count == IDS_MAX {
            return Err(Wrong::TooMany);
        }
        self.reserve(meter)?;
        if self.count > 0 {
            self.text.push(b',');
        }
        self.count += 1;
        self.text.push(b'"');
        self.text
            .extend_from_slice(itoa::Buffer::new().format(id).as_bytes());
        self.text.extend_from_slice(b"\":true");
        Ok(())
    }

    /// Makes room for one more id, and for the end.
    fn reserve(&mut self, meter: &mut Meter) -> Result<(), Wrong> {
        const END_BYTES: usize = 2;
        if self.text.capacity() - self.text.len() < ID_BYTES + END_BYTES {
            let more = self.text.capacity().max(STEP_BYTES);
            if !meter.charge(more) {
                return Err(Wrong::Stopped);
            }
            self.text
                .reserve_exact(self.text.capacity() - self.text.len() + more);
        }
        Ok(())
    }
}
