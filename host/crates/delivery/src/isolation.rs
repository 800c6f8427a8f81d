//! Finds the records that break a sink: decides what is offered next, and which
//! records are suspects. No I/O and no clock.
//!
//! A record is set aside only if it broke the sink alone twice and another
//! record was confirmed after that. Until then, either the record or the sink
//! may be at fault: the record is a suspect, and comes first when the sink is
//! tried again.

use std::collections::VecDeque;

use crate::batch::Batch;
use sluice_types::outcome::Broken;

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
    /// How it broke the sink last.
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
        let is_wanted =
            |piece: &Piece| !piece.batch.records.is_empty() && !piece.batch.is_abandoned();
        self.suspects.retain(is_wanted);
        loop {
            let piece = self.work.pop_front()?;
            if is_wanted(&piece) {
                return Some(piece);
            }
        }
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
                Broken::Spinning(_) => piece.batch.records.len(),
                _ => 2,
            };
            self.split(piece.batch, parts);
            return;
        }
        piece.reason = broken.to_string();
        piece.breaks += 1;
        if std::mem::take(&mut piece.is_probe) {
            self.suspects.push_front(piece);
            self.has_probe_failed = true;
        } else if piece.breaks < BREAKS_OF_A_SUSPECT {
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
        for piece in &mut self.work {
            piece.breaks = 0;
        }
    }

    fn put_back(&mut self, suspects: VecDeque<Piece>) {
        for mut piece in suspects.into_iter().rev() {
            piece.breaks = 0;
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
            reason: String::new(),
            is_probe: false,
        }
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
                is_broken: false,
                confirmed: Vec::new(),
                calls: 0,
                rng: StdRng::seed_from_u64(seed),
            }
        }

        fn write(&mut self, batch: &Batch) -> Result<(), Broken> {
            self.calls += 1;
            let sequences = || batch.records.iter().map(|record| record.id.sequence);
            if self.is_broken || sequences().any(|sequence| self.poison.contains(&sequence)) {
                return Err(if self.rng.random() {
                    Broken::Spinning(Duration::ZERO)
                } else {
                    Broken::Trapped("x".to_owned())
                });
            }
            self.confirmed.extend(sequences());
            Ok(())
        }
    }

    /// Offers one piece, and returns what was set aside.
    fn step(isolation: &mut Isolation, sink: &mut Sink) -> Option<Vec<u64>> {
        let piece = isolation.next()?;
        match sink.write(&piece.batch) {
            Ok(()) => {
                let guilty = isolation.confirmed(piece.is_probe());
                piece.batch.acknowledge();
                let set_aside = guilty.into_iter().map(|guilty| {
                    let sequence = guilty.batch.records[0].id.sequence;
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
            assert_eq!(queue.depth(), (0, 0));
        }
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
