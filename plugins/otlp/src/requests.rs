//! Makes `ExportLogsServiceRequest`s of any of the records of a batch.

use std::ops::Range;

use sluice_sink::Batch;
use sluice_sink::bodies::Body;

use crate::groups::{Group, Groups};
use crate::record::Encoder;
use crate::wire;

/// What the lengths and tags of a group take at most, in bytes.
const GROUP_OVERHEAD: usize = 32;

/// The records of a batch, each encoded once.
#[derive(Debug)]
pub(crate) struct Encoded {
    bytes: Vec<u8>,
    records: Vec<Record>,
    groups: Groups,
}

#[derive(Clone, Debug)]
struct Record {
    place: Range<usize>,
    group: usize,
}

/// Records of a group that follow each other in a request.
struct Run<'a> {
    group: &'a Group,
    records: &'a [usize],
    /// The size of the content of the `ScopeLogs`.
    size: usize,
}

impl Encoded {
    pub(crate) fn new(batch: &Batch, encoder: &mut Encoder) -> Self {
        let rows = batch.rows();
        let mut encoded = Self {
            bytes: Vec::new(),
            records: Vec::with_capacity(rows.len()),
            groups: Groups::default(),
        };
        for row in &rows {
            let start = encoded.bytes.len();
            encoder.push(row, &mut encoded.bytes);
            let place = start..encoded.bytes.len();
            let group = encoded.groups.find(&encoder.resource, &encoder.scope);
            encoded.records.push(Record { place, group });
        }
        encoded
    }

    /// Divides all records into parts of at most so many bytes and records. Those of
    /// one resource and scope are together, in their order.
    pub(crate) fn divide(&self, max_bytes: usize, max_records: usize) -> Vec<Vec<usize>> {
        let mut all: Vec<usize> = (0..self.records.len()).collect();
        all.sort_by_key(|index| self.order(*index));
        let mut parts: Vec<Vec<usize>> = Vec::new();
        let (mut size, mut last) = (0, None);
        for index in all {
            let group = self.group(index);
            let own = self.record(index).len();
            let header = self.header(group);
            let more = if last == Some(group) { 0 } else { header };
            let has_room =
                |part: &&mut Vec<usize>| size + more + own <= max_bytes && part.len() < max_records;
            match parts.last_mut().filter(has_room) {
                Some(part) => {
                    part.push(index);
                    size += more + own;
                }
                None => {
                    parts.push(vec![index]);
                    size = header + own;
                }
            }
            last = Some(group);
        }
        parts
    }

    /// A request with these records, which are in the order of [`divide`](Self::divide).
    pub(crate) fn body(&self, records: Vec<usize>) -> Body {
        let bytes = self.request(&records);
        Body { bytes, records }
    }

    fn request(&self, records: &[usize]) -> Vec<u8> {
        let runs = self.runs(records);
        let total: usize = runs.iter().map(|run| run.size + GROUP_OVERHEAD).sum();
        let mut out = Vec::with_capacity(total);
        let of_resource = runs.chunk_by(|a, b| a.group.number == b.group.number);
        for runs in of_resource {
            let Some(first) = runs.first() else {
                continue;
            };
            let resource = &first.group.resource;
            let scopes: usize = runs.iter().map(|run| wire::field_len(run.size)).sum();
            wire::header(1, wire::field_len(resource.len()) + scopes, &mut out);
            wire::bytes(1, resource, &mut out);
            for run in runs {
                wire::header(2, run.size, &mut out);
                if !run.group.scope.is_empty() {
                    wire::bytes(1, &run.group.scope, &mut out);
                }
                for index in run.records {
                    out.extend_from_slice(self.record(*index));
                }
            }
        }
        out
    }

    fn runs<'a>(&'a self, records: &'a [usize]) -> Vec<Run<'a>> {
        let runs = records.chunk_by(|a, b| self.group(*a) == self.group(*b));
        let run = |records: &'a [usize]| {
            let group = self.groups.get(self.group(*records.first()?))?;
            let scope = match group.scope.len() {
                0 => 0,
                length => wire::field_len(length),
            };
            let sizes = records.iter().map(|index| self.record(*index).len());
            let size = scope + sizes.sum::<usize>();
            Some(Run {
                group,
                records,
                size,
            })
        };
        runs.filter_map(run).collect()
    }

    /// The resource, then the scope, then the place in the batch.
    fn order(&self, index: usize) -> (usize, usize, usize) {
        let group = self.group(index);
        let resource = self.groups.get(group).map_or(0, |group| group.number);
        (resource, group, index)
    }

    fn group(&self, index: usize) -> usize {
        self.records.get(index).map_or(0, |record| record.group)
    }

    fn record(&self, index: usize) -> &[u8] {
        let place = self.records.get(index).map(|record| record.place.clone());
        place
            .and_then(|place| self.bytes.get(place))
            .unwrap_or_default()
    }

    fn header(&self, group: usize) -> usize {
        let group = self.groups.get(group);
        group.map_or(0, |group| {
            group.resource.len() + group.scope.len() + GROUP_OVERHEAD
        })
    }
}
