//! Brings the records of listeners to their stream's sink, on this node or on the leader.
//!
//! Most clients here are told nothing, so the node does for them what others do
//! for themselves: while records are not taken they wait, and nothing more is read
//! of their connection; and what was offered without a known outcome is offered
//! again.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep, timeout};

use super::batch::{Contents, Decode};
use super::gather::Gatherer;
use super::log::Seldom;
use super::parcel::{Again, Parcel, Whose};
use super::parts::{PART_RECORDS, Parts};
use super::settled::{another_leads, counted};
use super::wanted::Wanted;
use crate::http::Problem;
use crate::http::ingest::{Charge, Delivered, Ingest, Offer};
use crate::once::Once;
use crate::peer::delivered::refusals;
use crate::stream::{Route, Stream};
use sluice_access::Access;
use sluice_delivery::{Intake, Producer, RequestId};
use sluice_protocols::memory_budget::{MemoryBudget, Reservation};
use sluice_types::documents::LeaderAddress;
use sluice_types::record::LogRecord;

/// Longer than any tenure waits for its sink.
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 3600);
/// Why records of a client wait.
const ABOVE_QUOTA: &str = "the client has sent more than its quota";
/// How often it is looked whether there is room.
const ROOM_POLL: Duration = Duration::from_millis(10);
/// The waits between two attempts double from the first to the last.
const FIRST_WAIT: Duration = Duration::from_millis(20);
const LAST_WAIT: Duration = Duration::from_secs(1);

/// Where all listeners of a node for one stream deliver. The stream is looked up by its
/// name each time: it may come later, go, and come back.
#[derive(Debug)]
pub(super) struct Outlet {
    pub(super) stream: Arc<str>,
    pub(super) ingest: Arc<Ingest>,
    pub(super) to_leader: Gatherer,
    /// For what is read and not decoded. What holds it waits for other memory, so
    /// it must not be the same.
    pub(super) unread: Arc<MemoryBudget>,
    pub(super) waits: Seldom,
}

/// What became of an attempt.
enum Attempt {
    /// All is settled but these.
    Settled(Vec<usize>),
    /// Nothing was taken, or perhaps it was and is offered again.
    Again(String),
}

/// What became of records that were offered.
#[derive(Default)]
struct Offered {
    /// How many of the first are settled.
    settled: usize,
    /// Of the part behind them, the places of records that were refused and are not
    /// kept, if that ended it.
    left: Option<Vec<usize>>,
    /// How many records that part has.
    of_left: usize,
}

impl Outlet {
    /// For what is read.
    pub(super) const fn unread(&self) -> &Arc<MemoryBudget> {
        &self.unread
    }

    /// For what is decoded.
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

    /// Who may do what here.
    pub(super) fn access(&self) -> &Access {
        self.ingest.access()
    }

    /// The name of the stream that records are for.
    pub(super) fn stream_name(&self) -> &str {
        &self.stream
    }

    /// The stream, if it is there.
    pub(super) fn stream(&self) -> Option<Arc<Stream>> {
        self.ingest.streams().get(&self.stream)
    }

    /// Decodes a batch. While there is no memory for it, it waits.
    ///
    /// # Errors
    /// There can never be enough memory, or it is of another protocol.
    pub(super) async fn decode(
        &self,
        body: &Bytes,
        decode: &Arc<Decode>,
    ) -> Result<(Contents, Reservation), Problem> {
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
                Err(problem) => return Err(problem),
            }
            self.pause(&mut wait).await;
        }
    }

    /// Delivers the records, and returns when every one is acknowledged or
    /// refused for good and kept. It tries until this future is dropped.
    pub(super) async fn deliver(&self, parcel: Parcel<'_>) {
        let Parcel {
            whose,
            ids,
            records,
            reservation,
            again,
        } = parcel;
        let (total, mut done) = (records.len(), 0);
        let mut made = Some((records, reservation));
        let mut wait = FIRST_WAIT;
        while done < total {
            let (records, reservation) = match made.take() {
                Some(made) => made,
                None => self.make_again(&Wanted::all_from(done), &again).await,
            };
            let offered = self.offer((&ids, records), reservation, whose).await;
            done += offered.settled;
            if offered.settled > 0 {
                wait = FIRST_WAIT;
            }
            if let Some(left) = offered.left {
                self.settle_left(
                    Wanted {
                        start: done,
                        places: Some(left),
                    },
                    &again,
                    whose,
                )
                .await;
                done += offered.of_left;
            } else if done < total {
                self.pause(&mut wait).await;
            }
        }
    }

    /// Offers the records part by part until one is not settled. What they take is
    /// given back then: who waits for memory must hold none. The last part has the ids:
    /// all before it are settled then.
    async fn offer(
        &self,
        (ids, records): (&[RequestId], Vec<LogRecord>),
        reservation: Reservation,
        whose: Whose<'_>,
    ) -> Offered {
        let most = self.ingest.limits.records.min(PART_RECORDS);
        let mut reservation = Some(reservation);
        let mut offered = Offered::default();
        let mut parts = Parts::new(records, most).peekable();
        while let Some(part) = parts.next() {
            let count = part.len();
            let (charged, ids) = match parts.peek() {
                // What was decoded stays charged until the last part waits in the
                // queue.
                None => (reservation.take(), ids),
                Some(_) => (None, &[][..]),
            };
            let charged = charged.unwrap_or_else(|| self.memory().reserve());
            match self.attempt((ids, part), charged, whose).await {
                Attempt::Settled(left) if left.is_empty() => offered.settled += count,
                Attempt::Settled(left) => {
                    (offered.left, offered.of_left) = (Some(left), count);
                    return offered;
                }
                Attempt::Again(why) => {
                    self.warn(&why);
                    return offered;
                }
            }
        }
        offered
    }

    /// Offers records again that the sink refused and that could not be kept.
    async fn settle_left(&self, mut wanted: Wanted, again: &Again<'_>, whose: Whose<'_>) {
        loop {
            self.warn("records that the sink refused cannot be kept as dead letters");
            self.pause(&mut { LAST_WAIT }).await;
            let (records, charged) = self.make_again(&wanted, again).await;
            if let Attempt::Settled(left) = self.attempt((&[], records), charged, whose).await {
                if left.is_empty() {
                    return;
                }
                wanted.keep(&left);
            }
        }
    }

    fn warn(&self, why: &str) {
        if let Some(skipped) = self.waits.passes() {
            tracing::warn!(why, skipped, "records of a listener wait");
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
    async fn attempt(
        &self,
        (ids, records): (&[RequestId], Vec<LogRecord>),
        charged: Reservation,
        whose: Whose<'_>,
    ) -> Attempt {
        let Some(stream) = self.stream() else {
            whose.listener.no_stream.inc();
            return Attempt::Again(format!("there is no stream {:?} here", &*self.stream));
        };
        let total = records.len();
        let bytes = records.iter().map(LogRecord::size).sum();
        // Nothing that was decoded is held while the client waits.
        let Ok(charge) = Charge::begin(whose.client, bytes) else {
            return Attempt::Again(ABOVE_QUOTA.to_owned());
        };
        let end = Instant::now() + self.ingest.limits.request;
        let route = stream.route.borrow().clone();
        let delivered = match route {
            Route::Local(intake) => {
                if !wait_for_room(&stream, &intake, &records, end).await {
                    return Attempt::Again("the queue is full".to_owned());
                }
                // A part that was delivered would be delivered again.
                let deadline = pin!(sleep(FOR_EVER));
                let offer = Offer {
                    stream: &stream,
                    intake: &intake,
                    producer: Producer::CannotBeTold,
                    charge,
                    trace: None,
                    ids: ids.to_vec(),
                    records,
                    reservation: charged,
                };
                let delivered = self.ingest.deliver(offer, deadline, || None).await;
                delivered.map(|settled| refusals(&settled.rejected))
            }
            Route::Leader(leader) => {
                let delivering = self.attempt_at(&stream, leader, (records, charge), charged);
                match delivering.await {
                    Ok(Delivered::Settled(refused)) => Ok(refused),
                    Ok(Delivered::NotTaken(why)) => return Attempt::Again(why),
                    Err(problem) => Err(problem),
                }
            }
            Route::Unknown => return Attempt::Again("no leader is known at the moment".to_owned()),
            Route::Stopping => return Attempt::Again("this node is stopping".to_owned()),
        };
        match delivered {
            Ok(refused) => {
                let metrics = stream.meters.listener(whose.protocol.name());
                Attempt::Settled(counted(metrics, total, &refused))
            }
            Err(problem) => {
                self.ingest.count(&stream, &problem);
                Attempt::Again(problem.text().into_owned())
            }
        }
    }

    /// Offers the records once to the leader, which is told of them, and not of their
    /// clients.
    async fn attempt_at(
        &self,
        stream: &Stream,
        leader: LeaderAddress,
        (records, mut charge): (Vec<LogRecord>, Charge),
        charged: Reservation,
    ) -> Result<Delivered, Problem> {
        if charge.settle(&records).is_err() {
            return Ok(Delivered::NotTaken(ABOVE_QUOTA.to_owned()));
        }
        let mut route = stream.route.clone();
        route.mark_unchanged();
        let delivering = self.to_leader.deliver(leader, records, charged);
        let delivered = tokio::select! {
            delivered = delivering => delivered?,
            () = another_leads(&mut route) => {
                let why = "the leader changed, and did not answer";
                return Ok(Delivered::NotTaken(why.to_owned()));
            }
        };
        if let Delivered::Settled(_) = delivered {
            charge.keep();
        }
        Ok(delivered)
    }

    /// Waits longer each time, and less if the leader changes.
    async fn pause(&self, wait: &mut Duration) {
        let has_waited = match self.stream() {
            Some(stream) => {
                let mut route = stream.route.clone();
                route.mark_unchanged();
                let changed = timeout(*wait, route.changed()).await;
                !matches!(changed, Ok(Err(_)))
            }
            None => false,
        };
        if !has_waited {
            // There is no such stream, or it is ending.
            sleep(*wait).await;
        }
        *wait = (2 * *wait).min(LAST_WAIT);
    }
}

/// Waits until the records find room; `false` if they do not in time, or if another
/// node leads.
async fn wait_for_room(
    stream: &Stream,
    intake: &Intake,
    records: &[LogRecord],
    end: Instant,
) -> bool {
    let bytes = records.iter().map(LogRecord::size).sum();
    let mut route = stream.route.clone();
    route.mark_unchanged();
    while !intake.has_room(records.len(), bytes) {
        if Instant::now() >= end || timeout(ROOM_POLL, route.changed()).await.is_ok() {
            return false;
        }
    }
    true
}
