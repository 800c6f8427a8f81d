//! What a segment consists of: frames, each with a checksum.
//!
//! A frame is the byte 0xFE, which no UTF-8 text holds, its kind (u8), the
//! length of its payload (u32), the CRC-32 of everything else in it (u32), the
//! number of an entry (u64), and the payload. Numbers are little-endian.

use std::collections::BTreeMap;

use bytes::{Buf, Bytes};

use super::codec;
use sluice_types::record::LogRecord;

/// The first byte of every frame.
pub(super) const MARK: u8 = 0xFE;
/// The length of a frame before its payload, in bytes.
pub(crate) const HEADER: usize = 18;
/// The version of the segment format that is written and read.
const VERSION: u8 = 1;

/// Identifies a journal. A journal that is made again has another id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct JournalId(pub [u8; 16]);

/// How far the entries were delivered or taken over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// Entries below this one need no delivery any more.
    pub(super) settled: u64,
    /// For each journal of another node, the entry below which every entry was
    /// taken over from it.
    pub(super) taken: BTreeMap<JournalId, u64>,
}

/// What a frame holds.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Content {
    /// The first frame of a segment.
    Start(JournalId, Progress),
    /// The frame's entry.
    Record(LogRecord),
    /// The last such frame counts.
    Progress(Progress),
}

/// A whole frame.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Frame {
    /// The number of the record, or that of the next one.
    pub(super) entry: u64,
    pub(super) content: Content,
}

/// The part of a frame before its payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    kind: u8,
    /// The length of the payload.
    pub(crate) length: usize,
    checksum: u32,
    entry: u64,
}

const START: u8 = 1;
const RECORD: u8 = 2;
const PROGRESS: u8 = 3;

impl Head {
    /// Reads the first bytes; `None` if no frame begins like this.
    pub(crate) fn read(mut bytes: &[u8]) -> Option<Self> {
        if bytes.try_get_u8().ok()? != MARK {
            return None;
        }
        let kind = bytes.try_get_u8().ok()?;
        let head = Self {
            kind,
            length: usize::try_from(bytes.try_get_u32_le().ok()?).ok()?,
            checksum: bytes.try_get_u32_le().ok()?,
            entry: bytes.try_get_u64_le().ok()?,
        };
        (START..=PROGRESS).contains(&kind).then_some(head)
    }

    /// The frame, if the payload is whole and unchanged.
    pub(super) fn frame(self, mut payload: Bytes) -> Option<Frame> {
        if checksum(self.kind, self.entry, &payload) != self.checksum {
            return None;
        }
        let content = match self.kind {
            START => {
                if payload.try_get_u8().ok()? != VERSION {
                    return None;
                }
                let mut id = [0; 16];
                payload.try_copy_to_slice(&mut id).ok()?;
                Content::Start(JournalId(id), progress(payload)?)
            }
            RECORD => Content::Record(codec::decode(payload)?),
            _ => Content::Progress(progress(payload)?),
        };
        Some(Frame {
            entry: self.entry,
            content,
        })
    }
}

impl Head {
    /// The record, if this is a record's frame, whole and unchanged.
    pub(crate) fn record(self, payload: Bytes) -> Option<LogRecord> {
        match self.frame(payload)?.content {
            Content::Record(record) => Some(record),
            _ => None,
        }
    }
}

/// Appends the first frame of a segment.
pub(super) fn start(entry: u64, id: JournalId, progress: &Progress, out: &mut Vec<u8>) {
    put(START, entry, out, |out| {
        out.push(VERSION);
        out.extend_from_slice(&id.0);
        put_progress(progress, out);
    });
}

/// Appends a record's frame.
pub(crate) fn record(entry: u64, record: &LogRecord, out: &mut Vec<u8>) {
    put(RECORD, entry, out, |out| codec::encode(record, out));
}

/// Appends a progress frame. `entry` is the next one.
pub(super) fn progressed(entry: u64, progress: &Progress, out: &mut Vec<u8>) {
    put(PROGRESS, entry, out, |out| put_progress(progress, out));
}

fn put(kind: u8, entry: u64, out: &mut Vec<u8>, payload: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.resize(start + HEADER, 0);
    payload(out);
    let Some((head, payload)) = out
        .get_mut(start..)
        .and_then(|frame| frame.split_first_chunk_mut::<HEADER>())
    else {
        return;
    };
    // Bodies are bounded far below 4 GiB.
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let sum = checksum(kind, entry, payload);
    let fields = [MARK, kind]
        .into_iter()
        .chain(length.to_le_bytes())
        .chain(sum.to_le_bytes())
        .chain(entry.to_le_bytes());
    for (target, byte) in head.iter_mut().zip(fields) {
        *target = byte;
    }
}

fn checksum(kind: u8, entry: u64, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(payload);
    hasher.update(&[kind]);
    hasher.update(&entry.to_le_bytes());
    hasher.finalize()
}

fn put_progress(progress: &Progress, out: &mut Vec<u8>) {
    out.extend_from_slice(&progress.settled.to_le_bytes());
    for (journal, entry) in &progress.taken {
        out.extend_from_slice(&journal.0);
        out.extend_from_slice(&entry.to_le_bytes());
    }
}

fn progress(mut payload: Bytes) -> Option<Progress> {
    let mut progress = Progress {
        settled: payload.try_get_u64_le().ok()?,
        ..Progress::default()
    };
    while payload.has_remaining() {
        let mut id = [0; 16];
        payload.try_copy_to_slice(&mut id).ok()?;
        progress
            .taken
            .insert(JournalId(id), payload.try_get_u64_le().ok()?);
    }
    Some(progress)
}
