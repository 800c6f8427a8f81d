//! Messages with ids that their client may have sent before.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;

use super::batch::Contents;
use super::protocol::Protocol;
use crate::once::{Delivery, Joined, Once, Turn};
use sluice_delivery::{Recalled, RequestId};
use sluice_protocols::repeats::Outcome;

/// What is to be done about the messages of a batch besides delivering it.
#[derive(Debug, Default)]
pub(super) struct Turns {
    deliveries: Vec<Delivery>,
    joined: Vec<Joined>,
    /// What the journal keeps of what is to be delivered.
    pub(super) ids: Vec<RequestId>,
    /// Whether records were taken out, because they are delivered already or by
    /// somebody else.
    pub(super) has_repeats: bool,
}

impl Turns {
    /// Takes out of a batch what was sent before, to this node or, if that was recalled,
    /// to an earlier leader.
    pub(super) fn begin(
        (once, recalled): (&Arc<Once>, Option<&Recalled>),
        (client, stream): (Option<IpAddr>, &str),
        protocol: Protocol,
        body: &Bytes,
        contents: &mut Contents,
    ) -> Self {
        let mut turns = Self::default();
        let mut repeated = Vec::new();
        for named in std::mem::take(&mut contents.named) {
            let bytes = body.get(named.bytes).unwrap_or_default();
            let begin = |recalled| {
                let place = (stream, protocol.name());
                once.begin_id(client, place, (&named.id, bytes), recalled)
            };
            let own = turns.deliveries.len();
            let mut is_new = turns.add(begin(None), false);
            if is_new && recalled.is_some() {
                let turn = begin(recalled);
                let is_acknowledged = matches!(turn, Some(Turn::Acknowledged));
                is_new = turns.add(turn, true);
                if !is_new {
                    turns.take_back(own, is_acknowledged);
                }
            }
            if !is_new {
                repeated.push(named.records);
            }
        }
        turns.has_repeats = !repeated.is_empty();
        if turns.has_repeats {
            let mut repeated = repeated.into_iter().peekable();
            let mut place = 0;
            contents.records.decoded.records.retain(|_| {
                while repeated.next_if(|range| range.end <= place).is_some() {}
                let is_new = repeated.peek().is_none_or(|range| !range.contains(&place));
                place += 1;
                is_new
            });
        }
        turns
    }

    /// Notes what is to be done; false if it is not to be delivered now.
    fn add(&mut self, turn: Option<Turn>, is_shared: bool) -> bool {
        match turn {
            None => return true,
            Some(Turn::Deliver(delivery)) => {
                if is_shared {
                    self.ids.extend(delivery.id());
                }
                self.deliveries.push(delivery);
                return true;
            }
            Some(Turn::Join(joined)) => self.joined.push(joined),
            Some(Turn::Acknowledged) => {}
        }
        false
    }

    /// Settles the deliveries from this one on, whose records are not in the batch after
    /// all.
    fn take_back(&mut self, own: usize, is_acknowledged: bool) {
        for delivery in self.deliveries.drain(own..) {
            delivery.settle(match is_acknowledged {
                true => Outcome::Acknowledged,
                false => Outcome::NotTaken,
            });
        }
    }

    /// Says that the batch is delivered, and waits for what others deliver. False if
    /// any of that was not acknowledged.
    pub(super) async fn settle(self) -> bool {
        for delivery in self.deliveries {
            delivery.settle(Outcome::Acknowledged);
        }
        for joined in self.joined {
            if joined.outcome().await != Outcome::Acknowledged {
                return false;
            }
        }
        true
    }
}
