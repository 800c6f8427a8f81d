//! The open connections of a server: how many each source may have, and which
//! ones end when others need the room or nothing happens on them.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::AbortHandle;

use super::activity::{Activity, Phase, Rounds};
use super::other_nodes::OtherNodes;
use sluice_delivery::metrics::Metrics;

/// How many idle connections end at once when room is needed, as a part of all
/// idle ones: choosing them takes time for each.
const EVICTED_PART: usize = 64;
/// How often the log says that a source has too many connections.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// How often connections are looked at, and how long they may do nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// The length of a round.
    pub(super) round: Duration,
    /// Rounds for a TLS handshake and the head of a request.
    pub(super) head: u64,
    /// Rounds between two requests.
    pub(super) idle: u64,
}

/// The open connections.
#[derive(Debug)]
pub(super) struct Connections {
    table: Mutex<Table>,
    rounds: Arc<Rounds>,
    patience: Patience,
    /// The most of one source.
    per_source: usize,
    /// For these there is no such limit.
    nodes: OtherNodes,
    metrics: Arc<Metrics>,
}

#[derive(Debug, Default)]
struct Table {
    sources: HashMap<IpAddr, Source>,
    next: u64,
    warned: Option<Instant>,
    /// All connections must end.
    is_cut: bool,
}

#[derive(Debug, Default)]
struct Source {
    connections: HashMap<u64, Connection>,
    /// The round in which none of them was idle. They are not looked at again
    /// in that round, so that a flood costs little.
    busy_in: Option<u64>,
}

#[derive(Debug)]
struct Connection {
    activity: Arc<Activity>,
    /// Known once a task that serves the connection has been spawned, with the number
    /// of tasks before it.
    task: Option<(u64, AbortHandle)>,
}

/// A connection's place in the table, until it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    connections: Arc<Connections>,
    key: PlaceKey,
    pub(super) activity: Arc<Activity>,
}

/// Which place it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PlaceKey {
    source: IpAddr,
    number: u64,
}

impl Connections {
    /// `per_source`: the most connections of one source, unless it is one of
    /// `nodes`.
    pub(super) fn new(
        per_source: usize,
        patience: Patience,
        nodes: OtherNodes,
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        Arc::new(Self {
            table: Mutex::default(),
            rounds: Arc::default(),
            patience,
            per_source,
            nodes,
            metrics,
        })
    }

    /// A place for a connection from this address. If its source has too many,
    /// idle ones of the same source end; `None` if it has none.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let (source, most) = self.source_of(address);
        let activity = Arc::new(Activity::new(&self.rounds));
        let mut table = self.table();
        let is_full = table.count(source) >= most;
        if is_full && !table.evict_of(source, self.rounds.now()) {
            table.warn(source, most);
            return None;
        }
        let number = table.next;
        table.next += 1;
        let connection = Connection {
            activity: Arc::clone(&activity),
            task: None,
        };
        let of_source = table.sources.entry(source).or_default();
        of_source.connections.insert(number, connection);
        drop(table);
        self.metrics.connections.inc();
        Some(Place {
            connections: Arc::clone(self),
            key: PlaceKey { source, number },
            activity,
        })
    }

    /// Tells the table which task serves the connection, after so many others.
    pub(super) fn started(&self, key: PlaceKey, earlier: u64, task: AbortHandle) {
        let mut table = self.table();
        let is_cut = table.is_cut;
        match table.get(key) {
            Some(connection) if !is_cut => {
                let known = connection.task.as_ref();
                // A later one may have started already.
                if known.is_none_or(|(known, _)| *known < earlier) {
                    connection.task = Some((earlier, task));
                }
            }
            // It was evicted before, or has ended already.
            _ => task.abort(),
        }
    }

    /// Ends some idle connections, those of the sources with the most
    /// connections first, and of these the ones that have been idle for longest.
    pub(super) fn evict_idle(&self) {
        self.table().evict(None);
    }

    /// Ends all connections at once.
    pub(super) fn cut(&self) {
        let mut table = self.table();
        table.is_cut = true;
        let all = table.sources.values();
        let all = all.flat_map(|source| source.connections.values());
        all.filter_map(|connection| connection.task.as_ref())
            .for_each(|(_, task)| task.abort());
    }

    /// Ends connections on which nothing happens. Never returns.
    pub(super) async fn end_stale(&self) {
        loop {
            tokio::time::sleep(self.patience.round).await;
            let round = self.rounds.advance();
            self.table().end_stale(round, self.patience);
        }
    }

    /// The source that a connection from this address counts for, and the most
    /// that it may have.
    fn source_of(&self, address: IpAddr) -> (IpAddr, usize) {
        let address = address.to_canonical();
        match self.nodes.are_at(address) {
            // Not its network, where there may be clients.
            true => (address, usize::MAX),
            false => (network_of(address), self.per_source),
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn count(&self, source: IpAddr) -> usize {
        let of_source = self.sources.get(&source);
        of_source.map_or(0, |of_source| of_source.connections.len())
    }

    fn get(&mut self, key: PlaceKey) -> Option<&mut Connection> {
        let of_source = self.sources.get_mut(&key.source)?;
        of_source.connections.get_mut(&key.number)
    }

    fn remove(&mut self, key: PlaceKey) {
        if let Some(of_source) = self.sources.get_mut(&key.source) {
            of_source.connections.remove(&key.number);
            if of_source.connections.is_empty() {
                self.sources.remove(&key.source);
            }
        }
    }

    /// Ends idle connections of a source, if it has any.
    fn evict_of(&mut self, source: IpAddr, round: u64) -> bool {
        let of_source = self.sources.get(&source);
        if of_source.is_some_and(|of_source| of_source.busy_in == Some(round)) {
            return false;
        }
        let has_evicted = self.evict(Some(source)) > 0;
        if let Some(of_source) = self.sources.get_mut(&source) {
            of_source.busy_in = (!has_evicted).then_some(round);
        }
        has_evicted
    }

    /// Ends idle connections, of one source or of all, and returns how many.
    fn evict(&mut self, only: Option<IpAddr>) -> usize {
        let mut idle = Vec::new();
        for (key, size, (phase, since)) in self.found(only) {
            if matches!(phase, Phase::Head | Phase::Idle) {
                idle.push((Reverse(size), since, key.number, key, phase));
            }
        }
        // Places are numbered in the order in which connections came.
        idle.sort_unstable_by_key(|(count, since, number, ..)| (*count, *since, *number));
        idle.truncate(1 + idle.len() / EVICTED_PART);
        let closed = idle
            .into_iter()
            .filter(|(_, since, _, key, phase)| self.close(*key, (*phase, *since)));
        closed.count()
    }

    fn end_stale(&mut self, round: u64, patience: Patience) {
        let mut stale = Vec::new();
        for (key, _, (phase, since)) in self.found(None) {
            let age = round.saturating_sub(since);
            let is_over = match phase {
                Phase::Head => age > patience.head,
                Phase::Idle => age > patience.idle,
                _ => false,
            };
            if is_over {
                stale.push((key, (phase, since)));
            }
        }
        for (key, found) in stale {
            self.close(key, found);
        }
    }

    /// The connections of one source or of all: how many its source has, and what
    /// it does since which round.
    fn found(
        &self,
        only: Option<IpAddr>,
    ) -> impl Iterator<Item = (PlaceKey, usize, (Phase, u64))> + '_ {
        let is_wanted = move |source: &IpAddr| only.is_none_or(|only| only == *source);
        let sources = self.sources.iter();
        let wanted = sources.filter(move |(source, _)| is_wanted(source));
        wanted.flat_map(|(source, of_source)| {
            let (source, size) = (*source, of_source.connections.len());
            let connections = of_source.connections.iter();
            connections.map(move |(number, connection)| {
                let number = *number;
                (PlaceKey { source, number }, size, connection.activity.now())
            })
        })
    }

    /// Ends a connection, if it still does what was found.
    fn close(&mut self, key: PlaceKey, found: (Phase, u64)) -> bool {
        let Some(connection) = self.get(key) else {
            return false;
        };
        if !connection.activity.close(found) {
            return false;
        }
        if let Some((_, task)) = &connection.task {
            task.abort();
        }
        self.remove(key);
        true
    }

    fn warn(&mut self, source: IpAddr, most: usize) {
        let is_due = |warned: Instant| warned.elapsed() >= WARNING_INTERVAL;
        if self.warned.is_none_or(is_due) {
            self.warned = Some(Instant::now());
            tracing::warn!(
                %source,
                most,
                "a source has as many connections as one may have, and all are busy; closing further \
                 ones (if many clients share this address, raise --max-connections-per-source)"
            );
        }
    }
}

impl Place {
    pub(super) fn connections(&self) -> Arc<Connections> {
        Arc::clone(&self.connections)
    }

    pub(super) const fn key(&self) -> PlaceKey {
        self.key
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.table().remove(self.key);
        self.connections.metrics.connections.dec();
    }
}

/// What counts as one source: an IPv4 address, or the /64 network that an IPv6
/// address is in, in which one host can have any address.
pub(super) fn network_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(ip) => {
            let network = ip.to_bits() & (u128::MAX << 64);
            IpAddr::V6(Ipv6Addr::from_bits(network))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        round: Duration::from_millis(1),
        head: 2,
        idle: 5,
    };

    fn connections(per_source: usize) -> Arc<Connections> {
        let nodes = OtherNodes::fake(Some("10.0.9.1:1"), &["10.0.9.2:1", "[2001:db8::9]:1"]);
        Connections::new(per_source, PATIENCE, nodes, Arc::new(Metrics::new()))
    }

    fn is_open(place: &Place) -> bool {
        place.activity.now().0 != Phase::Closed
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn beyond_its_number_a_source_has_no_place_while_all_are_busy() {
        let connections = connections(2);
        let enter = |ip| connections.enter(address(ip));
        let (one, two) = (enter("10.0.0.1").unwrap(), enter("10.0.0.1").unwrap());
        assert!(one.activity.begin() && two.activity.begin());
        assert!(enter("10.0.0.1").is_none());
        assert!(enter("::ffff:10.0.0.1").is_none());
        assert!(enter("10.0.0.2").is_some());
        one.activity.answered();
        one.activity.flushed();
        assert!(enter("10.0.0.1").is_none(), "not looked at again so soon");
        connections.rounds.advance();
        assert!(enter("10.0.0.1").is_some());
        assert!(!is_open(&one) && is_open(&two));
        drop(one);
        assert_eq!(connections.metrics.connections.get(), 1);
    }

    #[test]
    fn beyond_its_number_a_source_loses_what_it_has_left_idle_for_longest() {
        let connections = connections(3);
        let enter = || connections.enter(address("10.0.0.1")).unwrap();
        let (busy, first, second) = (enter(), enter(), enter());
        assert!(busy.activity.begin());
        let other = connections.enter(address("10.0.0.2")).unwrap();
        let third = enter();
        let open = [&busy, &first, &second, &third, &other].map(is_open);
        assert_eq!(open, [true, false, true, true, true]);
    }

    #[test]
    fn an_ipv6_network_is_one_source() {
        let connections = connections(1);
        let enter = |ip| connections.enter(address(ip));
        let first = enter("2001:db8::1").unwrap();
        assert!(first.activity.begin());
        assert!(enter("2001:db8::2").is_none());
        assert!(enter("2001:db8:0:1::1").is_some());
    }

    #[test]
    fn another_node_has_no_limit_and_takes_nothing_from_its_network() {
        let connections = connections(1);
        let enter = |ip| {
            let place = connections.enter(address(ip))?;
            assert!(place.activity.begin());
            Some(place)
        };
        for (node, client) in [("10.0.9.2", "10.0.9.1"), ("2001:db8::9", "2001:db8::1")] {
            let relays = [node; 3].map(|node| enter(node).unwrap());
            assert!(relays.iter().all(is_open), "{node}");
            let _one = enter(client).unwrap();
            assert!(enter(client).is_none(), "{client}");
        }
    }

    #[test]
    fn the_source_with_the_most_connections_loses_idle_ones_first() {
        let connections = connections(usize::MAX);
        let enter = |ip| connections.enter(address(ip)).unwrap();
        let (innocent, greedy) = (enter("10.0.0.1"), enter("10.0.0.2"));
        let busy = enter("10.0.0.2");
        assert!(busy.activity.begin());
        connections.evict_idle();
        assert_eq!(
            [&innocent, &greedy, &busy].map(is_open),
            [true, false, true]
        );
        connections.evict_idle();
        assert!(!is_open(&innocent) && is_open(&busy));
    }

    #[test]
    fn a_head_that_does_not_come_ends_a_connection_sooner_than_idleness() {
        let connections = connections(usize::MAX);
        let enter = || connections.enter(address("10.0.0.1")).unwrap();
        let (silent, idle, busy) = (enter(), enter(), enter());
        for place in [&idle, &busy] {
            assert!(place.activity.begin());
        }
        idle.activity.answered();
        idle.activity.flushed();
        let pass = |rounds: u64| {
            for _ in 0..rounds {
                let round = connections.rounds.advance();
                connections.table().end_stale(round, PATIENCE);
            }
            [&silent, &idle, &busy].map(is_open)
        };
        assert_eq!(pass(2), [true, true, true]);
        assert_eq!(pass(1), [false, true, true]);
        assert_eq!(pass(2), [false, true, true]);
        assert_eq!(pass(1), [false, false, true]);
    }

    #[tokio::test]
    async fn a_task_that_starts_after_its_connection_was_closed_is_ended() {
        let connections = connections(usize::MAX);
        let place = connections.enter(address("10.0.0.1")).unwrap();
        connections.evict_idle();
        let task = tokio::spawn(std::future::pending::<()>());
        connections.started(place.key(), 0, task.abort_handle());
        assert!(task.await.unwrap_err().is_cancelled());
    }

    #[tokio::test]
    async fn the_latest_task_of_a_connection_is_ended_whichever_is_told_first() {
        let connections = connections(usize::MAX);
        let place = connections.enter(address("10.0.0.1")).unwrap();
        let [moved, latest] = [(); 2].map(|()| tokio::spawn(std::future::pending::<()>()));
        connections.started(place.key(), 1, latest.abort_handle());
        connections.started(place.key(), 0, moved.abort_handle());
        connections.evict_idle();
        assert!(latest.await.unwrap_err().is_cancelled());
        assert!(!moved.is_finished());
    }

    #[tokio::test]
    async fn a_task_that_starts_after_all_were_cut_is_ended() {
        let connections = connections(usize::MAX);
        let place = connections.enter(address("10.0.0.1")).unwrap();
        connections.cut();
        let task = tokio::spawn(std::future::pending::<()>());
        connections.started(place.key(), 0, task.abort_handle());
        assert!(task.await.unwrap_err().is_cancelled());
    }
}
