use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::chance::Chance;
use super::envelope::Kind;
use super::payload;
use super::simulated::{ID_WINDOW, SimulatedLog};
use super::{Ended, IdTerms, Log, Recalled, Replicated, ReplicatedLimits, RequestId, Stored};
use crate::metrics::Metrics;
use crate::outcome::{Outcome, Refused};
use crate::receipt::Receipt;
use sluice_types::clock::BootTime;
use sluice_types::lease::Lease;
use sluice_types::record::{LogRecord, Text};

pub(super) const HOUR: Duration = Duration::from_secs(3600);

/// What was delivered, by any owner.
pub(super) type Delivered = Arc<Mutex<BTreeSet<String>>>;

/// One leader, which delivers what it reads.
pub(super) struct Owner {
    pub(super) journal: Replicated,
    lease: Arc<Lease>,
    pub(super) tasks: JoinSet<()>,
}

impl Owner {
    pub(super) fn start(log: &SimulatedLog, epoch: u64, delivered: &Delivered) -> Self {
        let capacity = 1000;
        Self::remembering(log, epoch, delivered, (capacity, ID_WINDOW))
    }

    /// One that remembers so many ids for so long.
    pub(super) fn remembering(
        log: &SimulatedLog,
        epoch: u64,
        delivered: &Delivered,
        ids: (usize, Duration),
    ) -> Self {
        let mut owner = Self::open(log, epoch, ids);
        let deliver = deliver(owner.journal.clone(), Arc::clone(delivered));
        owner.tasks.spawn(deliver);
        owner
    }

    /// One whose sink takes nothing.
    pub(super) fn without_sink(log: &SimulatedLog, epoch: u64) -> Self {
        Self::open(log, epoch, (1000, ID_WINDOW))
    }

    fn open(log: &SimulatedLog, epoch: u64, (capacity, window): (usize, Duration)) -> Self {
        let limits = ReplicatedLimits {
            bytes: 1 << 20,
            pending: 256 << 10,
            requests: 1000,
        };
        let metrics = Metrics::new().stream("default");
        let shared_log = Arc::new(log.clone()) as Arc<dyn Log>;
        let ids = IdTerms {
            log: Arc::new(log.ids.clone()),
            capacity,
            window,
        };
        let made = Replicated::new(shared_log, epoch, limits, metrics, None, Some(ids));
        let (journal, writer) = made;
        let mut tasks = JoinSet::new();
        tasks.spawn(writer.run());
        let end = BootTime::now() + 24 * HOUR;
        Self {
            journal,
            lease: Arc::new(Lease::new(epoch, BootTime::default(), end)),
            tasks,
        }
    }

    pub(super) fn submit(&self, bodies: &[String]) -> Result<Receipt, Refused> {
        self.submit_known(Vec::new(), bodies)
    }

    /// Submits a request with ids.
    pub(super) fn submit_known(
        &self,
        ids: Vec<RequestId>,
        bodies: &[String],
    ) -> Result<Receipt, Refused> {
        let record = |body: &String| {
            let body = Text::try_from(bytes::Bytes::from(body.clone())).unwrap();
            LogRecord::with_body(body, 0)
        };
        let records = bodies.iter().map(record).collect();
        self.journal.append(&self.lease, (ids, records), false)
    }

    /// The ids that earlier owners have stored, if it knows them already.
    pub(super) fn recalled(&self) -> Option<Arc<Recalled>> {
        let recall = self.journal.recall().unwrap();
        let known = recall.0.borrow().clone();
        known.and_then(Result::ok)
    }

    pub(super) async fn acknowledged(&self, bodies: &[String]) {
        let receipt = self.submit(bodies).unwrap();
        let outcome = timeout(HOUR, receipt).await.unwrap();
        assert!(
            matches!(outcome, Outcome::Acknowledged { .. }),
            "{outcome:?}"
        );
    }

    pub(super) async fn finished(mut self) {
        self.journal.finish();
        assert_eq!(
            timeout(HOUR, self.journal.ended()).await,
            Ok(Ended::Finished)
        );
        self.tasks.shutdown().await;
    }

    pub(super) async fn fenced(&self) -> String {
        match timeout(HOUR, self.journal.ended()).await.unwrap() {
            Ended::Fenced(reason) => reason,
            Ended::Finished => panic!("it was not asked to finish"),
        }
    }
}

/// Delivers everything at once.
async fn deliver(journal: Replicated, delivered: Delivered) {
    let mut reader = journal.reader();
    loop {
        reader.more().await;
        match reader.read(1 << 16).await {
            Ok(chunk) => {
                let bodies = chunk.records.iter().map(|record| record.body.to_string());
                delivered.lock().unwrap().extend(bodies);
                journal.settle(super::sequence_of(chunk.end));
            }
            Err(_) => sleep(Duration::from_millis(20)).await,
        }
    }
}

pub(super) fn bodies(name: &str, count: usize) -> Vec<String> {
    (0..count).map(|index| format!("{name} {index}")).collect()
}

pub(super) async fn until(condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(HOUR, waiting).await.expect("it comes true");
}

/// All records of the log, with the epoch that wrote them, in order.
fn records_of(log: &SimulatedLog) -> Vec<(u64, String)> {
    let mut all = Vec::new();
    let mut parts = Vec::new();
    for message in log.history() {
        let envelope = message.envelope.unwrap();
        if envelope.kind == Kind::Barrier {
            parts.clear();
        }
        let whole = match envelope.part {
            None => message.frames().unwrap(),
            Some(part) => {
                parts.extend_from_slice(&message.frames().unwrap());
                if part.number < part.count {
                    continue;
                }
                std::mem::take(&mut parts).into()
            }
        };
        let records = payload::records(whole).unwrap();
        let epoch = envelope.term.epoch;
        all.extend(
            records
                .iter()
                .map(|record| (epoch, record.body.to_string())),
        );
    }
    all
}

/// One history of several owners that know nothing of each other, under faults.
async fn history(seed: u64) {
    let log = SimulatedLog::new(seed, seed % 40);
    let mut chance = Chance::new(seed ^ 0xABCD);
    let delivered = Delivered::default();
    let acknowledged: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let mut order: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    let mut owners = vec![Owner::start(&log, 1, &delivered)];
    let mut clients = JoinSet::new();
    for step in 0..60 {
        if chance.percent(6) && owners.len() < 4 {
            let epoch = owners.len() as u64 + 1;
            owners.push(Owner::start(&log, epoch, &delivered));
        }
        let which = owners.len() - 1 - chance.below(owners.len().min(2) as u64) as usize;
        let count = 1 + chance.below(12) as usize;
        let mut sent = bodies(&format!("{seed}.{step}"), count);
        if chance.percent(10) {
            sent[0].push_str(&"long ".repeat(2000));
        }
        // Requests with ids wait until those of earlier owners are known.
        let is_known = owners[which].recalled().is_some() && chance.percent(70);
        let ids = match is_known {
            true => random_ids(&mut chance),
            false => Vec::new(),
        };
        if let Ok(receipt) = owners[which].submit_known(ids, &sent) {
            order
                .entry(which as u64 + 1)
                .or_default()
                .extend(sent.clone());
            let acknowledged = Arc::clone(&acknowledged);
            let gives_up = chance.percent(10);
            clients.spawn(async move {
                if gives_up {
                    sleep(Duration::from_millis(3)).await;
                    drop(receipt);
                } else if matches!(receipt.await, Outcome::Acknowledged { .. }) {
                    acknowledged.lock().unwrap().extend(sent);
                }
            });
        }
        log.set_away(chance.percent(5));
        log.ids.set_away(chance.percent(10));
        log.set_full(chance.percent(8));
        sleep(Duration::from_millis(chance.below(8))).await;
        check_removed(&log, &delivered);
    }
    log.set_faults(0);
    log.set_away(false);
    log.set_full(false);
    log.ids.set_away(false);
    let last = Owner::start(&log, 9, &delivered);
    last.acknowledged(&bodies("last", 1)).await;
    until(|| delivered.lock().unwrap().contains("last 0")).await;
    let mut probes = Vec::new();
    for owner in &owners {
        probes.push(owner.submit(&bodies("probe", 1)));
        assert!(owner.fenced().await.contains("epoch"));
        owner.journal.fail("fenced");
    }
    drop(owners);
    while clients.join_next().await.is_some() {}
    check_removed(&log, &delivered);
    check_log(&log, &acknowledged.lock().unwrap(), &order);
    let delivered = delivered.lock().unwrap().clone();
    let acknowledged = acknowledged.lock().unwrap().clone();
    let lost: Vec<_> = acknowledged.difference(&delivered).collect();
    assert!(lost.is_empty(), "seed {seed}: not delivered: {lost:?}");
    until(|| last.recalled().is_some()).await;
    let recalled = last.recalled().unwrap().take();
    let recalled: BTreeSet<_> = recalled.into_iter().map(|(id, _)| id).collect();
    let stored: BTreeSet<_> = log.history().iter().flat_map(Stored::ids).collect();
    assert_eq!(recalled, stored, "seed {seed}");
}

/// Most often one id, and sometimes many.
fn random_ids(chance: &mut Chance) -> Vec<RequestId> {
    let count = match chance.percent(10) {
        true => chance.below(20),
        false => 1,
    };
    let id = |_| {
        let mut id = RequestId::default();
        id.fill_with(|| chance.below(256) as u8);
        id
    };
    (0..count).map(id).collect()
}

/// Only what was delivered is removed, and no ids that are nowhere else.
fn check_removed(log: &SimulatedLog, delivered: &Delivered) {
    for message in log.removed() {
        let kept = log.ids.all();
        for id in message.ids() {
            assert!(kept.contains(&id), "an id was removed");
        }
        let is_whole = message.envelope.unwrap().part.is_none();
        for record in payload::records(message.frames().unwrap())
            .filter(|_| is_whole)
            .unwrap_or_default()
        {
            let body = record.body.to_string();
            assert!(
                delivered.lock().unwrap().contains(&body),
                "{body} was removed"
            );
        }
    }
}

/// Each record is there once, in the order of its owner, and everything that
/// was acknowledged is there; epochs follow each other.
fn check_log(
    log: &SimulatedLog,
    acknowledged: &BTreeSet<String>,
    order: &BTreeMap<u64, Vec<String>>,
) {
    let stored = records_of(log);
    let epochs = log.history();
    let epochs = epochs
        .iter()
        .map(|message| message.envelope.unwrap().term.epoch);
    assert!(epochs.is_sorted(), "an old owner added something");
    let mut seen = BTreeSet::new();
    let mut positions: BTreeMap<u64, usize> = BTreeMap::new();
    for (epoch, body) in &stored {
        assert!(seen.insert(body.clone()), "{body} is there twice");
        let Some(sent) = order.get(epoch) else {
            continue;
        };
        let from = positions.entry(*epoch).or_default();
        let found = sent[*from..].iter().position(|sent| sent == body);
        *from += found.expect("records are in order") + 1;
    }
    let missing: Vec<_> = acknowledged.difference(&seen).collect();
    assert!(
        missing.is_empty(),
        "acknowledged, and not stored: {missing:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_acknowledged_is_lost_or_stored_twice_whatever_goes_wrong() {
    let histories = std::env::var("SLUICE_HISTORIES").ok();
    let histories = histories
        .and_then(|count| count.parse().ok())
        .unwrap_or(200);
    for seed in 0..histories {
        timeout(HOUR, history(seed))
            .await
            .unwrap_or_else(|_| panic!("seed {seed} does not end"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_next_owner_delivers_what_the_last_one_left() {
    let log = SimulatedLog::new(1, 0);
    let first = Owner::without_sink(&log, 1);
    first.acknowledged(&bodies("a", 30)).await;
    first
        .acknowledged(&[format!("b {}", "x".repeat(20_000))])
        .await;
    assert_eq!(first.journal.status().backlog, 31);
    drop(first);
    let delivered = Delivered::default();
    let second = Owner::start(&log, 2, &delivered);
    until(|| delivered.lock().unwrap().len() == 31).await;
    until(|| second.journal.status().backlog == 0).await;
    second.finished().await;
    let settled = log.history().last().unwrap().envelope.unwrap().settled;
    assert_eq!(settled.records, 31);
}

#[tokio::test(start_paused = true)]
async fn an_old_owner_that_wakes_up_is_fenced() {
    let log = SimulatedLog::new(2, 0);
    let delivered = Delivered::default();
    let old = Owner::start(&log, 5, &delivered);
    old.acknowledged(&bodies("a", 1)).await;
    let new = Owner::start(&log, 6, &delivered);
    new.acknowledged(&bodies("b", 1)).await;
    let late = old.submit(&bodies("c", 1)).unwrap();
    assert!(old.fenced().await.contains("epoch 6"));
    old.journal.fail("fenced");
    drop(old);
    assert!(!matches!(late.await, Outcome::Acknowledged { .. }));
    assert!(!records_of(&log).iter().any(|(_, body)| body == "c 0"));
    // Neither can one of an epoch that is over open the log.
    let older = Owner::start(&log, 4, &delivered);
    assert!(older.fenced().await.contains("epoch 6"));
}

#[tokio::test(start_paused = true)]
async fn requests_wait_while_no_server_answers() {
    let log = SimulatedLog::new(3, 0);
    let delivered = Delivered::default();
    let owner = Owner::start(&log, 1, &delivered);
    owner.acknowledged(&bodies("a", 1)).await;
    log.set_away(true);
    let sent = owner.submit(&bodies("b", 1)).unwrap();
    sleep(Duration::from_secs(10)).await;
    let waiting = owner.submit(&bodies("c", 1)).unwrap();
    sleep(Duration::from_secs(1)).await;
    assert!(owner.journal.status().failure.is_some());
    assert!(matches!(waiting.give_up(), Outcome::NotDelivered(_)));
    log.set_away(false);
    assert!(matches!(sent.await, Outcome::Acknowledged { .. }));
    owner.acknowledged(&bodies("d", 1)).await;
    assert_eq!(owner.journal.status().failure, None);
    owner.finished().await;
    let stored: Vec<_> = records_of(&log).into_iter().map(|(_, body)| body).collect();
    assert_eq!(stored, ["a 0", "b 0", "d 0"]);
}

#[tokio::test(start_paused = true)]
async fn a_full_log_refuses_and_goes_on_once_there_is_room() {
    let log = SimulatedLog::new(4, 0);
    let delivered = Delivered::default();
    let owner = Owner::start(&log, 1, &delivered);
    owner.acknowledged(&bodies("a", 1)).await;
    log.set_full(true);
    let waits = owner.submit(&bodies("b", 1)).unwrap();
    until(|| owner.submit(&bodies("c", 1)).is_err()).await;
    assert_eq!(owner.submit(&bodies("d", 1)).unwrap_err(), Refused::Full);
    log.set_full(false);
    assert!(matches!(waits.await, Outcome::Acknowledged { .. }));
    owner.acknowledged(&bodies("e", 1)).await;
}

#[tokio::test(start_paused = true)]
async fn settled_messages_are_removed_and_an_idle_log_is_left_alone() {
    let log = SimulatedLog::new(5, 0);
    let delivered = Delivered::default();
    let owner = Owner::start(&log, 1, &delivered);
    for request in 0..20 {
        owner.acknowledged(&bodies(&request.to_string(), 10)).await;
    }
    sleep(Duration::from_secs(60)).await;
    let count = log.history().len();
    assert!(log.removed().len() > 15);
    sleep(Duration::from_secs(600)).await;
    assert_eq!(log.history().len(), count, "an idle log grows");
    assert_eq!(log.ids.count(), 1, "ids are stored that do not exist");
    owner.finished().await;
}

#[tokio::test(start_paused = true)]
async fn a_log_that_went_back_ends_the_tenure() {
    let log = SimulatedLog::new(6, 0);
    let delivered = Delivered::default();
    let owner = Owner::start(&log, 1, &delivered);
    owner.acknowledged(&bodies("a", 1)).await;
    sleep(Duration::from_secs(1)).await;
    log.lose(1);
    drop(owner.submit(&bodies("b", 1)).unwrap());
    let _waits = owner.submit(&bodies("b", 1)).unwrap();
    assert!(owner.fenced().await.contains("has lost messages"));
}

#[tokio::test(start_paused = true)]
async fn damaged_records_are_left_out_in_the_end() {
    let log = SimulatedLog::new(7, 0);
    let delivered = Delivered::default();
    let mut first = Owner::start(&log, 1, &delivered);
    first.acknowledged(&bodies("a", 1)).await;
    first.tasks.shutdown().await;
    let history = log.history();
    let is_group = |kind: Kind| kind == Kind::Group;
    let group = history
        .iter()
        .position(|stored| is_group(stored.envelope.unwrap().kind));
    log.damage(group.unwrap() + 1);
    let again = Delivered::default();
    let second = Owner::start(&log, 2, &again);
    second.acknowledged(&bodies("b", 1)).await;
    until(|| again.lock().unwrap().contains("b 0")).await;
}
