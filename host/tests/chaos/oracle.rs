//! Judges which process acknowledged when, using only what the nodes wrote to
//! the files of `--trace-acks`. It knows nothing about leases or Consul. Its
//! rules: at most one epoch acknowledges at a time, each epoch belongs to one
//! process, higher epochs come later, and each record is decided once.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

/// An acknowledgement that was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ack {
    /// When it was decided, in nanoseconds since boot.
    pub(crate) at: u64,
    pub(crate) epoch: u64,
    pub(crate) sequence: u64,
}

impl Ack {
    /// Reads a line of a trace.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let mut numbers = line.split(' ').map(|number| number.parse().ok());
        let mut next = || numbers.next().flatten();
        let (at, epoch, sequence) = (next()?, next()?, next()?);
        numbers.next().is_none().then_some(Self {
            at,
            epoch,
            sequence,
        })
    }
}

/// A violation of the oracle's rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The times in which two epochs acknowledged overlap.
    Overlap { earlier: Epoch, later: Epoch },
    /// A higher epoch acknowledged before a lower one.
    Backward { earlier: Epoch, later: Epoch },
    /// Two processes acknowledged under one epoch.
    Shared { epoch: u64, processes: [String; 2] },
    /// A record was decided more than once; `by` is in order of time.
    Twice {
        epoch: u64,
        sequence: u64,
        by: [String; 2],
    },
}

/// The time in which an epoch acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Epoch {
    pub(crate) epoch: u64,
    pub(crate) process: String,
    pub(crate) first: u64,
    pub(crate) last: u64,
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            epoch,
            process,
            first,
            last,
        } = self;
        write!(f, "epoch {epoch} of {process} from {first} to {last}")
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overlap { earlier, later } => {
                let by = earlier.last.saturating_sub(later.first);
                write!(f, "{later} overlaps with {earlier}, by {by} ns")
            }
            Self::Backward { earlier, later } => write!(f, "{later} came before {earlier}"),
            Self::Shared {
                epoch,
                processes: [one, other],
            } => {
                write!(f, "{one} and {other} acknowledged under epoch {epoch}")
            }
            Self::Twice {
                epoch,
                sequence,
                by: [one, other],
            } => write!(
                f,
                "{epoch}/{sequence} was decided by {one}, then by {other}"
            ),
        }
    }
}

/// Collects acknowledgements in any order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Oracle {
    epochs: BTreeMap<u64, Epoch>,
    decided: HashMap<(u64, u64), String>,
    found: Vec<Fault>,
}

impl Oracle {
    /// Adds an acknowledgement of this process.
    pub(crate) fn hear(&mut self, process: &str, ack: Ack) {
        let Ack {
            at,
            epoch,
            sequence,
        } = ack;
        let known = self.epochs.entry(epoch).or_insert_with(|| Epoch {
            epoch,
            process: process.to_owned(),
            first: at,
            last: at,
        });
        known.first = known.first.min(at);
        known.last = known.last.max(at);
        let shared = Fault::Shared {
            epoch,
            processes: [known.process.clone(), process.to_owned()],
        };
        if known.process != process && !self.found.contains(&shared) {
            self.found.push(shared);
        }
        let before = self.decided.insert((epoch, sequence), process.to_owned());
        if let Some(before) = before {
            self.found.push(Fault::Twice {
                epoch,
                sequence,
                by: [before, process.to_owned()],
            });
        }
    }

    /// All faults that were found so far.
    pub(crate) fn judge(&self) -> Vec<Fault> {
        let mut faults = self.found.clone();
        for (earlier, later) in self.epochs.values().zip(self.epochs.values().skip(1)) {
            if earlier.last < later.first {
                continue;
            }
            let (earlier, later) = (earlier.clone(), later.clone());
            faults.push(if later.last < earlier.first {
                Fault::Backward { earlier, later }
            } else {
                Fault::Overlap { earlier, later }
            });
        }
        faults
    }

    /// The epoch and the sequence of every record that was decided.
    pub(crate) fn decided(&self) -> impl Iterator<Item = (u64, u64)> {
        self.decided.keys().copied()
    }

    /// How many epochs acknowledged anything.
    pub(crate) fn epochs(&self) -> usize {
        self.epochs.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Line = (&'static str, u64, u64, u64);

    /// Three tenures on two nodes; the first node comes back as a new process.
    const CLEAN: [Line; 8] = [
        ("a.1", 100, 1, 1),
        ("a.1", 100, 1, 2),
        ("a.1", 130, 1, 4),
        ("b.1", 131, 2, 1),
        ("b.1", 170, 2, 2),
        ("b.1", 200, 3, 1),
        ("b.1", 220, 3, 2),
        ("a.2", 300, 7, 1),
    ];

    fn judge(lines: &[Line]) -> Vec<String> {
        let mut oracle = Oracle::default();
        for (process, at, epoch, sequence) in lines.iter().copied() {
            oracle.hear(
                process,
                Ack {
                    at,
                    epoch,
                    sequence,
                },
            );
        }
        oracle.judge().iter().map(ToString::to_string).collect()
    }

    fn with(line: Line) -> Vec<String> {
        judge(&[&CLEAN[..], &[line]].concat())
    }

    #[test]
    fn a_clean_run_is_clean_in_whatever_order_it_is_read() {
        assert_eq!(judge(&CLEAN), [""; 0]);
        let mut backward = CLEAN;
        backward.reverse();
        assert_eq!(judge(&backward), [""; 0]);
    }

    #[test]
    fn an_epoch_that_goes_on_into_the_next_is_found() {
        // An acknowledgement at the very moment the next epoch starts is a
        // fault too.
        assert_eq!(with(("a.1", 130, 1, 5)), [""; 0]);
        for late in [131, 150] {
            let found = with(("a.1", late, 1, 5));
            let [fault] = &found[..] else {
                panic!("{found:?}")
            };
            let expected = format!(
                "epoch 2 of b.1 from 131 to 170 overlaps with epoch 1 of a.1 from 100 to {late}"
            );
            assert!(fault.starts_with(&expected), "{fault}");
        }
    }

    #[test]
    fn an_overlap_with_a_much_later_epoch_is_found() {
        let found = with(("a.1", 310, 1, 5));
        assert!(
            found.iter().any(|fault| fault.contains("overlaps")),
            "{found:?}"
        );
    }

    #[test]
    fn an_epoch_before_a_lower_one_is_found() {
        assert_eq!(
            with(("b.1", 50, 8, 1)),
            ["epoch 8 of b.1 from 50 to 50 came before epoch 7 of a.2 from 300 to 300"]
        );
    }

    #[test]
    fn an_epoch_of_two_processes_is_found_even_of_one_node() {
        assert_eq!(
            with(("a.2", 110, 1, 9)),
            ["a.1 and a.2 acknowledged under epoch 1"]
        );
    }

    #[test]
    fn a_record_that_is_decided_twice_is_found() {
        assert_eq!(
            with(("b.1", 210, 3, 1)),
            ["3/1 was decided by b.1, then by b.1"]
        );
    }

    #[test]
    fn only_whole_lines_are_read() {
        let ack = Ack {
            at: 17,
            epoch: 2,
            sequence: 3,
        };
        assert_eq!(Ack::parse("17 2 3"), Some(ack));
        for line in ["", "17 2", "17 2 3 4", "17 x 3", "17 2 3 "] {
            assert_eq!(Ack::parse(line), None, "{line}");
        }
    }

    /// Moving any one acknowledgement of a clean run into another epoch's time
    /// is found.
    #[test]
    fn whatever_is_moved_into_another_epochs_time_is_found() {
        for _ in 0..2000 {
            let mut clock = 0;
            let mut acks = Vec::new();
            for epoch in 1..=rand::random_range(2..6) {
                for sequence in 1..=rand::random_range(2..5) {
                    clock += rand::random_range(1..100);
                    let ack = Ack {
                        at: clock,
                        epoch,
                        sequence,
                    };
                    acks.push((format!("{}.1", epoch % 3), ack));
                }
            }
            let faults = |acks: &[(String, Ack)]| {
                let mut oracle = Oracle::default();
                for (process, ack) in acks {
                    oracle.hear(process, *ack);
                }
                oracle.judge().len()
            };
            assert_eq!(faults(&acks), 0, "{acks:?}");
            let moved = rand::random_range(0..acks.len());
            let other = rand::random_range(0..acks.len());
            if acks[moved].1.epoch != acks[other].1.epoch {
                acks[moved].1.at = acks[other].1.at;
                assert_ne!(faults(&acks), 0, "{moved} to {other}: {acks:?}");
            }
        }
    }
}
