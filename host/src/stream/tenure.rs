//! What the data side does as the node's role changes: it opens the route to
//! requests and runs the sink while this node leads, and shuts the route when
//! it does not.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::plugin::{Candidate, Choice, Report};
use crate::stream::Route;
use crate::stream::swap::{Swaps, is_for_good, is_other, wait_of};
use sluice_delivery::metrics::Metrics;
use sluice_delivery::{
    Ack, AckTrace, ActiveSink, DeadLetters, Delivery, Dispatcher, Ended, Feeder, Intake, Journal,
    Queue, QueueLimits,
};
use sluice_leadership::{Order, Peers, Role, StepDown};
use sluice_types::backoff::Backoff;
use sluice_types::lease::Lease;

/// A sink that does not open for so long leaves the place to the last good
/// one, and that to another node.
const OPENING: Duration = Duration::from_secs(5);
/// How long a node leaves the lock to others after its sink failed, or after
/// it was fenced.
const STAY_OUT: Duration = Duration::from_secs(30);
/// The same where there is no other node whose sink is prepared.
const ALONE: Duration = Duration::from_secs(1);
/// The time for a sink's `close` when the tenure is over.
const CLOSING: Duration = Duration::from_secs(1);
/// A sink that confirms nothing from the journal for so long holds up no
/// hand-over.
const STALLED: Duration = Duration::from_secs(2);
/// How long a journal may fail before another node is to lead.
const FAILING: Duration = Duration::from_secs(5);
const FIRST_BACKOFF: Duration = Duration::from_millis(50);
const LONGEST_BACKOFF: Duration = Duration::from_secs(1);

/// How the delivery of a tenure came to its end.
enum Over {
    Delivery(Ended),
    /// The journal can not be written, or not be read.
    Unwritable,
    /// Not everything was delivered in time.
    Late,
}

/// Runs the sink whenever this node leads.
#[derive(Debug)]
pub struct StreamTask {
    /// What this node is to the cluster.
    pub role: watch::Receiver<Role>,
    /// Becomes true when the node is to end.
    pub stop: watch::Receiver<bool>,
    /// How long requests may take to finish then.
    pub drain: Duration,
    /// Where requests go.
    pub route: watch::Sender<Route>,
    /// The sinks that could run.
    pub choice: watch::Receiver<Choice>,
    /// What there was when this node last led.
    pub known: Choice,
    /// Whether that was for lack of a sink that opens.
    pub has_failed: bool,
    /// What becomes of them.
    pub reports: mpsc::UnboundedSender<Report>,
    /// Tells the control side to step down.
    pub orders: mpsc::Sender<Order>,
    /// The bounds of a tenure's queue.
    pub limits: QueueLimits,
    /// Counts what happens.
    pub metrics: Arc<Metrics>,
    /// What an acknowledgement means.
    pub ack: Ack,
    /// What is on disk and still to be delivered.
    pub journal: Option<Journal>,
    /// Keeps what no sink takes.
    pub letters: DeadLetters,
    /// Audits acknowledgements.
    pub trace: Option<Arc<AckTrace>>,
    /// The other nodes.
    pub peers: Peers,
    /// Asks a tenure to hand over; of another one it is void.
    pub step_down: watch::Receiver<Option<StepDown>>,
}

impl StreamTask {
    /// Runs until the node is to end and what was accepted is settled.
    pub async fn run(mut self) {
        while !*self.stop.borrow() {
            let role = self.role.borrow_and_update().clone();
            match role {
                Role::Leader(lease) => self.lead(lease).await,
                Role::Follower { leader } => {
                    self.route
                        .send_replace(leader.map_or(Route::Unknown, Route::Leader));
                    self.wait_for_change().await;
                }
            }
        }
        self.route.send_replace(Route::Stopping);
    }

    async fn wait_for_change(&mut self) {
        let mut choice = self.choice.clone();
        let (known, has_failed) = (self.known.clone(), self.has_failed);
        tokio::select! {
            changed = self.role.changed() => if changed.is_err() {
                // The control side is gone; the node ends with it.
                stopped(&mut self.stop).await;
            },
            // A node that stays out for its sink may do better with this one.
            () = news(&mut choice, &known, has_failed) => {
                self.known = self.choice.borrow().clone();
                self.order(Order::Eligible(true)).await;
            }
            () = stopped(&mut self.stop) => {}
        }
    }

    /// One tenure, from the route's opening to the last outcome.
    async fn lead(&mut self, lease: Arc<Lease>) {
        let queue = Queue::new(lease.epoch(), self.limits);
        let intake = Arc::new(match (&self.journal, self.ack) {
            (Some(journal), Ack::Journal) => {
                Intake::journaled(journal.clone(), Arc::clone(&queue), Arc::clone(&lease))
            }
            _ => Intake::Sink(Arc::clone(&queue)),
        });
        self.route.send_replace(Route::Local(Arc::clone(&intake)));
        let mut stop = self.stop.clone();
        let opened = tokio::select! {
            sink = self.open() => Some(sink),
            () = lease.revoked() => None,
            () = stopped(&mut stop) => None,
        };
        match opened {
            Some(Some(sink)) => {
                self.has_failed = false;
                self.deliver(&lease, &queue, &intake, sink).await;
            }
            // The sink failed: leave it to another node.
            Some(None) => {
                self.has_failed = true;
                self.step_down(&lease).await;
            }
            None => {}
        }
        if *stop.borrow() {
            self.route.send_replace(Route::Stopping);
        }
        intake.close("the node is no longer the leader");
        queue.fail("the node is no longer the leader");
        self.report(Report::Standby);
        self.known = self.choice.borrow().clone();
        // Until the control side publishes what comes next.
        if !*stop.borrow() {
            lease.revoked().await;
            self.until_role_changed(&lease).await;
        }
    }

    /// The role may still show the tenure that has just ended.
    async fn until_role_changed(&mut self, ended: &Arc<Lease>) {
        let same = |role: &Role| matches!(role, Role::Leader(lease) if Arc::ptr_eq(lease, ended));
        let mut stop = self.stop.clone();
        let changed = async {
            // The control side is gone: the node ends with it.
            if self.role.wait_for(|role| !same(role)).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = changed => {}
            () = stopped(&mut stop) => {}
        }
    }

    async fn deliver(
        &mut self,
        lease: &Arc<Lease>,
        queue: &Arc<Queue>,
        intake: &Intake,
        (candidate, sink): (Arc<Candidate>, ActiveSink),
    ) {
        self.report(Report::Running(Arc::clone(&candidate)));
        let (swaps_in, swaps) = mpsc::channel(1);
        let mut dispatcher = Dispatcher::new(Delivery {
            queue: Arc::clone(queue),
            lease: Arc::clone(lease),
            sink,
            swaps,
            letters: self.letters.clone(),
            metrics: Arc::clone(&self.metrics),
            trace: self.trace.clone(),
        });
        // Ended with the tenure.
        let mut feeding = JoinSet::new();
        let (finish, finishing) = watch::channel(false);
        if let Some(journal) = &self.journal {
            feeding.spawn(Feeder::new(journal.clone(), Arc::clone(queue)).run(finishing));
        }
        let mut closing = JoinSet::new();
        let swaps = Swaps {
            running: candidate,
            choice: self.choice.clone(),
            swaps: swaps_in,
            reports: self.reports.clone(),
            metrics: Arc::clone(&self.metrics),
            closing: &mut closing,
        };
        let mut stop = self.stop.clone();
        let mut wished = self.step_down.clone();
        let (ended, handing_over) = {
            let mut running = std::pin::pin!(dispatcher.run());
            let asked = tokio::select! {
                ended = running.as_mut() => Err(Over::Delivery(ended)),
                () = swaps.run() => Ok(None),
                () = self.journal_fails() => Err(Over::Unwritable),
                () = has_panicked(&mut feeding) => Err(Over::Unwritable),
                () = stopped(&mut stop) => Ok(None),
                step_down = asked(&mut wished, lease.epoch()) => Ok(Some(step_down)),
            };
            match asked {
                Err(over) => (over, None),
                Ok(step_down) => {
                    let (route, reason) = match &step_down {
                        None => (Route::Stopping, "this node is stopping"),
                        Some(_) => (Route::Unknown, "this node hands over to another"),
                    };
                    self.route.send_replace(route);
                    intake.close(reason);
                    finish.send_replace(true);
                    let drained = tokio::select! {
                        ended = running => Over::Delivery(ended),
                        () = self.drain_is_over() => Over::Late,
                    };
                    (drained, step_down)
                }
            }
        };
        match ended {
            Over::Delivery(Ended::Fenced(reason)) => {
                tracing::error!(
                    epoch = lease.epoch(),
                    reason,
                    "the destination has seen a later leader; stepping down"
                );
                self.step_down(lease).await;
            }
            Over::Delivery(Ended::Drained | Ended::Revoked) => {}
            Over::Unwritable => {
                tracing::error!(
                    epoch = lease.epoch(),
                    "the journal can not be used; stepping down"
                );
                self.step_down(lease).await;
            }
            Over::Late => {
                let (records, _) = queue.depth();
                tracing::warn!(
                    records,
                    "not everything was delivered before the drain timeout"
                );
            }
        }
        if let Some(step_down) = handing_over {
            lease.revoke();
            self.order(Order::StepDown(step_down)).await;
        }
        closing.spawn(dispatcher.delivery.sink.close());
        if tokio::time::timeout(CLOSING, closing.join_all())
            .await
            .is_err()
        {
            tracing::warn!("the sink did not close in time");
        }
    }

    /// Waits as long as what was begun may take to end. What is in the journal
    /// is safe without the sink, and the next leader should not wait for a
    /// destination that is down: the sink gets on, or the drain is over.
    async fn drain_is_over(&self) {
        let end = Instant::now() + self.drain;
        if self.ack == Ack::Sink {
            return tokio::time::sleep_until(end).await;
        }
        let mut delivered = self.metrics.delivered.get();
        loop {
            tokio::time::sleep_until((Instant::now() + STALLED).min(end)).await;
            let before = std::mem::replace(&mut delivered, self.metrics.delivered.get());
            if delivered == before || Instant::now() >= end {
                return;
            }
        }
    }

    /// Waits until the journal has failed for a while and another node could
    /// do better.
    async fn journal_fails(&self) {
        let Some(journal) = self.journal.as_ref().filter(|_| self.ack == Ack::Journal) else {
            return std::future::pending().await;
        };
        loop {
            journal.failed().await;
            tokio::time::sleep(FAILING).await;
            if journal.status().failure.is_some() && self.peers.is_any_eligible() == Some(true) {
                return;
            }
        }
    }

    /// Opens the wanted sink, or else the last good one, each for a while;
    /// `None` if neither can be opened.
    async fn open(&mut self) -> Option<(Arc<Candidate>, ActiveSink)> {
        loop {
            let choice = self.choice.borrow_and_update().clone();
            self.report(Report::Opening);
            let good = choice
                .good
                .filter(|good| !Arc::ptr_eq(good, &choice.wanted));
            let mut wanted = self.choice.clone();
            let opened = tokio::select! {
                opened = self.open_either(&choice.wanted, good.as_ref()) => opened,
                // What did not open is soon forgotten.
                () = is_other(&mut wanted, &choice.wanted) => continue,
            };
            return opened;
        }
    }

    async fn open_either(
        &self,
        wanted: &Arc<Candidate>,
        good: Option<&Arc<Candidate>>,
    ) -> Option<(Arc<Candidate>, ActiveSink)> {
        for candidate in [Some(wanted), good].into_iter().flatten() {
            if let Some(sink) = self.open_one(candidate).await {
                return Some((Arc::clone(candidate), sink));
            }
        }
        None
    }

    async fn open_one(&self, candidate: &Arc<Candidate>) -> Option<ActiveSink> {
        let plugin = &candidate.identity().source;
        let deadline = Instant::now() + OPENING;
        let mut backoff = Backoff::new(FIRST_BACKOFF, LONGEST_BACKOFF);
        loop {
            let opening = tokio::time::timeout_at(deadline, candidate.sink.open());
            let (error, for_good, after) = match opening.await {
                Ok(Ok(instance)) => {
                    return Some(ActiveSink::new(Arc::clone(&candidate.sink), instance));
                }
                Ok(Err(error)) => (error.to_string(), is_for_good(&error), wait_of(&error)),
                Err(_) => {
                    let late = format!("open did not return within {} s", OPENING.as_secs());
                    (late, true, None)
                }
            };
            let for_good = for_good || Instant::now() >= deadline;
            self.report(Report::Failed {
                candidate: Arc::clone(candidate),
                error: error.clone(),
                retrying: !for_good,
            });
            if for_good {
                tracing::error!(plugin, error, "the sink can not be opened");
                return None;
            }
            tracing::warn!(plugin, error, "the sink did not open; trying again");
            tokio::time::sleep_until((Instant::now() + backoff.next(after)).min(deadline)).await;
        }
    }

    async fn step_down(&self, lease: &Lease) {
        lease.revoke();
        let stay_out = match self.peers.is_any_eligible() {
            Some(true) => STAY_OUT,
            Some(false) | None => ALONE,
        };
        let (epoch, to) = (lease.epoch(), None);
        let step_down = StepDown {
            epoch,
            stay_out,
            until_taken: false,
            to,
        };
        self.order(Order::StepDown(step_down)).await;
    }

    async fn order(&self, order: Order) {
        if let Err(mpsc::error::SendError(order)) = self.orders.send(order).await {
            tracing::error!(?order, "the control thread has ended");
        }
    }

    fn report(&self, report: Report) {
        if self.reports.send(report).is_err() {
            tracing::error!("the task that keeps the sinks has ended");
        }
    }
}

/// Waits until a task has ended as it should not.
async fn has_panicked(tasks: &mut JoinSet<()>) {
    while let Some(ended) = tasks.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "the delivery from the journal ended unexpectedly");
            return;
        }
    }
    std::future::pending().await
}

/// Waits for a sink that was not there before; where none could be opened, the
/// last good one counts too.
async fn news(choice: &mut watch::Receiver<Choice>, before: &Choice, has_failed: bool) {
    let is_news = |now: &Choice| {
        let good = match (&now.good, &before.good) {
            (Some(now), Some(before)) => !Arc::ptr_eq(now, before),
            (now, _) => now.is_some(),
        };
        !Arc::ptr_eq(&now.wanted, &before.wanted) || has_failed && good
    };
    if choice.wait_for(is_news).await.is_err() {
        // Nothing will ever be news.
        std::future::pending::<()>().await;
    }
}

/// Waits until the tenure with this epoch is asked to hand over.
async fn asked(step_down: &mut watch::Receiver<Option<StepDown>>, epoch: u64) -> StepDown {
    let is_of_it = |asked: &Option<StepDown>| asked.as_ref().is_some_and(|it| it.epoch == epoch);
    let asked = step_down.wait_for(is_of_it).await;
    match asked.ok().and_then(|asked| asked.clone()) {
        Some(asked) => asked,
        // Nobody can ask any more.
        None => std::future::pending().await,
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // A sender that is gone means the same.
    drop(stop.wait_for(|stop| *stop).await);
}
