//! Finds the records that break a sink: decides what is offered next, and which
//! records are suspects. No I/O and no clock.
//!
//! A record is set aside only if it broke the sink alone twice and another
//! record was confirmed after that. Until then, either the record or the sink
//! may be at fault: the record is a suspect, and comes first when the sink is
//! tried again.
//!
//! A sink that spun has less time for a while. A record that breaks it only in
//! such a shortened time may just need longer: it becomes a suspect after the
//! sink has had its full time for it alone.

use std::collections::VecDeque;

use crate::batch::Batch;
use crate::compute_limit::ComputeTime;
use sluice_types::outcome::{Broken, TimeLimit};

/// How often a record must break the sink alone to become a suspect.
const BREAKS_OF_A_SUSPECT: u32 = 2;
/// With this many suspects and nothing confirmed since, the sink itself is in
/// doubt.
const SUSPECTS_OF_A_BROKEN_SINK: usize = 2;

/// Records that are offered together.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) batch: Batch,
    /// How often it broke the sink, if it is a single record.
    breaks: u32,
    /// Whether the sink spun on it alone for its full time.
    has_spun: bool,
    /// How it broke the sink: by spinning for the full time if it ever did, or
    /// else the last time.
    pub(crate) reason: String,
    /// Whether it is offered to see if the sink works again.
    is_probe: bool,
}

/// What is to be offered, in order, and the suspects.
#[derive(Debug, Default)]
pub(crate) struct Isolation {
    work: VecDeque<Piece>,
    /// In the order in which they became suspects.
    suspects: VecDeque<Piece>,
    /// A probe has failed: records that are not suspects come next, to show
    /// whether the sink is at fault.
    has_probe_failed: bool,
}

impl Isolation {
    /// Adds records that are to be offered after everything else.
    pub(crate) fn add(&mut self, batch: Batch) {
        self.work.push_back(Piece::of(batch));
    }

    /// What is to be offered now, if anything. Pieces that no producer waits
    /// for any more are dropped.
    pub(crate) fn next(&mut self) -> Option<Piece> {
        self.suspects.retain(Piece::is_wanted);
        loop {
            let piece = self.work.pop_front()?;
            if piece.is_wanted() {
                return Some(piece);
            }
        }
    }

    /// Whether nothing is to be offered and nothing is suspected.
    pub(crate) fn is_clear(&self) -> bool {
        self.work.is_empty() && self.suspects.is_empty()
    }

    /// Whether any record is a suspect.
    pub(crate) fn has_suspects(&self) -> bool {
        !self.suspects.is_empty()
    }

    /// Whether to wait, as for a destination that is down, and to probe then.
    pub(crate) fn is_sink_in_doubt(&self) -> bool {
        self.suspects.len() >= SUSPECTS_OF_A_BROKEN_SINK && !self.has_probe_failed
    }

    /// Puts a piece back, to be offered again before everything else.
    pub(crate) fn retry(&mut self, piece: Piece) {
        self.work.push_front(piece);
    }

    /// The sink's code broke while it was offered this piece.
    pub(crate) fn broke(&mut self, mut piece: Piece, broken: &Broken) {
        if piece.batch.records.len() > 1 {
            // Where the sink spins, every failing step of a search by halves
            // costs a whole deadline. One by one, only the bad records do.
            let parts = match broken {
                Broken::Spinning { .. } => piece.batch.records.len(),
                _ => 2,
            };
            self.split(piece.batch, parts);
            return;
        }
        let is_suspect = piece.broke(broken);
        if std::mem::take(&mut piece.is_probe) {
            self.suspects.push_front(piece);
            self.has_probe_failed = true;
        } else if !is_suspect {
            self.retry(piece);
        } else {
            self.suspects.push_back(piece);
            self.has_probe_failed = false;
        }
    }

    /// The sink refused the whole piece for good. Returns it if it is a single
    /// record; otherwise its parts are offered, to find out which is meant.
    pub(crate) fn refused(&mut self, piece: Piece) -> Option<Batch> {
        if piece.batch.records.len() > 1 {
            self.split(piece.batch, 2);
            return None;
        }
        Some(piece.batch)
    }

    fn split(&mut self, batch: Batch, parts: usize) {
        let size = batch.records.len().div_ceil(parts).max(1);
        let mut pieces = Vec::with_capacity(parts);
        let mut rest = batch;
        while rest.records.len() > size {
            let (first, others) = rest.split(size);
            pieces.push(first);
            rest = others;
        }
        pieces.push(rest);
        for batch in pieces.into_iter().rev() {
            self.work.push_front(Piece::of(batch));
        }
    }

    /// The sink confirmed some record. Returns the suspects that this proves
    /// guilty.
    pub(crate) fn confirmed(&mut self, was_probe: bool) -> Vec<Piece> {
        self.has_probe_failed = false;
        let suspects = std::mem::take(&mut self.suspects);
        if !was_probe {
            return suspects.into();
        }
        // The sink was at fault and works again: the other suspects come next.
        self.put_back(suspects);
        Vec::new()
    }

    /// Another sink takes the records from now on. Nothing is known of it.
    pub(crate) fn clear_suspicion(&mut self) {
        self.has_probe_failed = false;
        let suspects = std::mem::take(&mut self.suspects);
        self.put_back(suspects);
        self.work.iter_mut().for_each(Piece::acquit);
    }

    fn put_back(&mut self, suspects: VecDeque<Piece>) {
        for mut piece in suspects.into_iter().rev() {
            piece.acquit();
            self.work.push_front(piece);
        }
    }

    /// Offers the first suspect again, to see whether the sink works.
    pub(crate) fn probe(&mut self) {
        if let Some(mut piece) = self.suspects.pop_front() {
            piece.is_probe = true;
            self.work.push_front(piece);
        }
    }
}

impl Piece {
    /// A batch of which nothing is known.
    pub(crate) const fn of(batch: Batch) -> Self {
        Self {
            batch,
            breaks: 0,
            has_spun: false,
            reason: String::new(),
            is_probe: false,
        }
    }

    /// Whether it has records, and a producer that waits for one of them.
    pub(crate) fn is_wanted(&self) -> bool {
        !self.batch.records.is_empty() && !self.batch.is_abandoned()
    }

    /// How long the sink may compute on it. Once it has broken the sink alone,
    /// it is offered with the full time, unless the sink has spun on it for all
    /// of that: that costs the full time once per record, and not at every
    /// attempt.
    pub(crate) const fn compute_time(&self) -> ComputeTime {
        if self.breaks > 0 && !self.has_spun {
            ComputeTime::Full
        } else {
            ComputeTime::Usual
        }
    }

    /// A single record broke the sink. Returns whether it is a suspect now.
    fn broke(&mut self, broken: &Broken) -> bool {
        self.breaks += 1;
        if !self.has_spun {
            self.reason = broken.to_string();
            self.has_spun = broken.spun_until(TimeLimit::Manifest);
        }
        let is_conclusive = self.has_spun || !broken.spun_until(TimeLimit::Shortened);
        self.breaks >= BREAKS_OF_A_SUSPECT && is_conclusive
    }

    /// Forgets how it broke the sink.
    fn acquit(&mut self) {
        self.breaks = 0;
        self.has_spun = false;
        self.reason.clear();
    }

    /// Whether it is offered to see if the sink works again.
    pub(crate) const fn is_probe(&self) -> bool {
        self.is_probe
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::records;
    use crate::{Outcome, Queue, QueueLimits, Receipt};
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};
    use std::collections::BTreeSet;
    use std::sync::Arc;
    use std::time::Duration;

    const LIMITS: QueueLimits = QueueLimits {
        records: 100_000,
        bytes: 1 << 30,
    };

    /// A sink that breaks on some records, or on all.
    struct Sink {
        poison: BTreeSet<u64>,
        /// Breaks it in a shortened time only.
        slow: BTreeSet<u64>,
        /// Whether calls have less time.
        is_alarmed: bool,
        /// The records that it spun on although it was to have its full time,
        /// whatever it had done before.
        spun_in_full: Vec<u64>,
        is_broken: bool,
        /// What it confirmed, in order.
        confirmed: Vec<u64>,
        calls: usize,
        rng: StdRng,
    }

    impl Sink {
        fn new(poison: impl IntoIterator<Item = u64>, seed: u64) -> Self {
            Self {
                poison: poison.into_iter().collect(),
                slow: BTreeSet::new(),
                is_alarmed: false,
                spun_in_full: Vec::new(),
                is_broken: false,
                confirmed: Vec::new(),
                calls: 0,
                rng: StdRng::seed_from_u64(seed),
            }
        }

        fn write(&mut self, piece: &Piece) -> Result<(), Broken> {
            self.calls += 1;
            self.is_alarmed &= self.rng.random_bool(0.95);
            let sequences: Vec<u64> = piece.batch.records.iter().map(|r| r.id.sequence).collect();
            let contain = |some: &BTreeSet<u64>| sequences.iter().any(|s| some.contains(s));
            let is_shortened = self.is_alarmed && piece.compute_time() == ComputeTime::Usual;
            if self.is_broken || contain(&self.poison) {
                if self.rng.random() {
                    return Err(Broken::Trapped("x".to_owned()));
                }
                if piece.compute_time() == ComputeTime::Full {
                    self.spun_in_full.extend(&sequences);
                }
                self.is_alarmed |= !is_shortened;
                return Err(spinning(is_shortened));
            }
            if is_shortened && contain(&self.slow) {
                return Err(spinning(true));
            }
            self.confirmed.extend(sequences);
            Ok(())
        }
    }

    fn spinning(is_shortened: bool) -> Broken {
        Broken::Spinning {
            after: Duration::ZERO,
            limit: if is_shortened {
                TimeLimit::Shortened
            } else {
                TimeLimit::Manifest
            },
        }
    }

    /// Offers one piece, and returns what was set aside.
    fn step(isolation: &mut Isolation, sink: &mut Sink) -> Option<Vec<u64>> {
        let piece = isolation.next()?;
        match sink.write(&piece) {
            Ok(()) => {
                let guilty = isolation.confirmed(piece.is_probe());
                piece.batch.acknowledge();
                let set_aside = guilty.into_iter().map(|guilty| {
                    let sequence = guilty.batch.records[0].id.sequence;
                    assert!(!guilty.reason.contains("shorter"), "{}", guilty.reason);
                    guilty.batch.reject("poison", false);
                    sequence
                });
                Some(set_aside.collect())
            }
            Err(broken) => {
                isolation.broke(piece, &broken);
                Some(Vec::new())
            }
        }
    }

    /// Offers everything that was accepted, as the dispatcher does, and returns
    /// what was set aside.
    fn drain(isolation: &mut Isolation, queue: &Arc<Queue>, sink: &mut Sink) -> BTreeSet<u64> {
        let mut set_aside = BTreeSet::new();
        for _ in 0..100_000 {
            if isolation.is_sink_in_doubt() {
                isolation.probe();
            }
            match step(isolation, sink) {
                Some(more) => set_aside.extend(more),
                None => {
                    let batch = queue.take();
                    if batch.records.is_empty() {
                        return set_aside;
                    }
                    isolation.add(batch);
                }
            }
        }
        panic!("it never ends");
    }

    fn rejected(receipt: Receipt) -> Option<usize> {
        use futures_util::FutureExt;
        match receipt.now_or_never()? {
            Outcome::Acknowledged { rejected, .. } => Some(rejected.len()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn exactly_the_poison_is_set_aside_and_all_else_confirmed_in_order() {
        for seed in 0..500 {
            let mut rng = StdRng::seed_from_u64(seed);
            let queue = Queue::new(1, LIMITS);
            let sizes: Vec<usize> = (0..rng.random_range(1..40))
                .map(|_| rng.random_range(1..60))
                .collect();
            let total: u64 = sizes.iter().map(|size| *size as u64).sum();
            let share = [0.0, 0.001, 0.05, 0.5, 0.95][rng.random_range(0..5)];
            // The last one is fine, so that every verdict can be reached.
            let poison: BTreeSet<u64> = (1..total).filter(|_| rng.random_bool(share)).collect();
            let mut sink = Sink::new(poison.clone(), seed);
            let slow_share = [0.0, 0.05, 0.5][rng.random_range(0..3)];
            sink.slow = (1..=total)
                .filter(|_| rng.random_bool(slow_share))
                .collect();
            let mut isolation = Isolation::default();
            let receipts: Vec<_> = sizes
                .iter()
                .map(|size| queue.submit(records(*size)).unwrap())
                .collect();
            let set_aside = drain(&mut isolation, &queue, &mut sink);
            assert_eq!(set_aside, poison, "seed {seed}");
            let expected: Vec<u64> = (1..=total).filter(|s| !poison.contains(s)).collect();
            assert_eq!(sink.confirmed, expected, "seed {seed}");
            let told: usize = receipts.into_iter().map(|r| rejected(r).unwrap()).sum();
            assert_eq!(told, poison.len(), "seed {seed}");
            let spun_in_full = sink.spun_in_full.len();
            let distinct: BTreeSet<u64> = sink.spun_in_full.into_iter().collect();
            assert_eq!(
                distinct.len(),
                spun_in_full,
                "one costs the full time twice"
            );
            assert_eq!(queue.depth(), (0, 0));
        }
    }

    #[test]
    fn a_record_that_needs_more_than_a_shortened_time_is_confirmed_in_its_order() {
        let queue = Queue::new(1, LIMITS);
        let mut sink = Sink::new([], 0);
        sink.slow = [2].into();
        sink.is_alarmed = true;
        let receipt = queue.submit(records(3)).unwrap();
        let mut isolation = Isolation::default();
        assert!(drain(&mut isolation, &queue, &mut sink).is_empty());
        assert_eq!(sink.confirmed, [1, 2, 3]);
        assert_eq!(rejected(receipt), Some(0));
    }

    #[test]
    fn a_shortened_time_alone_never_makes_a_suspect() {
        let queue = Queue::new(1, LIMITS);
        let _receipt = queue.submit(records(1)).unwrap();
        let mut isolation = Isolation::default();
        isolation.add(queue.take());
        for breaks in 0..10 {
            let piece = isolation.next().unwrap();
            let is_full = piece.compute_time() == ComputeTime::Full;
            assert_eq!(is_full, breaks > 0);
            isolation.broke(piece, &spinning(true));
        }
        assert!(!isolation.has_suspects());
        let piece = isolation.next().unwrap();
        isolation.broke(piece, &spinning(false));
        assert!(isolation.has_suspects());
    }

    #[test]
    fn a_record_that_spun_alone_for_the_full_time_gets_it_once() {
        let queue = Queue::new(1, LIMITS);
        let _receipt = queue.submit(records(1)).unwrap();
        let mut isolation = Isolation::default();
        isolation.add(queue.take());
        let piece = isolation.next().unwrap();
        isolation.broke(piece, &spinning(false));
        let piece = isolation.next().unwrap();
        assert_eq!(piece.compute_time(), ComputeTime::Usual);
        isolation.broke(piece, &spinning(true));
        assert!(isolation.has_suspects());
        let guilty = isolation.confirmed(false).remove(0);
        assert_eq!(guilty.reason, spinning(false).to_string());
    }

    #[test]
    fn a_broken_sink_sets_nothing_aside_and_order_holds_when_it_is_mended() {
        for seed in 0..200 {
            let mut rng = StdRng::seed_from_u64(seed);
            let queue = Queue::new(1, LIMITS);
            let mut sink = Sink::new([], seed);
            sink.is_broken = true;
            let mut isolation = Isolation::default();
            let receipts: Vec<_> = (0..20)
                .map(|_| queue.submit(records(rng.random_range(1..30))).unwrap())
                .collect();
            isolation.add(queue.take());
            let mut waits = rng.random_range(1..20);
            while waits > 0 {
                if isolation.is_sink_in_doubt() {
                    waits -= 1;
                    // As after the wait of the dispatcher.
                    sink.is_broken = waits > 0;
                    isolation.probe();
                }
                assert_eq!(
                    step(&mut isolation, &mut sink),
                    Some(Vec::new()),
                    "seed {seed}"
                );
            }
            assert!(drain(&mut isolation, &queue, &mut sink).is_empty());
            let total = sink.confirmed.len() as u64;
            assert_eq!(
                sink.confirmed,
                (1..=total).collect::<Vec<_>>(),
                "seed {seed}"
            );
            assert!(receipts.into_iter().all(|r| rejected(r) == Some(0)));
        }
    }

    #[test]
    fn a_lonely_suspect_waits_for_another_record() {
        let queue = Queue::new(1, LIMITS);
        let mut sink = Sink::new([1], 0);
        let mut isolation = Isolation::default();
        let first = queue.submit(records(1)).unwrap();
        assert!(drain(&mut isolation, &queue, &mut sink).is_empty());
        assert_eq!(sink.calls, 2);
        assert!(isolation.has_suspects() && !isolation.is_sink_in_doubt());
        // Tried again after a while.
        isolation.probe();
        assert_eq!(step(&mut isolation, &mut sink), Some(Vec::new()));
        assert!(isolation.has_suspects());
        let second = queue.submit(records(1)).unwrap();
        assert_eq!(drain(&mut isolation, &queue, &mut sink), [1].into());
        assert_eq!((rejected(first), rejected(second)), (Some(1), Some(0)));
    }

    #[test]
    fn another_sink_gets_everything_in_order() {
        let queue = Queue::new(1, LIMITS);
        let mut sink = Sink::new([1, 2], 0);
        let mut isolation = Isolation::default();
        let receipt = queue.submit(records(2)).unwrap();
        assert!(drain(&mut isolation, &queue, &mut sink).is_empty());
        isolation.clear_suspicion();
        let mut next = Sink::new([], 0);
        assert!(drain(&mut isolation, &queue, &mut next).is_empty());
        assert_eq!(next.confirmed, [1, 2]);
        assert_eq!(rejected(receipt), Some(0));
    }

    #[test]
    fn a_refused_batch_is_taken_apart_until_it_is_clear_which_record_is_meant() {
        let queue = Queue::new(1, LIMITS);
        let receipt = queue.submit(records(5)).unwrap();
        let mut isolation = Isolation::default();
        isolation.add(queue.take());
        while let Some(piece) = isolation.next() {
            if piece.batch.records.iter().any(|r| r.id.sequence == 4) {
                if let Some(single) = isolation.refused(piece) {
                    single.reject("no", false);
                }
            } else {
                piece.batch.acknowledge();
            }
        }
        assert_eq!(rejected(receipt), Some(1));
        assert_eq!(queue.depth(), (0, 0));
    }
}
