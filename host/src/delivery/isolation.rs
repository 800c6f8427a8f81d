//! Finding the records that break a sink: what is offered next, and which
//! records are under suspicion. No I/O and no clock.
//!
//! A record is set aside only if it broke the sink alone twice and another
//! record was confirmed after that. Until then nobody knows whether it is the
//! record or the sink: it is a suspect, and comes first when the sink is tried
//! again.

use std::collections::VecDeque;

use super::batch::Batch;
use crate::sink::Broken;

/// How often a record must break the sink alone.
const ALONE: u32 = 2;
/// With so many suspects and nothing confirmed since, the sink itself counts
/// as broken.
const MANY: usize = 2;

/// Records that are offered together.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) batch: Batch,
    /// How often it broke the sink, if it is a single record.
    alone: u32,
    /// How it did so last.
    pub(super) reason: String,
    /// Whether it is offered to see if the sink works again.
    is_probe: bool,
}

/// What is offered, in order, and what waits for a verdict.
#[derive(Debug, Default)]
pub(super) struct Isolation {
    work: VecDeque<Piece>,
    /// In the order in which they were accepted.
    suspects: VecDeque<Piece>,
    /// The probe has failed: now something that is not under suspicion is to
    /// show whether it is the sink.
    others_turn: bool,
}

impl Isolation {
    /// Takes in what is to be offered after all that is there.
    pub(super) fn add(&mut self, batch: Batch) {
        self.work.push_back(Piece::of(batch));
    }

    /// What is to be offered now, if anything. What nobody waits for any more
    /// is dropped.
    pub(super) fn next(&mut self) -> Option<Piece> {
        let is_wanted = |piece: &Piece| !piece.batch.records.is_empty() && !piece.batch.is_abandoned();
        self.suspects.retain(is_wanted);
        loop {
            let piece = self.work.pop_front()?;
            if is_wanted(&piece) {
                return Some(piece);
            }
        }
    }

    /// Whether anything waits for a verdict.
    pub(super) fn has_suspects(&self) -> bool {
        !self.suspects.is_empty()
    }

    /// Whether it is time to wait, as for a destination that is down, and to
    /// probe then.
    pub(super) fn is_sink_in_doubt(&self) -> bool {
        self.suspects.len() >= MANY && !self.others_turn
    }

    /// Puts a piece back, to be offered again before all else.
    pub(super) fn again(&mut self, piece: Piece) {
        self.work.push_front(piece);
    }

    /// The sink broke in its own code while it was offered this.
    pub(super) fn broke(&mut self, mut piece: Piece, broken: &Broken) {
        if piece.batch.records.len() > 1 {
            // A search by halves costs a deadline at every step where the sink
            // spins; one by one it costs no more than the records do.
            let parts = match broken {
                Broken::Spinning(_) => piece.batch.records.len(),
                _ => 2,
            };
            self.split(piece.batch, parts);
            return;
        }
        piece.reason = broken.to_string();
        piece.alone += 1;
        if std::mem::take(&mut piece.is_probe) {
            self.suspects.push_front(piece);
            self.others_turn = true;
        } else if piece.alone < ALONE {
            self.again(piece);
        } else {
            self.suspects.push_back(piece);
            self.others_turn = false;
        }
    }

    /// The sink refused all of this for good; gives it back if it is a single
    /// record, so that it is clear which one is meant.
    pub(super) fn refused(&mut self, piece: Piece) -> Option<Batch> {
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

    /// Some record of this was confirmed. Gives the suspects that are guilty.
    pub(super) fn confirmed(&mut self, was_probe: bool) -> Vec<Piece> {
        self.others_turn = false;
        let suspects = std::mem::take(&mut self.suspects);
        if !was_probe {
            return suspects.into();
        }
        // The sink was to blame, and works again: the others come next.
        self.put_back(suspects);
        Vec::new()
    }

    /// Another sink takes over: nothing is known of it.
    pub(super) fn forgive(&mut self) {
        self.others_turn = false;
        let suspects = std::mem::take(&mut self.suspects);
        self.put_back(suspects);
        for piece in &mut self.work {
            piece.alone = 0;
        }
    }

    fn put_back(&mut self, suspects: VecDeque<Piece>) {
        for mut piece in suspects.into_iter().rev() {
            piece.alone = 0;
            self.work.push_front(piece);
        }
    }

    /// Offers the first suspect again, to see whether the sink works.
    pub(super) fn probe(&mut self) {
        if let Some(mut piece) = self.suspects.pop_front() {
            piece.is_probe = true;
            self.work.push_front(piece);
        }
    }
}

impl Piece {
    /// A batch of which nothing is known.
    pub(super) const fn of(batch: Batch) -> Self {
        Self {
            batch,
            alone: 0,
            reason: String::new(),
            is_probe: false,
        }
    }

    pub(super) const fn is_probe(&self) -> bool {
        self.is_probe
    }
}
