//! Delivery to a sink that takes several writes at a time, while no record is in
//! isolation. Whatever has to be taken apart or judged waits until all writes
//! have ended, and goes through the loop of [`Dispatcher::run`].

use tokio::time::Instant;

use super::start::{Next, Room, next};
use super::{ABANDONED_POLL_INTERVAL, Dispatcher, Ended};
use crate::active_sink::Opened;
use crate::in_flight::{Done, InFlight};
use crate::isolation::Piece;
use crate::opening::Opening;
use crate::probation::Observed;
use crate::sink_writer::SWAP_GRACE;
use sluice_types::clock::BootTime;
use sluice_types::lease::Standing;
use sluice_types::outcome::{Broken, Failure, Refusal, WriteError};
use sluice_types::retry_after::RetryAfter;

#[cfg(test)]
mod tests;

/// The writes that are under way, and what belongs to them.
struct Flight {
    /// How many writes there may be.
    places: usize,
    writes: InFlight,
    opening: Opening,
    /// Confirmed but for these refusals, and not yet acknowledged, because the
    /// lease was suspended; and [`Done::is_alone`].
    confirmed: Vec<(Piece, Vec<Refusal>, bool)>,
    /// When the writes are cancelled, because a swap waits.
    cancel_at: Option<Instant>,
}

/// What the loop learns.
enum Event {
    Ended(Done),
    Revoked,
    SwapArrived,
    GraceOver,
    Opened(Opened),
    /// The lease is valid, and something that was confirmed waits for that.
    Valid(BootTime),
    Next(Next),
    /// Nothing, for a while.
    Looked,
}

impl Flight {
    fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.confirmed.is_empty()
    }
}

impl Dispatcher {
    /// Delivers with up to `places` writes at a time. Ends when nothing is under
    /// way and records are in isolation or a swap waits, or with the reason if
    /// the tenure is over.
    pub(super) async fn deliver_beside(&mut self, places: usize) -> Option<Ended> {
        let mut flight = Flight {
            places,
            writes: InFlight::new(self.metrics.clone()),
            opening: Opening::new(),
            confirmed: Vec::new(),
            cancel_at: None,
        };
        loop {
            self.tidy(&flight);
            if self.must_land() && flight.is_empty() {
                return None;
            }
            let event = self.event(&mut flight).await;
            if let Some(ended) = self.handle(event, &mut flight) {
                self.end(flight);
                return Some(ended);
            }
        }
    }

    /// Whether nothing more may begin.
    fn must_land(&self) -> bool {
        self.writer.swaps.is_waiting()
            || self.probation.paused_until().is_some()
            || !self.isolation.is_clear()
    }

    fn tidy(&mut self, flight: &Flight) {
        self.settle_refusals();
        self.retries.drop_abandoned();
        let is_idle = flight.is_empty() && self.retries.is_empty();
        if self.stall.is_stalled() && is_idle && self.isolation.is_clear() && self.queue.is_empty()
        {
            // What failed was given up, and nothing else waits.
            self.stall.ended();
        }
    }

    async fn event(&mut self, flight: &mut Flight) -> Event {
        let room = self.room(flight);
        let is_landing = self.must_land();
        let is_watched = !self.retries.is_empty() || self.stall.is_stalled();
        let (swaps, retries) = (&mut self.writer.swaps, &self.retries);
        let (writes, opening) = (&mut flight.writes, &mut flight.opening);
        let cancel_at = flight.cancel_at.unwrap_or_else(Instant::now);
        let settle_at = self.probation.due_at();
        tokio::select! {
            biased;
            done = writes.ended() => Event::Ended(done),
            () = self.lease.revoked() => Event::Revoked,
            () = swaps.arrived(), if !swaps.is_waiting() => Event::SwapArrived,
            () = tokio::time::sleep_until(cancel_at), if flight.cancel_at.is_some() => {
                Event::GraceOver
            }
            opened = opening.ended() => Event::Opened(opened),
            Some(now) = self.lease.valid(), if !flight.confirmed.is_empty() => Event::Valid(now),
            next = next(&self.queue, &self.lease, retries, room), if !is_landing => {
                Event::Next(next)
            }
            () = tokio::time::sleep_until(settle_at.unwrap_or(cancel_at)), if settle_at.is_some() => {
                Event::Looked
            }
            () = tokio::time::sleep(ABANDONED_POLL_INTERVAL), if is_watched => Event::Looked,
        }
    }

    /// What may begin now.
    fn room(&self, flight: &Flight) -> Room {
        let Flight {
            places,
            writes,
            opening,
            confirmed,
            ..
        } = flight;
        let taken = writes.len() + self.retries.len();
        let is_open = self.writer.sink.is_open();
        let has_instance = is_open || (writes.len() < *places && !opening.is_under_way());
        let is_tried = self.retries.is_in_doubt() && writes.has_trial();
        let (pause, opens_at) = (self.retries.paused_until(), opening.not_before());
        Room {
            for_any: confirmed.is_empty() && has_instance && !is_tried,
            for_fresh: taken < *places,
            not_before: pause.max(opens_at.filter(|_| !is_open)),
            last_began: writes.last_began(),
            is_empty: taken == 0 && confirmed.is_empty(),
        }
    }

    fn handle(&mut self, event: Event, flight: &mut Flight) -> Option<Ended> {
        match event {
            Event::Ended(done) => return self.write_ended(done, flight),
            Event::Revoked => return Some(Ended::Revoked),
            Event::SwapArrived => {
                flight.cancel_at = Some(Instant::now() + SWAP_GRACE);
                flight.opening.cancel();
            }
            Event::GraceOver => self.cancel(flight),
            Event::Opened(opened) => self.opened(opened, flight),
            Event::Valid(now) => {
                let mut ended = None;
                for (piece, refusals, is_alone) in std::mem::take(&mut flight.confirmed) {
                    ended = self.acknowledge(now, piece, refusals, is_alone).or(ended);
                }
                return ended;
            }
            Event::Next(Next::Drained) => {
                let refusals = self.probation.end();
                self.reject(refusals);
                return Some(Ended::Drained);
            }
            Event::Next(Next::Again) => self.begin(flight, |this| this.retries.take()),
            Event::Next(Next::Fresh) => {
                self.begin(flight, |this| Some(Piece::of(this.take_batch())));
            }
            Event::Looked => {}
        }
        None
    }

    /// Begins the write of a piece, or the opening of the instance that it
    /// needs.
    fn begin(&mut self, flight: &mut Flight, take: impl FnOnce(&mut Self) -> Option<Piece>) {
        let Some(instance) = self.writer.sink.take() else {
            return flight.opening.begin(&self.writer.sink);
        };
        // What is taken counts as offered, so the lease is asked first, as it is
        // before every write.
        let is_valid = matches!(self.lease.ask(), Standing::Valid(_));
        let piece = is_valid.then(|| take(self)).flatten();
        let Some(mut piece) = piece.filter(Piece::is_wanted) else {
            return self.writer.sink.give(instance);
        };
        self.stall.next_attempt(None);
        self.count_offer(&mut piece.batch);
        let terms = self.writer.terms(&piece, self.retries.is_in_doubt());
        flight.writes.begin(instance, piece, terms);
    }

    fn write_ended(&mut self, done: Done, flight: &mut Flight) -> Option<Ended> {
        let Done {
            piece,
            instance,
            result,
            took,
            is_alone,
        } = done;
        self.writer.ended(&result, took);
        match Observed::of(&result, piece.batch.records.len(), took) {
            // The others deliver.
            Observed::Hung(_) if is_alone => {}
            observed => self.probation.observe(&observed),
        }
        if !matches!(result, Err(WriteError::Broken(_))) {
            self.writer.sink.give(instance);
        }
        match result {
            // Asked before every acknowledgement.
            Ok(refusals) => match self.lease.ask() {
                Standing::Valid(now) => self.acknowledge(now, piece, refusals, is_alone),
                Standing::Suspended | Standing::Revoked => {
                    let confirmed = (piece, refusals, is_alone);
                    flight.confirmed.push(confirmed);
                    None
                }
            },
            Err(WriteError::Failed(failure)) => self.failed_beside(piece, failure, is_alone),
            Err(WriteError::Broken(broken)) => {
                self.broken_beside(piece, &broken, is_alone);
                None
            }
        }
    }

    fn acknowledge(
        &mut self,
        now: BootTime,
        piece: Piece,
        refusals: Vec<Refusal>,
        is_alone: bool,
    ) -> Option<Ended> {
        let is_alone = is_alone || refusals.len() < piece.batch.records.len();
        let (batch, failure) = self.confirm(now, piece, refusals)?;
        self.failed_beside(Piece::of(batch), failure, is_alone)
    }

    /// The sink refused all of these records, and its instance lives on.
    fn failed_beside(&mut self, piece: Piece, failure: Failure, is_alone: bool) -> Option<Ended> {
        match failure {
            Failure::Retryable { reason, after } => {
                self.report_retry(&piece, &reason);
                self.offer_later(piece, reason, after, is_alone);
            }
            Failure::Permanent(reason) => {
                if let Some(batch) = self.isolation.refused(piece) {
                    self.refuse(batch, reason);
                }
            }
            Failure::Fenced(reason) => return Some(self.fenced(piece.batch, reason)),
        }
        None
    }

    /// The instance is gone.
    fn broken_beside(&mut self, piece: Piece, broken: &Broken, is_alone: bool) {
        let Some(reason) = self.report_broken(&piece, broken) else {
            return self.retries.add(piece);
        };
        if !broken.suspects_records() {
            return self.offer_later(piece, reason, None, is_alone);
        }
        if !is_alone {
            self.stall.failed(reason);
        }
        self.isolation.broke(piece, broken);
    }

    /// Lets a piece wait beside the others; or, if it is not alone in failing,
    /// leaves the sink alone for a while.
    fn offer_later(
        &mut self,
        piece: Piece,
        reason: String,
        after: Option<RetryAfter>,
        is_alone: bool,
    ) {
        if is_alone {
            return self.retries.failed_alone(piece, after);
        }
        self.stall.failed(reason);
        let until = self.retries.failed(piece, self.backoff.next(after));
        self.stall.next_attempt(Some(until));
    }

    fn opened(&mut self, opened: Opened, flight: &mut Flight) {
        let failure = match opened {
            Ok(instance) => return self.writer.sink.give(instance),
            Err(failure) => failure,
        };
        // As long as others write, the records have lost nothing.
        let is_last = flight.writes.is_empty();
        if is_last {
            self.probation.observe(&Observed::failure(&failure));
        }
        let (reason, after) = match failure {
            Failure::Retryable { reason, after } => (reason, after),
            Failure::Permanent(reason) | Failure::Fenced(reason) => (reason, None),
        };
        let until = flight.opening.failed(after);
        tracing::warn!(
            plugin = self.source(),
            reason,
            instances = flight.writes.len(),
            "another instance of the sink did not open"
        );
        if is_last {
            self.retries.set_last_error(&reason);
            self.stall.failed(reason);
            self.stall.next_attempt(Some(until));
        }
    }

    /// Ends the writes that did not end before a swap. The next sink gets their
    /// records.
    fn cancel(&mut self, flight: &mut Flight) {
        flight.cancel_at = None;
        let pieces = flight.writes.cancel();
        tracing::warn!(
            plugin = self.source(),
            records = pieces.iter().map(|p| p.batch.records.len()).sum::<usize>(),
            "offering to the next sink what this one did not confirm in time"
        );
        for piece in pieces {
            self.show_retry(&piece, "this sink did not confirm it before another came");
            self.retries.add(piece);
        }
    }

    /// Tells the producers of all that is under way that the tenure is over.
    fn end(&mut self, mut flight: Flight) {
        for piece in flight.writes.cancel() {
            self.interrupted(piece.batch);
        }
        for (piece, ..) in flight.confirmed {
            self.not_acknowledged(piece.batch);
        }
        while let Some(piece) = self.retries.take() {
            self.not_confirmed(piece.batch);
        }
    }
}
