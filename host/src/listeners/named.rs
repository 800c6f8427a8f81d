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

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::super::batch::Named;
    use super::*;
    use crate::once::Remembered;
    use sluice_types::record::LogRecord;

    const CLIENT: Option<IpAddr> = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    const STREAM: &str = "default";
    const CHUNK: &[u8] = b"chunk-1";
    const CONTENT: &[u8] = b"content";

    /// A chunk with an id and one record, as it arrives on a connection.
    fn chunk() -> Contents {
        let mut contents = Contents::default();
        contents.records.decoded.records = vec![LogRecord::default()];
        contents.named = vec![Named {
            id: Bytes::from_static(CHUNK),
            bytes: 0..CONTENT.len(),
            records: 0..1,
        }];
        contents
    }

    fn begin(once: &Arc<Once>, recalled: &Recalled) -> (Turns, usize) {
        let mut contents = chunk();
        let turns = Turns::begin(
            (once, Some(recalled)),
            (CLIENT, STREAM),
            Protocol::Forward,
            &Bytes::from_static(CONTENT),
            &mut contents,
        );
        (turns, contents.records.decoded.records.len())
    }

    #[tokio::test]
    async fn a_chunk_is_not_acknowledged_for_one_that_it_joined_and_that_failed() {
        let window = Duration::from_secs(60);
        let once = Once::new(Remembered { count: 9, window });
        let recalled = Recalled::new([7; 16], Vec::new());
        // Another connection has it under way, by the id that all nodes know.
        let place = (STREAM, Protocol::Forward.name());
        let other = once.begin_id(CLIENT, place, (CHUNK, CONTENT), Some(&recalled));
        let Some(Turn::Deliver(other)) = other else {
            panic!("{other:?}");
        };
        let (joined, left) = begin(&once, &recalled);
        assert_eq!(left, 0, "the other connection delivers it");
        drop(other);
        assert!(!joined.settle().await, "nobody knows how the other ended");

        let (turns, left) = begin(&once, &recalled);
        assert_eq!((left, turns.ids.len()), (1, 1), "it is delivered again");
        assert!(turns.settle().await);
        let (turns, left) = begin(&once, &recalled);
        assert_eq!(left, 0, "it is acknowledged now");
        assert!(turns.settle().await);
    }
}
