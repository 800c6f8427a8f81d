//! Decodes a message to records.
//!
//! | mode | form |
//! |---|---|
//! | Message | `[tag, time, record, option?]` |
//! | Forward | `[tag, [entry, …], option?]` |
//! | PackedForward | `[tag, entries as bin or str, option?]` |
//! | CompressedPackedForward | the same, with entries in gzip or zstd |
//!
//! An entry is `[time, record]`, or Fluent Bit's `[[time, metadata], record]`.

use bytes::Bytes;
use sluice_types::attributes::SharedAttributes;

use super::chunk::Chunk;
use super::entry::{self, Head};
use super::fault::Fault;
use super::group;
use super::msgpack::{Reader, Token};
use super::option::{BadOption, Options, Signal};
use super::record::{Frame, RecordReader};
pub use super::records::Records;
use crate::decoded::Decoding;
use crate::encoding::Encoding;
use crate::error::DecodeError;
use crate::meter::Meter;

/// How gzip and zstd begin. No entry begins like this.
const GZIP_MAGIC: &[u8] = b"\x1f\x8b";
const ZSTD_MAGIC: &[u8] = b"\x28\xb5\x2f\xfd";
/// How many elements a PING has. No other message has as many.
const PING_LENGTH: usize = 6;
/// The least bytes that an entry is expected to have.
const ENTRY_BYTES: usize = 64;

/// A message.
#[derive(Debug)]
pub struct Message {
    /// What the client asks to be acknowledged, if it does.
    pub chunk: Option<Chunk>,
    /// What is in it.
    pub content: Content,
}

/// What is in a message.
#[derive(Debug)]
pub enum Content {
    /// Log records.
    Records(Records),
    /// Nothing: it only shows that the client is there.
    Keepalive,
    /// Other data than log records, named here. It is acknowledged, because a
    /// client would send it again forever.
    Dropped(&'static str),
    /// The client's part of a handshake with a shared key, which needs a HELO
    /// first. The connection can only be closed.
    Ping,
}

/// How a message is decoded.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The most records and rejections of a message.
    pub records: usize,
    /// The most bytes that the entries of a message may be unpacked to.
    pub unpacked: usize,
}

/// Decodes a whole message, as [`Framer`](super::framer::Framer) found it.
/// Entries that cannot be read are rejections. So is all that is wrong with a
/// message that has an option to read its chunk from, because a client that gets
/// no acknowledgement sends it again forever.
///
/// # Errors
/// It is no message of the protocol, or decoding was stopped.
pub fn decode(
    body: &Bytes,
    observed: u64,
    limits: Limits,
    meter: &mut Meter,
) -> Result<Message, DecodeError> {
    let Some(envelope) = Envelope::of(body)? else {
        let (chunk, content) = (None, Content::Keepalive);
        return Ok(Message { chunk, content });
    };
    let chunk = envelope.options.chunk.clone();
    let content = match (envelope.kind, envelope.options.signal) {
        (Kind::Ping, _) => Content::Ping,
        (Kind::Keepalive, _) => Content::Keepalive,
        (_, Signal::Metrics) => Content::Dropped("metrics"),
        (_, Signal::Traces) => Content::Dropped("traces"),
        (kind, Signal::Logs) => {
            let source = Source {
                body,
                observed,
                limits,
                key: chunk.as_ref().and_then(Chunk::key_prefix),
                shared: group::of_tag(envelope.tag, meter),
            };
            Content::Records(source.records(kind, meter))
        }
    };
    Ok(Message { chunk, content })
}

/// The parts of a message.
#[derive(Debug)]
struct Envelope<'a> {
    tag: &'a [u8],
    kind: Kind<'a>,
    options: Options,
}

/// What a message carries.
#[derive(Clone, Copy, Debug)]
enum Kind<'a> {
    /// One record.
    Message {
        time: &'a [u8],
        record: &'a [u8],
    },
    /// Entries, one after the other.
    Forward(&'a [u8]),
    /// The same, perhaps compressed.
    Packed(&'a [u8]),
    Keepalive,
    Ping,
    /// Something wrong, worded for the producer.
    Wrong(&'static str),
}

impl<'a> Envelope<'a> {
    /// Of the bytes of a message; `None` if they are nil.
    fn of(body: &'a [u8]) -> Result<Option<Self>, DecodeError> {
        let mut reader = Reader::new(body);
        let length = match reader.value().map_err(malformed)? {
            Token::Array(length) => length,
            Token::Nil if reader.rest().is_empty() => return Ok(None),
            _ => return Err(unreadable("it is neither an array nor only nil")),
        };
        let mut elements: [&[u8]; 4] = [b"\xc0"; 4];
        for at in 0..length {
            let element = reader.skip().map_err(malformed)?;
            if let Some(kept) = elements.get_mut(at) {
                *kept = element;
            }
        }
        if !reader.rest().is_empty() {
            return Err(unreadable("there is more behind it"));
        }
        let [first, second, third, fourth] = elements;
        let value = |bytes| Reader::new(bytes).value().map_err(malformed);
        let mut entries = Reader::new(second);
        let (kind, option) = match entries.value().map_err(malformed)? {
            Token::Array(_) => (Kind::Forward(entries.rest()), third),
            Token::Str(packed) | Token::Bin(packed) => (Kind::Packed(packed), third),
            _ if length < 3 => (Kind::Wrong("the message has no record"), third),
            _ => {
                let (time, record) = (second, third);
                (Kind::Message { time, record }, fourth)
            }
        };
        let (tag, kind) = match value(first)? {
            Token::Str(b"PING") if length == PING_LENGTH => (&b""[..], Kind::Ping),
            Token::Nil | Token::Str(b"") | Token::Bin(b"") => (&b""[..], Kind::Keepalive),
            Token::Str(tag) | Token::Bin(tag) => (tag, kind),
            _ => (&b""[..], Kind::Wrong("the tag is no text")),
        };
        let options = Options::of(option).map_err(|bad| match bad {
            BadOption::Unreadable(fault) => malformed(fault),
            BadOption::LongChunk(length) => unreadable(&format!(
                "its chunk has {length} bytes, more than any client's"
            )),
        })?;
        Ok(Some(Self { tag, kind, options }))
    }
}

fn malformed(fault: Fault) -> DecodeError {
    unreadable(&fault.to_string())
}

fn unreadable(reason: &str) -> DecodeError {
    DecodeError::Malformed(format!("the message cannot be read: {reason}"))
}

/// What the records of a message are made of, besides the entries.
struct Source<'a> {
    body: &'a Bytes,
    observed: u64,
    limits: Limits,
    /// What the keys begin with.
    key: Option<String>,
    shared: SharedAttributes,
}

impl Source<'_> {
    fn records(self, kind: Kind<'_>, meter: &mut Meter) -> Records {
        match kind {
            Kind::Message { time, record } => self.message(time, record, meter),
            Kind::Forward(entries) => self.entries(self.body, entries, meter),
            Kind::Packed(packed) => self.packed(packed, meter),
            Kind::Wrong(reason) => self.rejected(reason, meter),
            Kind::Keepalive | Kind::Ping => Records::default(),
        }
    }

    fn message(self, time: &[u8], record: &[u8], meter: &mut Meter) -> Records {
        let mut records = RecordReader::new(self.body, self.observed, &self.shared);
        let mut decoding = Decoding::new(meter, self.limits.records);
        decoding.add(record, |meter| {
            let time = Reader::new(time)
                .value()
                .map_err(|fault| fault.to_string())?;
            let frame = Frame {
                time: entry::of_token(time, self.body)?,
                metadata: None,
                key: self.key.as_deref().map(|key| (key, 0)),
            };
            records.read(frame, &mut Reader::new(record), meter)
        });
        let decoded = decoding.finish(self.body.len());
        records.finish(decoded, meter)
    }

    /// Entries that may be compressed, whatever the option says.
    fn packed(self, packed: &[u8], meter: &mut Meter) -> Records {
        let encoding = match packed {
            packed if packed.starts_with(GZIP_MAGIC) => Encoding::Gzip,
            packed if packed.starts_with(ZSTD_MAGIC) => Encoding::Zstd,
            plain => return self.entries(self.body, plain, meter),
        };
        match encoding.unpack(packed, self.limits.unpacked, meter) {
            Ok(Some(entries)) => self.entries(&entries, &entries, meter),
            Ok(None) => {
                let most = self.limits.unpacked;
                self.rejected(
                    &format!("the entries unpack to more than {most} bytes"),
                    meter,
                )
            }
            Err(error) => self.rejected(&format!("the entries: {error}"), meter),
        }
    }

    fn rejected(&self, reason: &str, meter: &mut Meter) -> Records {
        let mut decoding = Decoding::new(meter, self.limits.records);
        decoding.add(self.body, |_| Err(reason.to_owned()));
        Records {
            decoded: decoding.finish(0),
            has_pieces: false,
        }
    }

    /// Entries that are a part of `whole`, one after the other.
    fn entries(&self, whole: &Bytes, entries: &[u8], meter: &mut Meter) -> Records {
        let mut decoder = Entries {
            whole,
            reader: Reader::new(entries),
            key: self.key.as_deref(),
            records: RecordReader::new(whole, self.observed, &self.shared),
            decoding: Decoding::new(meter, self.limits.records),
            index: 0,
        };
        decoder.decode();
        let Entries {
            decoding, records, ..
        } = decoder;
        let decoded = decoding.finish(whole.len());
        records.finish(decoded, meter)
    }
}

/// Decodes entries, one after the other.
struct Entries<'a, 'm> {
    whole: &'a Bytes,
    reader: Reader<'a>,
    key: Option<&'a str>,
    records: RecordReader<'a>,
    decoding: Decoding<'m>,
    /// The place of the next entry, from 0.
    index: usize,
}

impl<'a> Entries<'a, '_> {
    fn decode(&mut self) {
        let bytes = self.reader.rest().len();
        while !self.reader.rest().is_empty() && !self.decoding.is_stopped() {
            let start = self.reader;
            if let Err(reason) = self.entry() {
                if let Some(reason) = reason {
                    self.decoding.read(|_| Err(reason));
                }
                self.reader = start;
                let entry = self.reader.skip();
                self.decoding.show(entry.unwrap_or(start.rest()));
                if entry.is_err() {
                    // Where the next one would begin is unknown.
                    return;
                }
            }
            if self.index == 0 {
                // Entries usually have similar lengths. After a short first one,
                // this expects no more than the entries themselves take.
                let first = bytes - self.reader.rest().len();
                self.decoding.expect(bytes / first.max(ENTRY_BYTES) + 1);
            }
            self.index += 1;
        }
    }

    /// Decodes the next entry. If it cannot be read, it returns the reason, or
    /// none if the entry is counted as a rejection already.
    #[inline]
    fn entry(&mut self) -> Result<(), Option<String>> {
        let (head, following) = entry::head(&mut self.reader, self.whole)?;
        match head {
            Head::Record { time, metadata } => {
                let frame = Frame {
                    time,
                    metadata,
                    key: self.key.map(|key| (key, self.index)),
                };
                self.record(frame)?;
            }
            Head::GroupStart => {
                let group = self.skip()?;
                self.records.start_group(group, self.decoding.meter())?;
            }
            Head::GroupEnd => {
                self.skip()?;
                self.records.end_group();
            }
        }
        for _ in 1..following {
            self.skip()?;
        }
        Ok(())
    }

    fn skip(&mut self) -> Result<&'a [u8], String> {
        self.reader
            .skip()
            .map_err(|fault| format!("the entry: {fault}"))
    }

    fn record(&mut self, frame: Frame<'_>) -> Result<(), Option<String>> {
        let (reader, records) = (&mut self.reader, &mut self.records);
        match self
            .decoding
            .read(|meter| records.read(frame, reader, meter))
        {
            true => Ok(()),
            false => Err(None),
        }
    }
}
