//! Brings the records of listeners to the sink, on this node or on the leader.
//!
//! Most clients here are told nothing, so the node does for them what others do
//! for themselves: while records are not taken they wait, and nothing more is read
//! of their connection; and what was offered without a known outcome is offered
//! again.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::batch::{Contents, Decode};
use super::gather::Gatherer;
use super::log::Seldom;
use super::parts::{PART_RECORDS, Parts};
use crate::http::Problem;
use crate::http::ingest::{Delivered, Ingest, Offer, Relay};
use crate::once::Once;
use crate::peer::delivered::{Refused, refusals};
use crate::stream::{Route, Stream};
use sluice_delivery::{Intake, Producer};
use sluice_protocols::memory_budget::{MemoryBudget, Reservation};
use sluice_types::record::LogRecord;

/// How often it is looked whether there is room.
const ROOM_POLL: Duration = Duration::from_millis(10);
/// The waits between two attempts double from the first to the last.
const FIRST_WAIT: Duration = Duration::from_millis(20);
const LAST_WAIT: Duration = Duration::from_secs(1);

/// Where all listeners of a node deliver.
#[derive(Debug)]
pub(crate) struct Outlet {
    ingest: Arc<Ingest>,
    to_leader: Gatherer,
    waits: Seldom,
}

/// Records that are to be delivered.
#[derive(Debug)]
pub(super) struct Parcel<'a> {
    pub(super) records: Vec<LogRecord>,
    /// What they take, until they wait in the queue.
    pub(super) reservation: Reservation,
    /// Makes them again.
    pub(super) again: Again<'a>,
}

/// How records are made that are to be offered again.
pub(super) enum Again<'a> {
    Decoded(&'a Arc<Decode>, &'a Bytes),
    Kept(Vec<LogRecord>),
}

impl std::fmt::Debug for Again<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Decoded(..) => "Decoded",
            Self::Kept(_) => "Kept",
        })
    }
}

/// What became of an attempt.
enum Attempt {
    /// All is settled but these.
    Settled(Vec<usize>),
    /// Nothing was taken, or perhaps it was and is offered again.
    Again(String),
}

/// Which records of a parcel are offered.
struct Wanted {
    start: usize,
    /// Places behind the start.
    places: Vec<usize>,
}

impl Outlet {
    pub(crate) fn new(ingest: Arc<Ingest>, relay: Arc<Relay>) -> Self {
        let limit = ingest.limits.request;
        Self {
            to_leader: Gatherer::start(relay, Arc::clone(ingest.memory()), limit),
            ingest,
            waits: Seldom::default(),
        }
    }

    /// For what is read and decoded.
    pub(super) fn memory(&self) -> &Arc<MemoryBudget> {
        self.ingest.memory()
    }

    /// What clients sent lately.
    pub(super) fn once(&self) -> &Arc<Once> {
        self.ingest.once()
    }

    /// The most bytes of a message.
    pub(super) fn message_bytes(&self) -> usize {
        self.ingest.limits.body
    }

    /// Counts what could not be decoded.
    pub(super) fn count_rejected(&self, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.stream().metrics.rejected.inc_by(count);
    }

    fn stream(&self) -> &Arc<Stream> {
        self.ingest.stream()
    }

    /// Decodes a batch. While there is no memory for it, it waits.
    ///
    /// # Errors
    /// There can never be enough memory, or it is of another protocol.
    pub(super) async fn decode(
        &self,
        body: &Bytes,
        decode: &Arc<Decode>,
    ) -> Result<(Contents, Reservation), String> {
        let mut wait = FIRST_WAIT;
        loop {
            let deadline = pin!(sleep(self.ingest.limits.request));
            let decoded = self.ingest.decode(body.clone(), deadline, {
                let decode = Arc::clone(decode);
                move |body, meter| decode(&body, meter)
            });
            match decoded.await {
                Ok(decoded) => return Ok(decoded),
                Err(Problem::Full | Problem::Unavailable(_)) => {}
                Err(problem) => return Err(problem.text().into_owned()),
            }
            self.pause(&mut wait).await;
        }
    }

    /// Delivers the records, and returns when every one is acknowledged or
    /// refused for good and kept. It tries until this future is dropped.
    pub(super) async fn deliver(&self, parcel: Parcel<'_>) {
        let Parcel {
            records,
            reservation,
            again,
        } = parcel;
        let most = self.ingest.limits.records.min(PART_RECORDS);
        // What was decoded stays charged until the last part waits in the queue.
        let mut reservation = Some(reservation);
        let mut start = 0;
        let mut parts = Parts::new(records, most).peekable();
        while let Some(part) = parts.next() {
            let next = start + part.len();
            let wanted = Wanted {
                start,
                places: (0..part.len()).collect(),
            };
            let charged = match parts.peek() {
                None => reservation.take(),
                Some(_) => None,
            };
            let charged = charged.unwrap_or_else(|| self.memory().reserve());
            self.settle(wanted, part, charged, &again).await;
            start = next;
        }
    }

    /// Offers a part until it is settled.
    async fn settle(
        &self,
        mut wanted: Wanted,
        part: Vec<LogRecord>,
        charged: Reservation,
        again: &Again<'_>,
    ) {
        let mut wait = FIRST_WAIT;
        let mut offered = Some((part, charged));
        loop {
            let (records, charged) = match offered.take() {
                Some(offered) => offered,
                None => self.make_again(&wanted, again).await,
            };
            let why = match self.attempt(records, charged).await {
                Attempt::Settled(left) if left.is_empty() => return,
                Attempt::Settled(left) => {
                    wanted.keep(&left);
                    wait = LAST_WAIT;
                    "records that the sink refused cannot be kept as dead letters".to_owned()
                }
                Attempt::Again(why) => why,
            };
            if let Some(skipped) = self.waits.passes() {
                tracing::warn!(why, skipped, "records of a listener wait");
            }
            self.pause(&mut wait).await;
        }
    }

    async fn make_again(
        &self,
        wanted: &Wanted,
        again: &Again<'_>,
    ) -> (Vec<LogRecord>, Reservation) {
        match again {
            Again::Kept(records) => (wanted.of(records.iter().cloned()), self.memory().reserve()),
            Again::Decoded(decode, body) => {
                let mut wait = FIRST_WAIT;
                loop {
                    if let Ok((contents, charged)) = self.decode(body, decode).await {
                        let records = contents.records.decoded.records;
                        return (wanted.of(records.into_iter()), charged);
                    }
                    self.pause(&mut wait).await;
                }
            }
        }
    }

    /// Offers the records once, to whom leads.
    async fn attempt(&self, records: Vec<LogRecord>, charged: Reservation) -> Attempt {
        let end = Instant::now() + self.ingest.limits.request;
        let route = self.stream().route.borrow().clone();
        let delivered = match route {
            Route::Local(intake) => {
                if !self.wait_for_room(&intake, &records, end).await {
                    return Attempt::Again("the queue is full".to_owned());
                }
                let deadline = pin!(sleep_until(end));
                let offer = Offer {
                    stream: self.stream(),
                    intake: &intake,
                    producer: Producer::CannotBeTold,
                    records,
                    reservation: charged,
                };
                let delivered = self.ingest.deliver(offer, deadline, || None).await;
                delivered.map(|settled| refusals(&settled.rejected))
            }
            Route::Leader(leader) => match self.to_leader.deliver(leader, records).await {
                Ok(Delivered::Settled(refused)) => Ok(refused),
                Ok(Delivered::NotTaken(why)) => return Attempt::Again(why),
                Err(problem) => Err(problem),
            },
            Route::Unknown => return Attempt::Again("no leader is known at the moment".to_owned()),
            Route::Stopping => return Attempt::Again("this node is stopping".to_owned()),
        };
        match delivered {
            Ok(refused) => Attempt::Settled(not_kept(&refused)),
            Err(problem) => {
                self.ingest.count(self.stream(), &problem);
                Attempt::Again(problem.text().into_owned())
            }
        }
    }

    /// Waits until the records find room; `false` if they do not in time, or if
    /// another node leads.
    async fn wait_for_room(&self, intake: &Intake, records: &[LogRecord], end: Instant) -> bool {
        let bytes = records.iter().map(LogRecord::size).sum();
        let mut route = self.stream().route.clone();
        route.mark_unchanged();
        while !intake.has_room(records.len(), bytes) {
            if Instant::now() >= end || timeout(ROOM_POLL, route.changed()).await.is_ok() {
                return false;
            }
        }
        true
    }

    /// Waits longer each time, and less if the leader changes.
    async fn pause(&self, wait: &mut Duration) {
        let mut route = self.stream().route.clone();
        route.mark_unchanged();
        drop(timeout(*wait, route.changed()).await);
        *wait = (2 * *wait).min(LAST_WAIT);
    }
}

impl Wanted {
    /// Only these of those that were offered are left.
    fn keep(&mut self, left: &[usize]) {
        let places = left.iter().filter_map(|place| self.places.get(*place));
        self.places = places.copied().collect();
    }

    fn of(&self, records: impl Iterator<Item = LogRecord>) -> Vec<LogRecord> {
        let mut places = self.places.iter().peekable();
        let behind = records.skip(self.start).enumerate();
        behind
            .filter(|(place, _)| places.next_if(|wanted| *wanted == place).is_some())
            .map(|(_, record)| record)
            .collect()
    }
}

/// The places of refused records that are not kept as dead letters.
fn not_kept(refused: &[Refused]) -> Vec<usize> {
    let lost = refused.iter().filter(|refused| !refused.is_kept);
    lost.map(|refused| refused.index).collect()
}
