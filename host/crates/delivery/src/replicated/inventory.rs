//! What a log holds, for people.

use std::ops::Range;

use super::envelope::Kind;
use super::log::{Log, LogError, Stored};
use super::payload;

/// About how many bytes are read at once.
const READ_BYTES: usize = 1 << 20;

/// What a log holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogInventory {
    /// The messages that are there.
    pub messages: u64,
    /// The size of the log.
    pub bytes: u64,
    /// The records in them.
    pub records: u64,
    /// Of these, those that are still to be delivered, as far as the last message
    /// knows.
    pub to_deliver: u64,
    /// The terms that they belong to.
    pub terms: u64,
    /// The epoch of the last message.
    pub epoch: u64,
    /// Messages that should be there.
    pub missing: u64,
    /// Messages that cannot be read, or out of order.
    pub damaged: Vec<u64>,
}

impl LogInventory {
    /// Reads a log from the first to the last message, and changes nothing. While a
    /// leader writes, this sees it up to some moment.
    ///
    /// # Errors
    /// The log cannot be read.
    pub async fn read(log: &dyn Log) -> Result<Self, LogError> {
        let state = log.state().await?;
        let mut found = Self {
            bytes: state.bytes,
            ..Self::default()
        };
        let mut term = None;
        let mut parts = Vec::new();
        let mut gaps = Vec::new();
        let mut next = state.first.max(1);
        while next <= state.last {
            let messages = batch(log, next).await?;
            if messages.is_empty() {
                gaps.push(next..next + 1);
                next += 1;
                continue;
            }
            for message in messages {
                if message.sequence > next {
                    gaps.push(next..message.sequence);
                }
                next = message.sequence + 1;
                found.messages += 1;
                let Some((envelope, frames)) = message.envelope.zip(message.frames()) else {
                    found.damaged.push(message.sequence);
                    continue;
                };
                if term != Some(envelope.term) {
                    let is_begun = envelope.kind == Kind::Barrier || term.is_none();
                    let is_later = envelope.term.epoch >= found.epoch;
                    if !is_begun || !is_later {
                        found.damaged.push(message.sequence);
                    }
                    found.terms += 1;
                    term = Some(envelope.term);
                    parts.clear();
                }
                found.epoch = envelope.term.epoch;
                found.to_deliver = envelope.records.saturating_sub(envelope.settled.records);
                let whole = match envelope.part {
                    None => frames,
                    Some(part) => {
                        parts.extend_from_slice(&frames);
                        if part.number < part.count {
                            continue;
                        }
                        std::mem::take(&mut parts).into()
                    }
                };
                match payload::records(whole) {
                    Some(records) => found.records += crate::counting::to_u64(records.len()),
                    None => found.damaged.push(message.sequence),
                }
            }
        }
        found.missing = missing(log, gaps).await?;
        Ok(found)
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.missing == 0 && self.damaged.is_empty()
    }
}

/// Messages from this one on, or from a later one.
async fn batch(log: &dyn Log, from: u64) -> Result<Vec<Stored>, LogError> {
    let mut messages = log.read(from, READ_BYTES).await?;
    if messages.is_empty() {
        messages.extend(log.get(from).await?);
    }
    Ok(messages)
}

/// How many messages are missing in these gaps. A leader may have removed some since they
/// were read.
async fn missing(log: &dyn Log, gaps: Vec<Range<u64>>) -> Result<u64, LogError> {
    if gaps.is_empty() {
        return Ok(0);
    }
    let first = log.state().await?.first;
    let missing = |gap: Range<u64>| gap.end.saturating_sub(gap.start.max(first));
    Ok(gaps.into_iter().map(missing).sum())
}
