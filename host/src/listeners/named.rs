//! Messages with ids that their client may have sent before.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;

use super::batch::Contents;
use super::protocol::Protocol;
use crate::once::{Delivery, Joined, Once, Turn};
use sluice_protocols::repeats::Outcome;

/// What is to be done about the messages of a batch besides delivering it.
#[derive(Debug, Default)]
pub(super) struct Turns {
    deliveries: Vec<Delivery>,
    joined: Vec<Joined>,
    /// Whether records were taken out, because they are delivered already or by
    /// somebody else.
    pub(super) has_repeats: bool,
}

impl Turns {
    /// Takes out of a batch what was sent before.
    pub(super) fn begin(
        once: &Arc<Once>,
        (client, stream): (Option<IpAddr>, &str),
        protocol: Protocol,
        body: &Bytes,
        contents: &mut Contents,
    ) -> Self {
        let mut turns = Self::default();
        let mut repeated = Vec::new();
        for named in std::mem::take(&mut contents.named) {
            let bytes = body.get(named.bytes).unwrap_or_default();
            let turn = once.begin_id(client, (stream, protocol.name()), &named.id, bytes);
            match turn {
                None => {}
                Some(Turn::Deliver(delivery)) => turns.deliveries.push(delivery),
                Some(Turn::Join(joined)) => {
                    turns.joined.push(joined);
                    repeated.push(named.records);
                }
                Some(Turn::Acknowledged) => repeated.push(named.records),
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
