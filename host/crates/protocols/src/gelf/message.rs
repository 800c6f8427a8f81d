//! Decodes GELF messages.
//!
//! The text is `full_message`, and `short_message` is an attribute then; without
//! it, `short_message` or `message` is. `timestamp` is the time, `level` the
//! severity, `host` the attribute `host.name`. Other fields are attributes by their
//! names without the underscore that GELF puts in front of them.

use bytes::Bytes;

use crate::decoded::{Decoded, Decoding};
use crate::encoding::Encoding;
use crate::error::DecodeError;
use crate::json::cursor::{Cursor, Kind, Token};
use crate::json::fields::{drained, merge_repeated};
use crate::json::members::Members;
use crate::json::objects::{self, Problem};
use crate::json::part::Parts;
use crate::meter::Meter;
use crate::{severity, text, time};
use sluice_types::record::{LogRecord, Severity, Text, Value};

const HOST: Text = Text::from_static("host.name");
const SHORT_MESSAGE: Text = Text::from_static("short_message");
const LEVEL: Text = Text::from_static("level");
const TIMESTAMP: Text = Text::from_static("timestamp");

/// A body or a datagram, unpacked if its first bytes say that it is packed. What
/// headers say is not to be relied on: pygelf names two encodings and sends a
/// third one. `None` if it becomes larger than `limit` bytes.
///
/// # Errors
/// It is not in the encoding that its first bytes show.
pub fn unpacked(
    packed: &Bytes,
    limit: usize,
    meter: &mut Meter,
) -> Result<Option<Bytes>, DecodeError> {
    match Encoding::by_magic(packed) {
        Some(encoding) => encoding.unpack(packed, limit, meter),
        None => Ok((packed.len() <= limit).then(|| packed.clone())),
    }
}

/// The message of a datagram, unpacked.
pub fn decode(message: &Bytes, observed: u64, most: usize, meter: &mut Meter) -> Decoded {
    let mut decoding = Decoding::new(meter, most);
    read_message(message, observed, &mut decoding);
    decoding.finish(message.len())
}

/// The same for one datagram of several.
pub fn read_message(message: &Bytes, observed: u64, decoding: &mut Decoding<'_>) {
    Reader::new(message, observed).read_all(message, decoding);
}

/// The messages of a body, unpacked: one, as a rule, but Graylog takes several
/// behind each other, too.
///
/// # Errors
/// There is no message, or none of them is accepted: then the error is about the
/// first one.
pub fn decode_body(
    body: &Bytes,
    observed: u64,
    most: usize,
    meter: &mut Meter,
) -> Result<Decoded, DecodeError> {
    let decoded = decode(body, observed, most, meter);
    if !decoded.records.is_empty() {
        return Ok(decoded);
    }
    let rejections = decoded.rejected.merge(Vec::new());
    let first = rejections.listed.into_iter().next();
    let reason = first.map_or_else(|| "the body is empty".to_owned(), |first| first.reason);
    Err(DecodeError::Malformed(reason))
}

/// Messages that each end with a zero byte; at the end of a connection, the last
/// one may lack it. One that is longer than `longest` bytes is rejected.
pub fn decode_frames(
    frames: &Bytes,
    longest: usize,
    observed: u64,
    most: usize,
    meter: &mut Meter,
) -> Decoded {
    let mut reader = Reader::new(frames, observed);
    let mut decoding = Decoding::new(meter, most);
    let mut rest = Some(&**frames);
    while let Some(bytes) = rest
        && !decoding.is_stopped()
    {
        let (message, later) = match memchr::memchr(0, bytes) {
            Some(end) => (bytes.get(..end), bytes.get(end + 1..)),
            None => (Some(bytes), None),
        };
        let message = message.unwrap_or_default();
        match message.len() > longest {
            true => {
                let reason = format!("the message is longer than {longest} bytes");
                decoding.add(message, |_| Err(reason));
            }
            false => reader.read_all(message, &mut decoding),
        }
        rest = later;
    }
    decoding.finish(frames.len())
}

/// Reads one message after the other.
struct Reader<'a> {
    whole: &'a Bytes,
    observed: u64,
    members: Members,
}

/// The fields of a message that do not become attributes just so.
#[derive(Default)]
struct Message<'a> {
    full: Option<Token<'a>>,
    short: Option<Token<'a>>,
    /// What some clients send in its place.
    plain: Option<Token<'a>>,
    timestamp: Option<Token<'a>>,
    level: Option<Token<'a>>,
}

impl<'a> Reader<'a> {
    fn new(whole: &'a Bytes, observed: u64) -> Self {
        Self {
            whole,
            observed,
            members: Members::default(),
        }
    }

    /// Reads the messages of a part of the whole.
    fn read_all(&mut self, part: &[u8], decoding: &mut Decoding<'_>) {
        objects::each(part, decoding, |cursor, meter| self.read(cursor, meter));
    }

    fn read(&mut self, cursor: &mut Cursor<'_>, meter: &mut Meter) -> Result<LogRecord, Problem> {
        self.members.clear();
        let mut parts = Parts {
            whole: self.whole,
            meter,
        };
        if cursor.peek() != Some(b'{') {
            cursor.value()?;
            return Err(Problem::Refused("not a JSON object".to_owned()));
        }
        let mut message = Message::default();
        let mut is_first = true;
        cursor.take(b'{');
        while let Some(name) = cursor.member(&mut is_first)? {
            let value = cursor.value()?;
            self.keep(name, value, &mut message, &mut parts);
        }
        self.record(message, &mut parts).map_err(Problem::Refused)
    }

    fn keep<'b>(
        &mut self,
        name: Token<'b>,
        value: Token<'b>,
        message: &mut Message<'b>,
        parts: &mut Parts<'_>,
    ) {
        match (name.bytes, value.kind) {
            // pygelf sends it for what a message does not have.
            (_, Kind::Null) | (b"version", _) => {}
            (b"full_message", _) => message.full = Some(value),
            (b"short_message", _) => message.short = Some(value),
            (b"message", _) => message.plain = Some(value),
            (b"timestamp", _) => message.timestamp = Some(value),
            (b"level", _) => message.level = Some(value),
            (b"host", _) => self.members.add_as(HOST, value, parts),
            (bytes, _) => {
                let bytes = match bytes.strip_prefix(b"_") {
                    Some(rest) if !rest.is_empty() => rest,
                    _ => bytes,
                };
                self.members.add(Token { bytes, ..name }, value, parts);
            }
        }
    }

    /// Makes a record of what was read, and leaves nothing of it.
    fn record(&mut self, message: Message<'_>, parts: &mut Parts<'_>) -> Result<LogRecord, String> {
        let has_text = |token: &Token<'_>| !token.bytes.is_empty();
        let full = message.full.filter(has_text);
        let short = message.short.or(message.plain);
        let text = full.or(short).ok_or("there is no short_message")?;
        if let (Some(full), Some(short)) = (full, short)
            && full.bytes != short.bytes
        {
            self.members.add_as(SHORT_MESSAGE, short, parts);
        }
        let (body, original) = parts.body(text).ok_or("stopped")?;
        let mut record = LogRecord::with_body(body, self.observed);
        if let Some(token) = message.timestamp {
            match timestamp(token, parts) {
                Some(0) => {}
                Some(nanoseconds) => record.timestamp = nanoseconds,
                // No sender would learn of a rejection.
                None => self.members.add_as(TIMESTAMP, token, parts),
            }
        }
        if let Some(token) = message.level {
            match level(token) {
                Some(severity) => record.severity = severity,
                None => self.members.add_as(LEVEL, token, parts),
            }
        }
        let list = &mut self.members.list;
        list.extend(original.map(|original| (text::ORIGINAL, original)));
        merge_repeated(list);
        self.members.refusal()?;
        record.attributes = drained(&mut self.members.list).into();
        Ok(record)
    }
}

/// The time in nanoseconds; `None` if it is none.
fn timestamp(token: Token<'_>, parts: &mut Parts<'_>) -> Option<u64> {
    match token.kind {
        Kind::Text | Kind::Number => match text::value(parts.whole, token.bytes) {
            Value::Text(text) => time::exact_nanoseconds(&text).ok(),
            _ => None,
        },
        _ => None,
    }
}

/// Syslog's level, or a name of one.
fn level(token: Token<'_>) -> Option<Severity> {
    let text = match token.kind {
        Kind::Text | Kind::Number => std::str::from_utf8(token.bytes).ok()?,
        _ => return None,
    };
    match text.parse() {
        Ok(number) => severity::of_syslog(number),
        Err(_) => severity::of_name(text),
    }
}
