//! A journal against a model: what was acknowledged is there again, whatever
//! the end of the process cut short.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::{Backlog, Chunk, Journal, JournalId, JournalLimits};
use crate::Intake;
use crate::metrics::Metrics;
use crate::outcome::{Outcome, Refused};
use crate::receipt::Receipt;
use crate::{Feeder, Finish};
use crate::{Queue, QueueLimits};
use sluice_types::clock::BootTime;
use sluice_types::lease::Lease;
use sluice_types::record::{LogRecord, Text, Value};

const LIMITS: JournalLimits = JournalLimits {
    bytes: 8 << 20,
    pending: 1 << 20,
};
const QUEUE: QueueLimits = QueueLimits {
    records: 1_000_000,
    bytes: 1 << 30,
};

/// Syncs cost nothing there. These tests make many, and are not about disks.
fn in_memory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap()
}

fn open(folder: &Path, limits: JournalLimits) -> Journal {
    Journal::open(
        folder.to_owned(),
        limits,
        Metrics::new().stream("default"),
        None,
    )
    .unwrap()
}

fn lease(epoch: u64) -> Arc<Lease> {
    let end = BootTime::now() + Duration::from_secs(3600);
    Arc::new(Lease::new(epoch, BootTime::default(), end))
}

/// A tenure that takes requests in.
struct Tenure {
    lease: Arc<Lease>,
    intake: Intake,
}

impl Tenure {
    fn begin(journal: &Journal, epoch: u64) -> Self {
        let (queue, lease) = (Queue::new(epoch, QUEUE), lease(epoch));
        Self {
            intake: Intake::journaled(journal.clone(), queue, Arc::clone(&lease)),
            lease,
        }
    }

    fn submit(&self, records: Vec<LogRecord>) -> Result<Receipt, Refused> {
        self.intake.submit(crate::Producer::IsTold, None, records)
    }
}

fn wait(receipt: Receipt) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(20), receipt)
            .await
            .unwrap()
    })
}

fn is_acknowledged(receipt: Receipt) -> bool {
    matches!(wait(receipt), Outcome::Acknowledged { .. })
}

fn record(number: u64) -> LogRecord {
    let text = format!("record {number}");
    let padding = usize::try_from(number * 7919 % 97).unwrap();
    LogRecord {
        attributes: vec![(
            Text::from_static("padding"),
            Value::Bytes(vec![0xFE; padding].into()),
        )]
        .into(),
        ..LogRecord::with_body(text.into(), number)
    }
}

/// The numbers of all unsettled records, in order.
fn backlog(journal: &Journal) -> Vec<u64> {
    let mut backlog = Backlog::new(journal.clone());
    let mut numbers = Vec::new();
    loop {
        let chunk = backlog.read(10_000).unwrap();
        if chunk.is_empty() {
            return numbers;
        }
        numbers.extend(chunk.records.iter().map(|record| record.timestamp));
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        match fs::copy(&path, to.join(path.file_name().unwrap())) {
            Ok(_) => {}
            // Settled, and removed meanwhile.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => panic!("{error}"),
        }
    }
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "not in time: {what}"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn files(folder: &Path) -> usize {
    fs::read_dir(folder).unwrap().count()
}

#[test]
fn what_was_acknowledged_is_there_again_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let journal = open(path, LIMITS);
    let tenure = Tenure::begin(&journal, 3);
    let receipts: Vec<_> = (0..100)
        .map(|at| {
            tenure
                .submit(vec![record(2 * at), record(2 * at + 1)])
                .unwrap()
        })
        .collect();
    assert!(receipts.into_iter().all(is_acknowledged));
    let id = journal.id();
    drop((tenure, journal));
    let journal = open(path, LIMITS);
    assert_eq!(journal.id(), id);
    assert_eq!(backlog(&journal), (0..200).collect::<Vec<_>>());
    let first = Backlog::new(journal.clone()).read(1).unwrap();
    assert_eq!(first.records[0].id.epoch, 3);
    assert_eq!(first.records[0].id.sequence, 1);
    // What is settled does not come again.
    journal.settle(151);
    journal.took(JournalId([7; 16]), 42);
    drop(journal);
    let journal = open(path, LIMITS);
    assert_eq!(backlog(&journal), (150..200).collect::<Vec<_>>());
    assert_eq!(journal.taken_from(JournalId([7; 16])), 42);
    assert_eq!(Journal::inspect(path).unwrap().backlog, 50);
}

/// Acknowledged in groups; the bytes of the file before the last one.
fn written_in_groups(path: &Path, groups: u64, size: u64) -> u64 {
    let journal = open(path, LIMITS);
    let tenure = Tenure::begin(&journal, 1);
    let mut before = 0;
    for group in 0..groups {
        before = journal.status().bytes;
        let records = (group * size..(group + 1) * size).map(record).collect();
        assert!(is_acknowledged(tenure.submit(records).unwrap()));
    }
    before
}

#[test]
fn a_tail_that_is_cut_at_any_byte_costs_only_itself() {
    let folder = in_memory();
    let original = folder.path().join("original");
    let before = written_in_groups(&original, 4, 6);
    let inventory = Journal::inspect(&original).unwrap();
    assert_eq!(inventory.records, 24);
    let file = fs::read_dir(&original).unwrap().next().unwrap().unwrap();
    let name = file.file_name();
    for length in before..=inventory.bytes {
        let cut = folder.path().join(format!("cut-{length}"));
        copy(&original, &cut);
        let file = fs::File::options()
            .write(true)
            .open(cut.join(&name))
            .unwrap();
        file.set_len(length).unwrap();
        let journal = open(&cut, LIMITS);
        let found = backlog(&journal);
        assert!(found.len() >= 18, "cut at {length}: {found:?}");
        assert_eq!(found, (0..found.len() as u64).collect::<Vec<_>>());
        // It goes on, and nothing that follows is mistaken for what was cut.
        let tenure = Tenure::begin(&journal, 2);
        assert!(is_acknowledged(tenure.submit(vec![record(1000)]).unwrap()));
        drop((tenure, journal));
        let journal = open(&cut, LIMITS);
        assert_eq!(backlog(&journal).len(), found.len() + 1, "cut at {length}");
        assert_eq!(Journal::inspect(&cut).unwrap().damage, []);
        drop(journal);
        fs::remove_dir_all(&cut).unwrap();
    }
}

#[test]
fn a_byte_that_is_wrong_costs_at_most_its_own_record() {
    let folder = in_memory();
    let original = folder.path().join("original");
    let before = written_in_groups(&original, 4, 6);
    let end = Journal::inspect(&original).unwrap().bytes;
    let file = fs::read_dir(&original).unwrap().next().unwrap().unwrap();
    let name = file.file_name();
    for at in before..end {
        let broken = folder.path().join(format!("broken-{at}"));
        copy(&original, &broken);
        let mut bytes = fs::read(broken.join(&name)).unwrap();
        bytes[usize::try_from(at).unwrap()] ^= 1 << (at % 8);
        fs::write(broken.join(&name), &bytes).unwrap();
        let journal = open(&broken, LIMITS);
        let found = backlog(&journal);
        assert!(found.len() >= 23, "wrong at {at}: {found:?}");
        assert!(found.is_sorted() && found.iter().all(|number| *number < 24));
        // Lost numbers are given again: not as those of the same journal.
        let tenure = Tenure::begin(&journal, 2);
        assert!(is_acknowledged(tenure.submit(vec![record(1000)]).unwrap()));
        drop((tenure, journal));
        assert_eq!(backlog(&open(&broken, LIMITS)).last(), Some(&1000));
        fs::remove_dir_all(&broken).unwrap();
    }
}

#[test]
fn damage_is_counted_and_reported() {
    let folder = tempfile::tempdir().unwrap();
    written_in_groups(folder.path(), 4, 6);
    let file = fs::read_dir(folder.path())
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xFF;
    fs::write(&file, &bytes).unwrap();
    let inventory = Journal::inspect(folder.path()).unwrap();
    assert_eq!((inventory.damage.len(), inventory.missing), (1, 1));
    assert!(!inventory.damage[0].is_tail);
    let metrics = Metrics::new().stream("default");
    let before = Journal::open(folder.path().to_owned(), LIMITS, Arc::clone(&metrics), None);
    assert_eq!(backlog(&before.unwrap()).len(), 23);
    let damage = &inventory.damage[0].bytes;
    assert_eq!(
        metrics.journal_damaged_bytes.get(),
        damage.end - damage.start
    );
}

#[test]
fn a_full_journal_refuses_and_has_room_again_once_records_are_settled() {
    let folder = tempfile::tempdir().unwrap();
    let limits = JournalLimits {
        bytes: 1 << 20,
        pending: 256 << 10,
    };
    let journal = open(folder.path(), limits);
    let tenure = Tenure::begin(&journal, 1);
    let fill = |tenure: &Tenure| {
        let mut count = 0;
        loop {
            let body = Text::from("x".repeat(10_000));
            match tenure.submit(vec![LogRecord::with_body(body, count)]) {
                Ok(receipt) => assert!(is_acknowledged(receipt)),
                Err(refused) => {
                    assert_eq!(refused, Refused::Full);
                    return count;
                }
            }
            count += 1;
        }
    };
    let count = fill(&tenure);
    assert!((90..=105).contains(&count), "{count}");
    let large = LogRecord::with_body(Text::from("x".repeat(600_000)), 0);
    assert_eq!(tenure.submit(vec![large]).unwrap_err(), Refused::TooLarge);
    assert!(journal.status().bytes <= 1 << 20);
    journal.settle(count + 1);
    until("the segments are removed", || {
        journal.status().bytes < 200_000
    });
    assert_eq!(files(folder.path()), 1);
    assert!(fill(&tenure) > 80);
}

#[test]
fn nothing_is_acknowledged_without_a_lease() {
    let folder = tempfile::tempdir().unwrap();
    let journal = open(folder.path(), LIMITS);
    let tenure = Tenure::begin(&journal, 1);
    let suspended = Arc::new(Lease::new(2, BootTime::default(), BootTime::from_nanos(1)));
    let queue = Queue::new(2, QUEUE);
    let intake = Intake::journaled(journal.clone(), queue, Arc::clone(&suspended));
    let mut waiting = intake
        .submit(crate::Producer::IsTold, None, vec![record(1)])
        .unwrap();
    // The others are not held up, and what was before them is on disk.
    assert!(is_acknowledged(tenure.submit(vec![record(2)]).unwrap()));
    assert_eq!((&mut waiting).now_or_never(), None);
    suspended.extend(BootTime::now() + Duration::from_secs(60));
    assert!(is_acknowledged(waiting));
    tenure.lease.revoke();
    let outcome = wait(tenure.submit(vec![record(3)]).unwrap());
    assert!(matches!(outcome, Outcome::Unknown(_)), "{outcome:?}");
    // It is delivered all the same: nobody knows what the producer does.
    assert_eq!(backlog(&journal), [1, 2, 3]);
}

#[test]
fn chunks_travel_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    written_in_groups(folder.path(), 2, 5);
    let chunk = Backlog::new(open(folder.path(), LIMITS))
        .read(1 << 20)
        .unwrap();
    let frames = chunk.to_frames();
    let read = Chunk::from_frames(frames.clone().into()).unwrap();
    assert_eq!((read.entries, read.records), (chunk.entries, chunk.records));
    for at in 0..frames.len() {
        let mut wrong = frames.clone();
        wrong[at] ^= 0x10;
        assert!(Chunk::from_frames(wrong.into()).is_none(), "wrong at {at}");
        if let Some(cut) = Chunk::from_frames(frames[..at].to_vec().into()) {
            assert!(cut.to_frames().len() == at);
        }
    }
}

const COUNT: u64 = 100_000;

#[test]
fn a_concurrent_reader_misses_nothing_where_segments_end() {
    let folder = in_memory();
    let limits = JournalLimits {
        // For the smallest segments that there are.
        bytes: 512 << 10,
        ..LIMITS
    };
    let journal = open(folder.path(), limits);
    let tenure = Tenure::begin(&journal, 1);
    let reading = {
        let journal = journal.clone();
        std::thread::spawn(move || {
            let mut backlog = Backlog::new(journal.clone());
            let mut next = 0;
            while next < COUNT {
                let chunk = backlog.read(5_000).unwrap();
                for record in &chunk.records {
                    assert_eq!(record.timestamp, next, "a record was left out");
                    next += 1;
                }
                journal.settle(chunk.end);
            }
        })
    };
    let mut next = 0;
    while next < COUNT && !reading.is_finished() {
        let records = (next..next + 10).map(record).collect();
        match tenure.submit(records) {
            Ok(receipt) => {
                next += 10;
                drop(receipt);
            }
            Err(refused) => assert_eq!(refused, Refused::Full),
        }
    }
    reading.join().unwrap();
}

#[test]
fn a_concurrent_reader_misses_nothing_where_a_segment_without_records_is_replaced() {
    let folder = in_memory();
    let limits = JournalLimits {
        bytes: 1 << 20,
        ..LIMITS
    };
    let journal = open(folder.path(), limits);
    let tenure = Tenure::begin(&journal, 1);
    let mut backlog = Backlog::new(journal.clone());
    // It is in the first segment, which holds no records.
    assert!(backlog.read(1).unwrap().is_empty());
    let mut read = Vec::new();
    for request in 0..3 {
        // More than a segment, so each begins one.
        let records = (request * 2000..(request + 1) * 2000).map(record);
        assert!(is_acknowledged(tenure.submit(records.collect()).unwrap()));
    }
    // All of that can happen while it reads.
    assert!(backlog.advance());
    while read.len() < 6000 {
        let chunk = backlog.read(10_000).unwrap();
        assert!(!chunk.is_empty(), "only {} records were read", read.len());
        read.extend(chunk.records.iter().map(|record| record.timestamp));
    }
    assert!(read.into_iter().eq(0..6000));
}

/// Random requests, deliveries, crashes and restarts. What was acknowledged
/// and not settled is there, once and in order.
#[test]
fn a_journal_is_a_queue_that_survives() {
    for seed in 0..40 {
        let mut rng = StdRng::seed_from_u64(seed);
        let root = in_memory();
        let mut folder = root.path().join("0");
        let mut journal = open(&folder, LIMITS);
        let (mut next, mut settled) = (0_u64, 0_usize);
        // Numbers in the order of their entries, which count from 1.
        let mut model: Vec<u64> = Vec::new();
        let mut tenure = Tenure::begin(&journal, 1);
        for step in 0..60 {
            match rng.random_range(0..10) {
                0..6 => {
                    let count = rng.random_range(1..200);
                    let body = "y".repeat(rng.random_range(0..500));
                    let records: Vec<_> = (next..next + count)
                        .map(|number| LogRecord {
                            body: body.clone().into(),
                            ..record(number)
                        })
                        .collect();
                    match tenure.submit(records) {
                        Ok(receipt) => {
                            assert!(is_acknowledged(receipt));
                            model.extend(next..next + count);
                            next += count;
                        }
                        Err(refused) => assert_eq!(refused, Refused::Full),
                    }
                }
                6..8 => {
                    settled = rng.random_range(settled..=model.len());
                    journal.settle(settled as u64 + 1);
                }
                8 => {
                    drop((tenure, journal));
                    journal = open(&folder, LIMITS);
                    tenure = Tenure::begin(&journal, 1);
                }
                // As after a crash at this moment.
                _ => {
                    let other = root.path().join(format!("{step}"));
                    copy(&folder, &other);
                    drop((tenure, journal));
                    folder = other;
                    journal = open(&folder, LIMITS);
                    tenure = Tenure::begin(&journal, 1);
                }
            }
            let found = backlog(&journal);
            let expected = &model[settled..];
            // Progress is written lazily: after a cut more may come again.
            assert!(
                found.ends_with(expected) && model.ends_with(&found),
                "seed {seed}, step {step}: {} found, {} expected",
                found.len(),
                expected.len()
            );
            settled = model.len() - found.len();
        }
    }
}

/// Confirms what the queue gives, except for the numbers in `refuse`: those are
/// refused, and not kept, this many times.
async fn deliver(queue: Arc<Queue>, mut refuse: BTreeMap<u64, u32>) -> Vec<u64> {
    let mut delivered = Vec::new();
    while queue.filled().await {
        let mut rest = queue.take();
        while !rest.records.is_empty() {
            let (one, others) = rest.split(1);
            let number = one.records[0].timestamp;
            match refuse.get_mut(&number).filter(|times| **times > 0) {
                Some(times) => {
                    *times -= 1;
                    one.reject("full", false);
                }
                None => {
                    delivered.push(number);
                    one.acknowledge();
                }
            }
            rest = others;
        }
    }
    delivered
}

#[tokio::test]
async fn the_feeder_brings_everything_and_settles_it() {
    let folder = tempfile::tempdir().unwrap();
    written_in_groups_aside(folder.path(), 50, 100).await;
    let journal = open(folder.path(), LIMITS);
    let queue = Queue::new(2, QUEUE);
    let (finish, finishing) = tokio::sync::watch::channel(Finish::Never);
    let feeding = tokio::spawn(Feeder::new(journal.clone(), Arc::clone(&queue)).run(finishing));
    // Some are refused while the dead letters are full, and offered again.
    let refuse = BTreeMap::from([(7, 1)]);
    let delivering = tokio::spawn(deliver(queue, refuse));
    finish.send_replace(Finish::Own);
    feeding.await.unwrap();
    let mut delivered = delivering.await.unwrap();
    assert_eq!(delivered.len(), 5000);
    assert!(delivered.iter().filter(|number| **number != 7).is_sorted());
    delivered.sort_unstable();
    assert_eq!(delivered, (0..5000).collect::<Vec<_>>());
    assert_eq!(journal.status().backlog, 0);
}

#[tokio::test]
async fn what_a_tenure_did_not_confirm_is_left_for_the_next() {
    let folder = tempfile::tempdir().unwrap();
    written_in_groups_aside(folder.path(), 10, 10).await;
    let journal = open(folder.path(), LIMITS);
    let queue = Queue::new(2, QUEUE);
    let (_finish, finishing) = tokio::sync::watch::channel(Finish::Never);
    let feeding = tokio::spawn(Feeder::new(journal.clone(), Arc::clone(&queue)).run(finishing));
    assert!(queue.filled().await);
    let (confirmed, unconfirmed) = queue.take().split(37);
    confirmed.acknowledge();
    unconfirmed.unknown("stepped down");
    queue.fail("stepped down");
    feeding.await.unwrap();
    // All of a chunk, or nothing: the rest comes again.
    assert_eq!(journal.status().backlog, 100);
    let queue = Queue::new(3, QUEUE);
    let (finish, finishing) = tokio::sync::watch::channel(Finish::Never);
    let feeding = tokio::spawn(Feeder::new(journal.clone(), Arc::clone(&queue)).run(finishing));
    let delivering = tokio::spawn(deliver(queue, BTreeMap::new()));
    finish.send_replace(Finish::Own);
    feeding.await.unwrap();
    assert_eq!(delivering.await.unwrap(), (0..100).collect::<Vec<_>>());
}

async fn written_in_groups_aside(path: &Path, groups: u64, size: u64) {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || written_in_groups(&path, groups, size))
        .await
        .unwrap();
}
