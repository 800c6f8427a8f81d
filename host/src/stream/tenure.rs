//! One tenure of a stream: from the opening of its route to the last outcome.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::config::StreamConfig;
use super::drain::{self, Rest};
use super::feeding::Feeding;
use super::hand_over;
use super::opener::{Opened, SinkOpener};
use super::route::Route;
use super::stop::Stop;
use super::swap::SinkSwapper;
use super::tenure_parts::TenureParts;
use super::watching::Watched;
use crate::plugin::Report;
use sluice_delivery::{
    Ack, ActiveSink, Delivery, Dispatcher, Ended, Finish, Intake, Queue, Replicated, ReplicatedEnd,
    SinkSwap, Watch,
};
use sluice_leadership::{StepDown, StreamOrder};
use sluice_types::lease::Lease;

/// The time for the sinks' `close` when the tenure is over.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);
/// The time for the replicated journal to store what was taken in.
const FINISH_LIMIT: Duration = Duration::from_secs(2);
/// How long the journal may fail before another node should lead.
const JOURNAL_FAILURE_LIMIT: Duration = Duration::from_secs(5);

/// What a tenure showed about the sinks that were available.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sinks {
    /// One opened.
    Opened,
    /// None opened.
    NoneOpened,
    /// The tenure was over before that was known.
    Unknown,
}

/// Why the delivery of a tenure ended.
#[derive(Debug)]
enum End {
    Dispatcher(Ended),
    JournalFailed,
    /// Another owner has the replicated journal.
    JournalFenced(String),
    /// Not everything was delivered within the drain's limit.
    DrainLimit,
}

/// One tenure of this node as the leader of a stream.
#[derive(Debug)]
pub(super) struct Tenure<'a> {
    parts: &'a TenureParts,
    lease: Arc<Lease>,
    queue: Arc<Queue>,
    intake: Arc<Intake>,
    replicated: Option<Replicated>,
    /// Writes the replicated journal.
    writing: JoinSet<()>,
}

impl<'a> Tenure<'a> {
    /// Starts to accept requests.
    pub(super) fn begin(parts: &'a TenureParts, lease: Arc<Lease>) -> Self {
        let queue = Queue::in_share(lease.epoch(), parts.config.queue, Arc::clone(&parts.share));
        let mut writing = JoinSet::new();
        let replicated = parts.replication.as_ref().map(|replication| {
            let trace = parts.trace.as_ref();
            let (journal, writer) = replication.begin(lease.epoch(), &parts.metrics, trace);
            journal.count_in(&parts.share);
            writing.spawn(writer.run());
            journal
        });
        let ends = || (Arc::clone(&queue), Arc::clone(&lease));
        let intake = Arc::new(match (&replicated, &parts.journal, parts.config.ack) {
            (Some(journal), _, Ack::Journal) => {
                let (queue, lease) = ends();
                Intake::journaled(journal.clone(), queue, lease)
            }
            (None, Some(journal), Ack::Journal) => {
                let (queue, lease) = ends();
                Intake::journaled(journal.clone(), queue, lease)
            }
            _ => Intake::Sink(Arc::clone(&queue)),
        });
        parts.route.send_replace(Route::Local(Arc::clone(&intake)));
        Self {
            parts,
            lease,
            queue,
            intake,
            replicated,
            writing,
        }
    }

    /// Runs until every request that was accepted has its outcome.
    pub(super) async fn run(self) -> Sinks {
        let opener = SinkOpener {
            choice: self.parts.choice.clone(),
            reports: &self.parts.reports,
        };
        let mut stop = self.parts.stop.clone();
        let opened = tokio::select! {
            opened = opener.open() => Some(opened),
            () = self.lease.revoked() => None,
            _ = stopped(&mut stop) => None,
            reason = self.fenced() => {
                self.must_leave_lead(&End::JournalFenced(reason));
                self.leave_lead(self.step_down()).await;
                None
            }
        };
        let sinks = match opened {
            Some(Some(opened)) => {
                self.deliver(opened).await;
                Sinks::Opened
            }
            Some(None) => {
                self.leave_lead(self.step_down()).await;
                Sinks::NoneOpened
            }
            None => Sinks::Unknown,
        };
        self.end().await;
        sinks
    }

    async fn end(mut self) {
        if self.parts.stop.borrow().is_some() {
            self.parts.route.send_replace(Route::Stopping);
        }
        self.intake.close("the node is no longer the leader");
        self.queue.fail("the node is no longer the leader");
        if let Some(journal) = &self.replicated {
            self.warn_of_rest(journal);
            journal.fail("the node is no longer the leader");
        }
        self.writing.shutdown().await;
        self.parts.reports.send(Report::Standby);
    }

    /// No leader delivers what a closed stream leaves in its journal.
    fn warn_of_rest(&self, journal: &Replicated) {
        let records = journal.status().backlog;
        if records > 0 && *self.parts.stop.borrow() == Some(Stop::Closed) {
            tracing::warn!(
                stream = self.parts.config.name,
                records,
                "acknowledged records of the closed stream are left in the replicated journal; \
                 put its key again to deliver them"
            );
        }
    }

    async fn deliver(&self, opened: Opened) {
        self.parts.reports.running(&opened.candidate, opened.watch);
        let (watch, watched) = Watched::begin(opened.watch, opened.has_failed);
        let (swaps_in, swaps) = mpsc::channel(1);
        let mut dispatcher = Dispatcher::new(self.delivery(opened.sink, watch, swaps));
        let mut feeding = Feeding::start(
            self.parts.journal.as_ref(),
            self.replicated.as_ref(),
            &self.queue,
        );
        let mut closing = JoinSet::new();
        let swapper = SinkSwapper {
            running: opened.candidate,
            watched,
            choice: self.parts.choice.clone(),
            swaps: swaps_in,
            reports: &self.parts.reports,
            metrics: &self.parts.metrics,
            closing: &mut closing,
        };
        let (end, requested) = self.until_end(&mut dispatcher, swapper, &mut feeding).await;
        self.finish_journal(&end).await;
        let forced = self.must_leave_lead(&end).then(|| self.step_down());
        if let Some(step_down) = forced.or(requested) {
            self.leave_lead(step_down).await;
        }
        closing.spawn(dispatcher.into_sink().close());
        if tokio::time::timeout(CLOSE_LIMIT, closing.join_all())
            .await
            .is_err()
        {
            tracing::warn!("the sink did not close in time");
        }
    }

    fn delivery(
        &self,
        sink: ActiveSink,
        watch: Watch,
        swaps: mpsc::Receiver<SinkSwap>,
    ) -> Delivery {
        Delivery {
            queue: Arc::clone(&self.queue),
            lease: Arc::clone(&self.lease),
            sink,
            watch,
            swaps,
            letters: self.parts.letters.clone(),
            metrics: Arc::clone(&self.parts.metrics),
            trace: self.parts.trace.clone(),
            tracer: self.parts.tracer.clone(),
            tail: self.parts.tail.clone(),
            stall: self.parts.stall.clone(),
        }
    }

    /// Runs the delivery to its end; says why it ended, and what was requested
    /// if it was a hand-over.
    async fn until_end(
        &self,
        dispatcher: &mut Dispatcher,
        swapper: SinkSwapper<'_>,
        feeding: &mut Feeding,
    ) -> (End, Option<StepDown>) {
        let mut hand_over = self.parts.hand_over.clone();
        let mut stop = self.parts.stop.clone();
        let mut running = pin!(dispatcher.run());
        let (stopping, requested) = tokio::select! {
            ended = running.as_mut() => return (End::Dispatcher(ended), None),
            never = swapper.run() => match never {},
            () = self.journal_failed() => return (End::JournalFailed, None),
            () = feeding.panicked() => return (End::JournalFailed, None),
            reason = self.fenced() => return (End::JournalFenced(reason), None),
            stopping = stopped(&mut stop) => (Some(stopping), None),
            requested = hand_over::requested(&mut hand_over, self.lease.epoch()) => {
                (None, Some(requested))
            }
        };
        self.stop_accepting(requested.is_some());
        let is_last = stopping == Some(Stop::Closed);
        feeding.finish(if is_last { Finish::All } else { Finish::Own });
        (self.drain(running, is_last).await, requested)
    }

    fn stop_accepting(&self, is_hand_over: bool) {
        let (route, reason) = match is_hand_over {
            false => (Route::Stopping, "this node is stopping"),
            true => (Route::Unknown, "this node hands over to another"),
        };
        self.parts.route.send_replace(route);
        self.intake.close(reason);
    }

    /// `is_last` if no leader comes after this one, which could deliver the rest.
    async fn drain(&self, running: Pin<&mut impl Future<Output = Ended>>, is_last: bool) -> End {
        let StreamConfig { ack, drain, .. } = self.parts.config;
        let rest = match ack {
            Ack::Journal if !is_last => Rest::IsSafe,
            _ => Rest::IsLost,
        };
        let delivered = || self.parts.metrics.delivered.get();
        tokio::select! {
            ended = running => End::Dispatcher(ended),
            () = drain::limit(rest, drain, delivered) => End::DrainLimit,
        }
    }

    /// Waits until the journal has failed for [`JOURNAL_FAILURE_LIMIT`] and
    /// another node is eligible.
    async fn journal_failed(&self) {
        // Another node could do no better with a replicated one.
        let is_needed = self.parts.config.ack == Ack::Journal && self.replicated.is_none();
        let Some(journal) = self.parts.journal.as_ref().filter(|_| is_needed) else {
            return std::future::pending().await;
        };
        loop {
            journal.failed().await;
            tokio::time::sleep(JOURNAL_FAILURE_LIMIT).await;
            if journal.status().failure.is_some()
                && self.parts.peers.is_any_eligible() == Some(true)
            {
                return;
            }
        }
    }

    /// Waits until another owner has the replicated journal, and says what shows that.
    async fn fenced(&self) -> String {
        let Some(journal) = &self.replicated else {
            return std::future::pending().await;
        };
        match journal.ended().await {
            ReplicatedEnd::Fenced(reason) => reason,
            ReplicatedEnd::Finished => std::future::pending().await,
        }
    }

    /// Has everything stored that was taken in, and how far it is settled, for the
    /// next leader.
    async fn finish_journal(&self, end: &End) {
        let Some(journal) = &self.replicated else {
            return;
        };
        if matches!(end, End::JournalFenced(_) | End::Dispatcher(Ended::Revoked)) {
            return;
        }
        self.intake.close("the node is no longer the leader");
        journal.finish();
        let finished = tokio::time::timeout(FINISH_LIMIT, journal.ended()).await;
        if finished.is_err() {
            tracing::warn!("the replicated journal could not be written to its end");
        }
    }

    /// Logs why the delivery ended; true if another node should lead.
    fn must_leave_lead(&self, end: &End) -> bool {
        let epoch = self.lease.epoch();
        match end {
            End::Dispatcher(Ended::Drained | Ended::Revoked) => false,
            End::Dispatcher(Ended::Fenced(reason)) => {
                tracing::error!(
                    epoch,
                    reason,
                    "the destination has seen a later leader; stepping down"
                );
                true
            }
            End::JournalFailed => {
                tracing::error!(epoch, "the journal cannot be used; stepping down");
                true
            }
            End::JournalFenced(reason) => {
                tracing::error!(
                    epoch,
                    reason,
                    "another leader has the replicated journal; stepping down"
                );
                true
            }
            End::DrainLimit => {
                let (records, _) = self.queue.depth();
                tracing::warn!(
                    records,
                    "not everything was delivered before the drain timeout"
                );
                false
            }
        }
    }

    fn step_down(&self) -> StepDown {
        self.parts.step_down(self.lease.epoch())
    }

    /// Ends the tenure's right to write, and has the lock released.
    async fn leave_lead(&self, step_down: StepDown) {
        self.lease.revoke();
        self.parts
            .orders
            .give(StreamOrder::StepDown(step_down))
            .await;
    }
}

/// Waits until the stream should end, and says why.
pub(super) async fn stopped(stop: &mut watch::Receiver<Option<Stop>>) -> Stop {
    let stop = stop.wait_for(Option::is_some).await;
    // A sender that is gone means the end of the node.
    stop.ok().and_then(|stop| *stop).unwrap_or(Stop::Node)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::fakes::Reply::{Fenced, Hangs, Permanent};
    use crate::stream::rig::{DRAIN, EPOCH, Rig, long, on_disk, shortly};
    use crate::stream::tenure_parts::{STAY_OUT, STAY_OUT_ALONE};
    use sluice_delivery::{Outcome, Refused};
    use sluice_types::lease::Standing;

    fn own_step_down(stay_out: Duration) -> StreamOrder {
        StreamOrder::StepDown(StepDown {
            epoch: EPOCH,
            stay_out,
            until_taken: false,
            to: None,
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_tenure_acknowledges_until_the_stream_stops() {
        let mut rig = Rig::new(|a| a);
        let test = async {
            let outcome = rig.submit("1").unwrap().await;
            let expected = Outcome::Acknowledged {
                epoch: EPOCH,
                rejected: Vec::new(),
            };
            assert_eq!(outcome, expected);
            rig.stop();
        };
        assert_eq!(rig.run(test).await, (Sinks::Opened, Duration::ZERO));
        assert!(matches!(*rig.route.borrow(), Route::Stopping));
        assert_eq!(rig.log(), ["a open", "a write 1 #1", "a close"]);
        assert_eq!(rig.reports(), ["opening", "a runs", "standby"]);
        assert_eq!(rig.orders(), []);
    }

    #[tokio::test(start_paused = true)]
    async fn requests_wait_while_the_sink_opens() {
        let rig = Rig::new(|a| a.opens([Permanent])).with_good(|good| good);
        let test = async {
            let outcome = rig.submit("1").unwrap().await;
            assert!(matches!(outcome, Outcome::Acknowledged { .. }));
            rig.stop();
        };
        rig.run(test).await;
        assert_eq!(rig.log()[..2], ["a open", "good open"]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_lead_is_left_when_no_sink_opens() {
        let alone = Rig::new(|a| a.opens([Hangs]));
        let beside_one = |eligible| Rig::new(|a| a.opens([Hangs])).with_peer(eligible);
        for (mut rig, stay_out) in [
            (alone, STAY_OUT_ALONE),
            (beside_one(false), STAY_OUT_ALONE),
            (beside_one(true), STAY_OUT),
        ] {
            let test = async {
                let outcome = rig.submit("1").unwrap().await;
                assert!(matches!(outcome, Outcome::NotDelivered(_)), "{outcome:?}");
            };
            assert_eq!(rig.run(test).await.0, Sinks::NoneOpened);
            assert_eq!(rig.lease.ask(), Standing::Revoked);
            assert_eq!(rig.orders(), [own_step_down(stay_out)]);
            assert_eq!(rig.reports(), ["opening", "a failed", "standby"]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_revoked_lease_ends_the_opening() {
        let mut rig = Rig::new(|a| a.opens([Hangs]));
        let test = async {
            shortly().await;
            rig.lease.revoke();
        };
        let (sinks, took) = rig.run(test).await;
        assert_eq!(sinks, Sinks::Unknown);
        assert!(took < Duration::from_secs(1), "{took:?}");
        assert_eq!(rig.orders(), []);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_ends_the_opening() {
        let rig = Rig::new(|a| a.opens([Hangs]));
        let test = async {
            shortly().await;
            rig.stop();
        };
        let (sinks, took) = rig.run(test).await;
        assert_eq!(sinks, Sinks::Unknown);
        assert!(took < Duration::from_secs(1), "{took:?}");
        assert!(matches!(*rig.route.borrow(), Route::Stopping));
    }

    #[tokio::test(start_paused = true)]
    async fn a_revoked_lease_ends_the_delivery() {
        let mut rig = Rig::new(|a| a.writes([Hangs]));
        let test = async {
            let receipt = rig.submit("1").unwrap();
            shortly().await;
            rig.lease.revoke();
            assert!(matches!(receipt.await, Outcome::Unknown(_)));
        };
        let (sinks, took) = rig.run(test).await;
        assert_eq!(sinks, Sinks::Opened);
        assert!(took < Duration::from_secs(1), "{took:?}");
        assert_eq!(rig.orders(), []);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_waits_for_the_sink_no_longer_than_the_drain_timeout() {
        let mut rig = Rig::new(|a| a.writes([Hangs]));
        let test = async {
            let receipt = rig.submit("1").unwrap();
            shortly().await;
            rig.stop();
            shortly().await;
            assert!(matches!(*rig.route.borrow(), Route::Stopping));
            assert!(matches!(receipt.await, Outcome::Unknown(_)));
        };
        let (_, took) = rig.run(test).await;
        assert!(took >= DRAIN, "{took:?}");
        assert!(took < DRAIN + Duration::from_secs(1), "{took:?}");
        assert_eq!(rig.orders(), []);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_in_the_journal_does_not_wait_for_a_sink_that_stands_still() {
        let rig = Rig::new(|a| a.writes([Hangs])).with_journal();
        let test = async {
            let outcome = on_disk(rig.submit("1").unwrap()).await;
            assert!(matches!(outcome, Outcome::Acknowledged { .. }));
            shortly().await;
            rig.stop();
        };
        let (_, took) = rig.run(test).await;
        assert!(took >= Duration::from_secs(2), "{took:?}");
        assert!(took < Duration::from_secs(3), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_to_hand_over_drains_and_leaves_the_lead() {
        let mut rig = Rig::new(|a| a);
        let intake = std::cell::OnceCell::new();
        let request = hand_over::hand_over(EPOCH, Some("b".to_owned()));
        let test = async {
            rig.submit("1").unwrap().await;
            if let Route::Local(local) = rig.route.borrow().clone() {
                intake.set(local).unwrap();
            }
            rig.hand_over.send_replace(Some(request.clone()));
        };
        assert_eq!(rig.run(test).await, (Sinks::Opened, Duration::ZERO));
        assert!(matches!(*rig.route.borrow(), Route::Unknown));
        let refused = intake
            .get()
            .unwrap()
            .submit(sluice_delivery::Producer::IsTold, None, Vec::new())
            .err();
        let expected = Refused::Closed("this node hands over to another");
        assert_eq!(refused, Some(expected));
        assert_eq!(rig.lease.ask(), Standing::Revoked);
        assert_eq!(rig.orders(), [StreamOrder::StepDown(request)]);
        assert_eq!(rig.log(), ["a open", "a write 1 #1", "a close"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_to_another_tenure_is_void() {
        let mut rig = Rig::new(|a| a);
        let test = async {
            for epoch in [EPOCH - 1, EPOCH + 1] {
                let request = hand_over::hand_over(epoch, None);
                rig.hand_over.send_replace(Some(request));
                long().await;
            }
            let outcome = rig.submit("1").unwrap().await;
            assert!(matches!(outcome, Outcome::Acknowledged { .. }));
            rig.stop();
        };
        rig.run(test).await;
        assert_eq!(rig.orders(), []);
    }

    #[tokio::test(start_paused = true)]
    async fn a_fenced_leader_leaves_the_lead() {
        let mut rig = Rig::new(|a| a.writes([Fenced])).with_peer(true);
        let test = async {
            let outcome = rig.submit("1").unwrap().await;
            assert!(!matches!(outcome, Outcome::Acknowledged { .. }));
        };
        rig.run(test).await;
        assert_eq!(rig.lease.ask(), Standing::Revoked);
        assert_eq!(rig.orders(), [own_step_down(STAY_OUT)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_leader_whose_journal_fails_leaves_the_lead_to_an_eligible_peer() {
        let mut rig = Rig::new(|a| a).with_failing_journal().with_peer(true);
        let (_, took) = rig.run(async {}).await;
        assert_eq!(took, JOURNAL_FAILURE_LIMIT);
        assert_eq!(rig.lease.ask(), Standing::Revoked);
        assert_eq!(rig.orders(), [own_step_down(STAY_OUT)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_leader_whose_journal_fails_goes_on_while_no_peer_is_eligible() {
        for peer in [None, Some(false)] {
            let mut rig = Rig::new(|a| a).with_failing_journal();
            if let Some(eligible) = peer {
                rig = rig.with_peer(eligible);
            }
            let test = async {
                long().await;
                assert!(matches!(*rig.route.borrow(), Route::Local(_)));
                rig.stop();
            };
            rig.run(test).await;
            assert_eq!(rig.orders(), []);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_journal_that_fails_does_not_count_without_ack_journal() {
        let mut rig = Rig::new(|a| a).with_failing_journal().with_peer(true);
        rig.parts.config.ack = Ack::Sink;
        let test = async {
            long().await;
            rig.stop();
        };
        rig.run(test).await;
        assert_eq!(rig.orders(), []);
    }
}
