//! The connections of clients: how many there may be, and which one is closed
//! for a new one.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep_until};

/// The most connections that are served at once.
pub const MAX_CONNECTIONS: usize = 4096;
/// How many of them may come from one address. Consul allows 200 per address,
/// but here all nodes may have the same one.
const MAX_PER_ADDRESS: usize = 1024;

/// One client's connection.
#[derive(Debug)]
pub(crate) struct Connection {
    /// The client's address.
    pub(super) peer: IpAddr,
    accepted: u64,
    /// The number of its latest request among those of all connections; 0 before
    /// the first.
    latest_request: AtomicU64,
    /// How many requests all connections have had.
    requests: Arc<AtomicU64>,
    closed: Notify,
    /// When the connection is closed unless what it is doing ends before.
    ends: watch::Sender<Option<Instant>>,
}

impl Connection {
    /// Notes that a request begins, which keeps the connection from being closed
    /// before others.
    pub(super) fn begin_request(&self) {
        let number = self.requests.fetch_add(1, Ordering::Relaxed) + 1;
        self.latest_request.store(number, Ordering::Relaxed);
    }

    /// Closes the connection after this time, unless the limit is dropped before.
    pub(super) fn limit_time(self: &Arc<Self>, within: Duration) -> TimeLimit {
        self.ends.send_replace(Some(Instant::now() + within));
        TimeLimit(Arc::clone(self))
    }

    /// Returns when the connection has to be closed.
    pub(super) async fn until_closed(&self) {
        let mut ends = self.ends.subscribe();
        let over = async {
            loop {
                let end = *ends.borrow_and_update();
                let reached = async {
                    match end {
                        Some(end) => sleep_until(end).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    () = reached => return,
                    changed = ends.changed() => {
                        if changed.is_err() {
                            return;
                        }
                    }
                }
            }
        };
        tokio::select! {
            () = over => {}
            () = self.closed.notified() => {}
        }
    }

    /// Those that have sent no request come first, then those that have sent none
    /// for the longest time.
    fn order(&self) -> (u64, u64) {
        (self.latest_request.load(Ordering::Relaxed), self.accepted)
    }
}

/// Ends a connection's time limit when dropped.
#[derive(Debug)]
pub(super) struct TimeLimit(Arc<Connection>);

impl Drop for TimeLimit {
    fn drop(&mut self) {
        self.0.ends.send_replace(None);
    }
}

/// All open connections. A connection is open as long as its task has it.
#[derive(Debug)]
pub(crate) struct Connections {
    /// How many there may be.
    most: usize,
    open: Vec<Weak<Connection>>,
    accepted: u64,
    requests: Arc<AtomicU64>,
}

impl Connections {
    /// None yet, of at most `most`.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most: most.clamp(1, MAX_CONNECTIONS),
            open: Vec::new(),
            accepted: 0,
            requests: Arc::default(),
        }
    }

    /// Adds a connection, and closes another one if there are too many.
    pub(super) fn add(&mut self, peer: SocketAddr) -> Arc<Connection> {
        let peer = peer.ip().to_canonical();
        let from_same = |connection: &Connection| connection.peer == peer;
        self.open.retain(|connection| connection.strong_count() > 0);
        let open = self.open.iter().filter_map(Weak::upgrade);
        if open.filter(|one| from_same(one)).count() >= MAX_PER_ADDRESS {
            self.close_idlest(from_same);
        } else if self.open.len() >= self.most {
            self.close_idlest(|_| true);
        }
        self.accepted += 1;
        let connection = Arc::new(Connection {
            peer,
            accepted: self.accepted,
            latest_request: AtomicU64::new(0),
            requests: Arc::clone(&self.requests),
            closed: Notify::new(),
            ends: watch::Sender::new(None),
        });
        self.open.push(Arc::downgrade(&connection));
        connection
    }

    /// Makes room for another connection, when the system allows no more.
    pub(super) fn make_room(&mut self) {
        self.close_idlest(|_| true);
    }

    fn close_idlest(&mut self, of: impl Fn(&Connection) -> bool) {
        let open = self.open.iter().enumerate();
        let open = open.filter_map(|(place, one)| Some((place, one.upgrade()?)));
        let idlest = open
            .filter(|(_, one)| of(one))
            .min_by_key(|(_, one)| one.order());
        if let Some((place, connection)) = idlest {
            self.open.swap_remove(place);
            connection.closed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_closed(connection: &Connection) -> bool {
        let mut closed = std::pin::pin!(connection.until_closed());
        let waker = std::task::Waker::noop();
        let mut context = std::task::Context::from_waker(waker);
        closed.as_mut().poll(&mut context).is_ready()
    }

    #[tokio::test]
    async fn a_full_address_loses_the_connection_that_asks_for_nothing() {
        let mut all = Connections::new(MAX_CONNECTIONS);
        let address = |last| SocketAddr::from(([127, 0, 0, last], 1));
        let mut connect = |last| all.add(address(last));
        let other = connect(2);
        let busy = connect(3);
        busy.begin_request();
        let (silent, last) = (connect(3), connect(3));
        let mut others: Vec<_> = (3..MAX_PER_ADDRESS).map(|_| connect(3)).collect();
        assert!(!is_closed(&silent));
        others.push(connect(3));
        assert!(is_closed(&silent));
        assert!(!is_closed(&busy) && !is_closed(&last) && !is_closed(&other));
        assert_eq!(all.open.len(), 1 + MAX_PER_ADDRESS);
        // What has ended counts no more.
        drop(others);
        drop(all.add(address(3)));
        assert!(!is_closed(&last));
    }

    #[tokio::test]
    async fn no_more_are_open_than_the_process_can_have() {
        let mut all = Connections::new(2);
        let address = |last| SocketAddr::from(([127, 0, 0, last], 1));
        let (first, second) = (all.add(address(1)), all.add(address(2)));
        first.begin_request();
        let third = all.add(address(1));
        assert!(is_closed(&second));
        assert!(!is_closed(&first) && !is_closed(&third));
        // However many that is.
        assert_eq!(Connections::new(usize::MAX).most, MAX_CONNECTIONS);
    }

    #[tokio::test(start_paused = true)]
    async fn a_time_limit_closes_the_connection_unless_it_ends_before() {
        let mut all = Connections::new(MAX_CONNECTIONS);
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        let connection = all.add(address);
        drop(connection.limit_time(Duration::from_secs(1)));
        let minute = Duration::from_secs(60);
        let closed = tokio::time::timeout(minute, connection.until_closed());
        assert!(closed.await.is_err());
        let _limit = connection.limit_time(Duration::from_secs(1));
        let closed = tokio::time::timeout(minute, connection.until_closed());
        closed.await.unwrap();
    }
}
