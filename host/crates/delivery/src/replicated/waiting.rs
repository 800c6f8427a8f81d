//! Requests that wait to be stored.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::envelope::Part;
use super::group::Group;
use super::id_log::RequestId;
use super::payload::{self, ID_BYTES};
use crate::counting::to_u64;
use crate::held::Held;
use crate::journal::PendingAcknowledgement;
use crate::queue_budget::{NoRoom, QueueShare};

/// The most records of a group.
const GROUP_RECORDS: usize = 1 << 15;

/// Requests in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// By their tickets.
    entries: BTreeMap<u64, Entry>,
    next_ticket: u64,
    held: Held,
}

#[derive(Debug)]
struct Entry {
    /// What is still to be stored.
    frames: Bytes,
    records: usize,
    is_touched: bool,
    cutting: Option<Cutting>,
    /// What it is known by; they are stored with the last of it.
    ids: Vec<RequestId>,
    acknowledgement: PendingAcknowledgement,
}

/// A frame that is stored in parts.
#[derive(Clone, Copy, Debug)]
struct Cutting {
    next: Part,
    /// The size of each part but the last.
    step: usize,
    /// What is left of the frame.
    rest: usize,
}

impl Waiting {
    /// Nothing yet; what waits counts in this share.
    pub(super) fn in_share(share: Arc<QueueShare>) -> Self {
        Self {
            held: Held::in_share(share),
            ..Self::default()
        }
    }

    pub(super) const fn bytes(&self) -> usize {
        self.held.bytes()
    }

    /// The number of requests.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether the share has room for so many bytes.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.held.has_room(bytes)
    }

    /// Counts the bytes of a request that is added next, if the share has room for them.
    pub(super) fn try_hold(&mut self, bytes: usize) -> Result<(), NoRoom> {
        self.held.try_add(bytes)
    }

    /// Counts the bytes of a request that is added next.
    pub(super) fn hold(&mut self, bytes: usize) {
        self.held.add(bytes);
    }

    /// Adds a request whose bytes are counted, and returns its ticket.
    pub(super) fn push(
        &mut self,
        frames: Bytes,
        ids: Vec<RequestId>,
        acknowledgement: PendingAcknowledgement,
    ) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let entry = Entry {
            frames,
            records: acknowledgement.completion.len(),
            is_touched: false,
            cutting: None,
            ids,
            acknowledgement,
        };
        self.entries.insert(ticket, entry);
        ticket
    }

    /// Removes the request with this ticket, if none of it was taken.
    pub(super) fn withdraw(&mut self, ticket: u64) -> Option<PendingAcknowledgement> {
        let is_whole = self.entries.get(&ticket).is_some_and(|it| !it.is_touched);
        let entry = is_whole.then(|| self.entries.remove(&ticket)).flatten()?;
        Some(self.removed(entry))
    }

    /// Removes the request of which a part was taken, if there is one.
    pub(super) fn take_touched(&mut self) -> Option<PendingAcknowledgement> {
        let first = self.entries.first_entry()?;
        let entry = first.get().is_touched.then(|| first.remove())?;
        Some(self.removed(entry))
    }

    fn removed(&mut self, entry: Entry) -> PendingAcknowledgement {
        self.held.release(entry.frames.len() + entry.id_bytes());
        entry.acknowledgement
    }

    /// Takes everything out: what was not touched, and what is stored in part.
    pub(super) fn clear(&mut self) -> Vec<(PendingAcknowledgement, bool)> {
        self.held.release(self.held.bytes());
        let entries = std::mem::take(&mut self.entries).into_values();
        entries
            .map(|entry| (entry.acknowledgement, entry.is_touched))
            .collect()
    }

    /// Takes what comes next, of at most so many bytes; `None` if nothing waits.
    pub(super) fn take(&mut self, limit: usize) -> Option<Group> {
        let mut first = self.entries.first_entry()?;
        let first = first.get_mut();
        // Many ids of one request must leave room for its records.
        let surplus = first.ids.len().saturating_sub(limit / (2 * ID_BYTES));
        first.ids.drain(..surplus);
        self.held.release(surplus * ID_BYTES);
        if first.is_in_parts(limit - first.id_bytes()) {
            return self.take_part(limit);
        }
        let mut group = Group {
            payload: Bytes::new(),
            records: 0,
            part: None,
            ids: Vec::new(),
            acknowledgements: Vec::new(),
        };
        let mut payload = Vec::with_capacity(self.bytes().min(limit));
        let mut records = 0;
        while let Some(mut first) = self.entries.first_entry() {
            let entry = first.get_mut();
            let used = payload.len() + group.ids.len() * ID_BYTES;
            let own = limit.saturating_sub(entry.id_bytes());
            let room = own.saturating_sub(used);
            let (length, count) = match entry.frames.len() <= room {
                true if entry.records <= GROUP_RECORDS - records => {
                    (entry.frames.len(), entry.records)
                }
                _ => payload::whole_frames(&entry.frames, room, GROUP_RECORDS - records),
            };
            // A request is cut only if it does not fit into a message of its own.
            let is_whole = length == entry.frames.len();
            if (length == 0 && !is_whole) || (!is_whole && records > 0 && entry.frames.len() <= own)
            {
                break;
            }
            payload.extend_from_slice(&entry.frames.split_to(length));
            records += count;
            entry.records -= count;
            entry.is_touched = true;
            if !is_whole {
                break;
            }
            let mut entry = first.remove();
            group.ids.append(&mut entry.ids);
            group.acknowledgements.push(entry.acknowledgement);
        }
        payload.extend_from_slice(group.ids.as_flattened());
        self.held.release(payload.len());
        group.payload = payload.into();
        group.records = to_u64(records);
        Some(group)
    }

    /// Takes the next part of the first record, which does not fit into one
    /// message.
    fn take_part(&mut self, limit: usize) -> Option<Group> {
        let mut first = self.entries.first_entry()?;
        let entry = first.get_mut();
        let cutting = match entry.cutting.take() {
            Some(cutting) => cutting,
            None => Cutting::begin(&entry.frames, limit - entry.id_bytes())?,
        };
        entry.is_touched = true;
        let mut payload = entry.frames.split_to(cutting.rest.min(cutting.step));
        let is_last = cutting.rest <= cutting.step;
        entry.cutting = (!is_last).then(|| cutting.after_next());
        entry.records -= usize::from(is_last);
        let is_through = entry.frames.is_empty();
        let stored = is_through.then(|| first.remove());
        let (ids, acknowledgement) = stored
            .map(|entry| (entry.ids, entry.acknowledgement))
            .unzip();
        let ids = ids.unwrap_or_default();
        if !ids.is_empty() {
            payload = [&payload[..], ids.as_flattened()].concat().into();
        }
        self.held.release(payload.len());
        Some(Group {
            payload,
            records: u64::from(is_last),
            part: Some(cutting.next),
            ids,
            acknowledgements: acknowledgement.into_iter().collect(),
        })
    }
}

impl Entry {
    fn id_bytes(&self) -> usize {
        self.ids.len() * ID_BYTES
    }

    /// Whether its next frame is stored in parts of this size.
    fn is_in_parts(&self, limit: usize) -> bool {
        let does_fit = || payload::frame_length(&self.frames, 0).is_none_or(|whole| whole <= limit);
        self.cutting.is_some() || (self.frames.len() > limit && !does_fit())
    }
}

impl Cutting {
    fn begin(frames: &[u8], step: usize) -> Option<Self> {
        let rest = payload::frame_length(frames, 0)?.min(frames.len());
        let count = u32::try_from(rest.div_ceil(step)).ok()?;
        Some(Self {
            next: Part { number: 1, count },
            step,
            rest,
        })
    }

    const fn after_next(mut self) -> Self {
        self.next.number += 1;
        self.rest -= self.step;
        self
    }
}
