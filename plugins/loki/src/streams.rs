//! Groups entries by the labels of their streams, into bodies of bounded size.

use std::collections::BTreeMap;

use sluice_sink::bodies::Body;

const START: &[u8] = br#"{"streams":["#;
const END: &[u8] = b"]}";
const STREAM: &[u8] = br#"{"stream":"#;
const VALUES: &[u8] = br#","values":["#;

/// Collects entries.
pub(crate) struct Streams {
    max_bytes: usize,
    max_records: usize,
    done: Vec<Body>,
    /// The streams of the next body, in the order of their first entries.
    open: Vec<Stream>,
    places: BTreeMap<Vec<u8>, usize>,
    last: usize,
    bytes: usize,
    records: usize,
}

/// A stream of a body.
struct Stream {
    labels: Vec<u8>,
    /// With commas between them.
    entries: Vec<u8>,
    records: Vec<usize>,
}

impl Streams {
    /// Bodies of at most so many bytes and records; one record may be larger.
    pub(crate) const fn new(max_bytes: usize, max_records: usize) -> Self {
        Self {
            max_bytes,
            max_records,
            done: Vec::new(),
            open: Vec::new(),
            places: BTreeMap::new(),
            last: 0,
            bytes: START.len() + END.len(),
            records: 0,
        }
    }

    /// Adds the entry of the record at `index`.
    pub(crate) fn push(&mut self, index: usize, labels: &[u8], entry: &[u8]) {
        let size = entry.len() + 1;
        let head = STREAM.len() + labels.len() + VALUES.len() + END.len() + 1;
        let mut place = self.place(labels);
        let added = if place.is_some() { size } else { size + head };
        let is_full = self.bytes + added > self.max_bytes || self.records >= self.max_records;
        if is_full && self.records > 0 {
            self.end();
            place = None;
        }
        let place = place.unwrap_or_else(|| {
            self.bytes += head;
            self.open.push(Stream {
                labels: labels.to_vec(),
                entries: Vec::new(),
                records: Vec::new(),
            });
            let place = self.open.len() - 1;
            self.places.insert(labels.to_vec(), place);
            place
        });
        self.last = place;
        self.bytes += size;
        self.records += 1;
        if let Some(stream) = self.open.get_mut(place) {
            if !stream.records.is_empty() {
                stream.entries.push(b',');
            }
            stream.entries.extend_from_slice(entry);
            stream.records.push(index);
        }
    }

    /// The bodies.
    pub(crate) fn finish(mut self) -> Vec<Body> {
        self.end();
        self.done
    }

    /// Where the stream of these labels is. Records that follow each other often have
    /// the same.
    fn place(&self, labels: &[u8]) -> Option<usize> {
        match self.open.get(self.last) {
            Some(last) if last.labels == labels => Some(self.last),
            _ => self.places.get(labels).copied(),
        }
    }

    /// Ends the body.
    pub(crate) fn end(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let mut bytes = Vec::with_capacity(self.bytes);
        let mut records = Vec::with_capacity(self.records);
        bytes.extend_from_slice(START);
        for (place, stream) in self.open.drain(..).enumerate() {
            if place > 0 {
                bytes.push(b',');
            }
            let parts = [STREAM, &stream.labels, VALUES, &stream.entries, END];
            parts.iter().for_each(|part| bytes.extend_from_slice(part));
            records.extend(stream.records);
        }
        bytes.extend_from_slice(END);
        self.done.push(Body { bytes, records });
        self.places.clear();
        self.last = 0;
        self.bytes = START.len() + END.len();
        self.records = 0;
    }
}
