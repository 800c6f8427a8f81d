//! What a host does with the answers of a sink.

use std::collections::VecDeque;

use super::running::Running;
use crate::native_source::Source;
use crate::{Batch, Delivery, Failure, LogRecord, Sink};

/// What came of the records of a batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Delivered {
    /// The indices of the records that were acknowledged.
    pub acknowledged: Vec<usize>,
    /// The indices of the records that were refused for good, and why.
    pub rejected: Vec<(usize, String)>,
    /// The indices of the records that still wait after all attempts.
    pub waiting: Vec<usize>,
    /// How often the sink was called.
    pub writes: usize,
}

/// Records that are offered together.
struct Piece {
    records: Vec<(usize, LogRecord)>,
    attempt: u32,
}

/// Offers a batch as a node does, with up to `writes` calls: what the sink refuses
/// for now comes again by itself, without the waits, and a batch that it refuses for
/// good comes again in halves, down to single records.
///
/// # Panics
/// The sink breaks the contract, or says that it is fenced.
#[must_use]
pub fn deliver<S: Sink>(sink: &mut Running<S>, batch: &Batch, writes: usize) -> Delivered {
    let mut delivered = Delivered::default();
    let records = batch.records().into_iter().enumerate().collect();
    let mut pieces = VecDeque::from([Piece {
        records,
        attempt: 1,
    }]);
    while delivered.writes < writes {
        let Some(piece) = pieces.pop_front() else {
            break;
        };
        delivered.writes += 1;
        offer(sink, piece, &mut pieces, &mut delivered);
    }
    let left = pieces.into_iter().flat_map(|piece| piece.records);
    delivered.waiting.extend(left.map(|(index, _)| index));
    delivered.acknowledged.sort_unstable();
    delivered.rejected.sort();
    delivered.waiting.sort_unstable();
    delivered
}

fn offer<S: Sink>(
    sink: &mut Running<S>,
    piece: Piece,
    pieces: &mut VecDeque<Piece>,
    delivered: &mut Delivered,
) {
    let Piece {
        mut records,
        attempt,
    } = piece;
    let offered = records.iter().map(|(_, record)| record.clone()).collect();
    let delivery = Delivery { epoch: 1, attempt };
    let again = |records| Piece {
        records,
        attempt: attempt + 1,
    };
    match sink.write_as(&Source::new(offered).into(), delivery) {
        Ok(refusals) => {
            let mut later = Vec::new();
            let list = refusals.into_list();
            for (place, record) in records.into_iter().enumerate() {
                let refusal = list.iter().find(|r| r.index as usize == place);
                match refusal.map(|refusal| &refusal.failure) {
                    None => delivered.acknowledged.push(record.0),
                    Some(Failure::Retryable(_)) => later.push(record),
                    Some(other) => {
                        let reason = other.reason().to_owned();
                        delivered.rejected.push((record.0, reason));
                    }
                }
            }
            if !later.is_empty() {
                pieces.push_front(again(later));
            }
        }
        Err(Failure::Retryable(_)) => pieces.push_front(again(records)),
        Err(Failure::Permanent(reason)) if records.len() == 1 => {
            let refused = records.into_iter();
            let refused = refused.map(|(index, _)| (index, reason.clone()));
            delivered.rejected.extend(refused);
        }
        Err(Failure::Permanent(_)) => {
            let rest = records.split_off(records.len().div_ceil(2));
            pieces.push_front(again(rest));
            pieces.push_front(again(records));
        }
        Err(Failure::Fenced(reason)) => unreachable!("the sink is fenced: {reason}"),
    }
}
