//! Starts and ends a stream's tenures as the node's role changes, and tells
//! the route who leads otherwise.

use std::io;
use std::sync::Arc;

use tokio::sync::watch;

use super::choice::is_news;
use super::own_thread::OwnThread;
use super::route::Route;
use super::tenure::{Sinks, Tenure, stopped};
use super::tenure_parts::TenureParts;
use crate::plugin::Choice;
use sluice_leadership::{Role, StreamOrder};
use sluice_types::lease::Lease;

/// Runs one tenure after the other.
#[derive(Debug)]
pub(super) struct Tenures {
    parts: TenureParts,
    /// This node's role in the cluster.
    role: watch::Receiver<Role>,
    /// The sinks that were available when this node last led.
    known: Choice,
    /// Whether the last tenure ended because no sink opened.
    no_sink_opened: bool,
    start_thread: fn(&str) -> io::Result<OwnThread>,
}

impl Tenures {
    pub(super) fn new(parts: TenureParts, role: watch::Receiver<Role>) -> Self {
        let known = parts.choice.borrow().clone();
        Self {
            parts,
            role,
            known,
            no_sink_opened: false,
            start_thread: OwnThread::start,
        }
    }

    /// Runs until the stream is told to stop and every request that was
    /// accepted has its outcome.
    ///
    /// # Errors
    /// The thread of a tenure has panicked.
    pub(super) async fn run(mut self) -> io::Result<()> {
        while self.parts.stop.borrow().is_none() {
            let role = self.role.borrow_and_update().clone();
            match role {
                Role::Leader(lease) => self = self.lead(lease).await?,
                Role::Follower { leader } => {
                    let route = leader.map_or(Route::Unknown, Route::Leader);
                    self.parts.route.send_replace(route);
                    self.wait_for_change().await;
                }
            }
        }
        self.parts.route.send_replace(Route::Stopping);
        Ok(())
    }

    async fn wait_for_change(&mut self) {
        let mut stop = self.parts.stop.clone();
        let mut choice = self.parts.choice.clone();
        tokio::select! {
            changed = self.role.changed() => if changed.is_err() {
                // The control thread has ended; the node ends with it.
                stopped(&mut stop).await;
            },
            // A node that stays out because of its sink may do better with another.
            () = is_news(&mut choice, &self.known, self.no_sink_opened) => {
                self.known = choice.borrow().clone();
                self.parts.orders.give(StreamOrder::Eligible(true)).await;
            }
            _ = stopped(&mut stop) => {}
        }
    }

    /// A tenure of the only stream runs where connections are served, which is faster,
    /// and those of several streams where they cannot hold up each other.
    async fn lead(mut self, lease: Arc<Lease>) -> io::Result<Self> {
        if self.parts.share.is_alone() {
            return Ok(self.run_tenure(lease).await);
        }
        match (self.start_thread)(&self.parts.config.name) {
            Ok(thread) => thread.run(self.run_tenure(lease)).await,
            Err(error) => {
                self.leave_lead(&lease, &error).await;
                Ok(self)
            }
        }
    }

    /// Leaves the stream to other nodes for a while: this one has no thread for it.
    async fn leave_lead(&mut self, lease: &Arc<Lease>, error: &io::Error) {
        let stream = &self.parts.config.name;
        let epoch = lease.epoch();
        tracing::error!(
            stream,
            epoch,
            %error,
            "no thread can be started to deliver; stepping down"
        );
        self.parts.route.send_replace(Route::Unknown);
        lease.revoke();
        let step_down = self.parts.step_down(epoch);
        let order = StreamOrder::StepDown(step_down);
        self.parts.orders.give(order).await;
        self.until_role_changed(lease).await;
    }

    async fn run_tenure(mut self, lease: Arc<Lease>) -> Self {
        match Tenure::begin(&self.parts, Arc::clone(&lease)).run().await {
            Sinks::Opened => self.no_sink_opened = false,
            Sinks::NoneOpened => self.no_sink_opened = true,
            Sinks::Unknown => {}
        }
        self.known = self.parts.choice.borrow().clone();
        if self.parts.stop.borrow().is_none() {
            lease.revoked().await;
            self.until_role_changed(&lease).await;
        }
        self
    }

    /// Waits while the role still shows the tenure that has just ended.
    async fn until_role_changed(&mut self, ended: &Arc<Lease>) {
        let same = |role: &Role| matches!(role, Role::Leader(lease) if Arc::ptr_eq(lease, ended));
        let mut stop = self.parts.stop.clone();
        let changed = async {
            // The control thread has ended: the node ends with it.
            if self.role.wait_for(|role| !same(role)).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = changed => {}
            _ = stopped(&mut stop) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::fakes::Reply::Permanent;
    use crate::stream::rig::{Rig, long, shortly};
    use crate::stream::stop::Stop;
    use sluice_delivery::QueueBudget;
    use sluice_leadership::Order;
    use sluice_types::documents::LeaderAddress;
    use sluice_types::stream::DEFAULT_STREAM;

    fn follower() -> Role {
        Role::Follower { leader: None }
    }

    /// Runs tenures of the rig until the test ends.
    async fn run<T>(
        rig: Rig,
        role: watch::Receiver<Role>,
        test: impl AsyncFnOnce(RigEnds) -> T,
    ) -> T {
        let Rig {
            parts,
            lease,
            choice,
            stop,
            route,
            orders,
            ..
        } = rig;
        let task = tokio::spawn(Tenures::new(parts, role).run());
        let ends = RigEnds {
            lease,
            choice,
            route,
            orders,
        };
        let result = test(ends).await;
        stop.send_replace(Some(Stop::Node));
        task.await.unwrap().unwrap();
        result
    }

    struct RigEnds {
        lease: Arc<Lease>,
        choice: watch::Sender<Choice>,
        route: watch::Receiver<Route>,
        orders: tokio::sync::mpsc::Receiver<Order>,
    }

    #[tokio::test(start_paused = true)]
    async fn the_route_follows_the_role() {
        let (role_in, role) = watch::channel(follower());
        let rig = Rig::new(|a| a);
        run(rig, role, async |ends| {
            shortly().await;
            assert!(matches!(*ends.route.borrow(), Route::Unknown));
            let leader = LeaderAddress {
                node: "b".to_owned(),
                address: "b:3000".to_owned(),
            };
            let leader = Some(leader);
            role_in.send_replace(Role::Follower { leader });
            shortly().await;
            assert!(matches!(&*ends.route.borrow(), Route::Leader(leader) if leader.node == "b"));
            role_in.send_replace(Role::Leader(Arc::clone(&ends.lease)));
            shortly().await;
            assert!(matches!(*ends.route.borrow(), Route::Local(_)));
            ends.lease.revoke();
            role_in.send_replace(follower());
            shortly().await;
            assert!(matches!(*ends.route.borrow(), Route::Unknown));
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_ended_tenure_does_not_begin_again() {
        let rig = Rig::new(|a| a.opens([Permanent]));
        let log = Arc::clone(&rig.log);
        let (_role, role) = watch::channel(Role::Leader(Arc::clone(&rig.lease)));
        run(rig, role, async |_ends| long().await).await;
        assert_eq!(*log.lock().unwrap(), ["a open"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_stays_out_is_eligible_again_with_another_sink() {
        let rig = Rig::new(|a| a.opens([Permanent]));
        let (b, good) = (rig.sink("b", |b| b), rig.sink("good", |good| good));
        let (role_in, role) = watch::channel(Role::Leader(Arc::clone(&rig.lease)));
        let is_eligible = |order: Option<Order>| {
            matches!(order, Some(Order::Stream(stream, StreamOrder::Eligible(true)))
                if &*stream == DEFAULT_STREAM)
        };
        run(rig, role, async |mut ends| {
            let left = ends.orders.recv().await;
            assert!(matches!(
                left,
                Some(Order::Stream(_, StreamOrder::StepDown(_)))
            ));
            role_in.send_replace(follower());
            long().await;
            assert!(ends.orders.try_recv().is_err(), "nothing is new");
            ends.choice.send_modify(|choice| choice.good = Some(good));
            assert!(is_eligible(ends.orders.recv().await));
            ends.choice.send_modify(|choice| choice.wanted = b);
            assert!(is_eligible(ends.orders.recv().await));
            long().await;
            assert!(ends.orders.try_recv().is_err(), "each is news once");
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_has_no_thread_is_left_to_others_and_goes_on() {
        let rig = Rig::new(|a| a);
        let (role_in, role) = watch::channel(Role::Leader(Arc::clone(&rig.lease)));
        let Rig {
            mut parts,
            lease,
            stop,
            mut orders,
            ..
        } = rig;
        parts.config.name = "audit".to_owned();
        let budget = QueueBudget::new(1 << 20, 2);
        let _other = budget.share();
        parts.share = budget.share();
        let mut tenures = Tenures::new(parts, role);
        tenures.start_thread = |_| Err(io::Error::other("too many threads"));
        let task = tokio::spawn(tenures.run());
        let left = orders.recv().await;
        assert!(
            matches!(left, Some(Order::Stream(_, StreamOrder::StepDown(_)))),
            "{left:?}"
        );
        lease.revoked().await;
        role_in.send_replace(follower());
        long().await;
        assert!(!task.is_finished(), "it waits to lead again");
        stop.send_replace(Some(Stop::Node));
        task.await.unwrap().unwrap();
    }
}
