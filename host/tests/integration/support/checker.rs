//! Judges a run by what was acknowledged and what sinks wrote.

use std::collections::{BTreeMap, BTreeSet};

/// The results of a run, as numbers of messages.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    /// The messages of each producer that were acknowledged. A producer numbers
    /// its messages upwards from its own start, and sends one at a time.
    pub(crate) producers: Vec<BTreeSet<u64>>,
    /// What each sink wrote, in order.
    pub(crate) written: Vec<Vec<u64>>,
    /// The dead letters.
    pub(crate) dead: BTreeSet<u64>,
}

/// The faults of a run, and the number of repeats, which are no fault.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Acknowledged, but neither written nor a dead letter.
    pub(crate) missing: Vec<u64>,
    /// Pairs of a later and an earlier message of one producer, of which a sink
    /// first wrote the later one.
    pub(crate) out_of_order: Vec<(u64, u64)>,
    /// How often a message was written again, by any sink.
    pub(crate) repeats: usize,
}

impl Verdict {
    pub(crate) const fn is_clean(&self) -> bool {
        self.missing.is_empty() && self.out_of_order.is_empty()
    }
}

impl History {
    pub(crate) fn judge(&self) -> Verdict {
        let mut times: BTreeMap<u64, usize> = BTreeMap::new();
        for number in self.written.iter().flatten() {
            *times.entry(*number).or_default() += 1;
        }
        let is_there = |number: &u64| times.contains_key(number) || self.dead.contains(number);
        let missing = self.producers.iter().flatten().filter(|n| !is_there(n));
        let mut out_of_order = Vec::new();
        for sink in &self.written {
            for producer in &self.producers {
                let mut seen = BTreeSet::new();
                let own = sink.iter().filter(|number| producer.contains(number));
                for number in own {
                    let is_first = seen.insert(*number);
                    if let Some(later) = seen.last()
                        && is_first
                        && later > number
                    {
                        out_of_order.push((*later, *number));
                    }
                }
            }
        }
        Verdict {
            missing: missing.copied().collect(),
            out_of_order,
            repeats: times.values().map(|times| times - 1).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clean() -> History {
        History {
            producers: vec![(1..=5).collect(), (100..=103).collect()],
            written: vec![vec![1, 100, 2, 101], vec![102, 3, 4, 103, 5]],
            dead: BTreeSet::new(),
        }
    }

    #[test]
    fn a_clean_run_is_clean() {
        assert_eq!(clean().judge(), Verdict::default());
    }

    #[test]
    fn what_is_missing_is_found_unless_it_was_set_aside() {
        let mut history = clean();
        history.written[1].retain(|number| *number != 4);
        assert_eq!(history.judge().missing, [4]);
        assert!(!history.judge().is_clean());
        history.dead.insert(4);
        assert!(history.judge().is_clean());
    }

    #[test]
    fn a_wrong_order_is_found_also_across_other_producers() {
        let mut history = clean();
        history.written[1].swap(1, 2);
        assert_eq!(history.judge().out_of_order, [(4, 3)]);
        let mut history = clean();
        history.written[0] = vec![2, 100, 1, 101];
        assert_eq!(history.judge().out_of_order, [(2, 1)]);
    }

    #[test]
    fn what_comes_again_is_counted_and_is_no_fault() {
        let mut history = clean();
        history.written[1] = vec![101, 102, 3, 4, 3, 4, 103, 5];
        let verdict = history.judge();
        assert!(verdict.is_clean(), "{verdict:?}");
        assert_eq!(verdict.repeats, 3);
    }

    #[test]
    fn what_nobody_was_promised_is_no_matter() {
        let mut history = clean();
        history.written[0].extend([7, 6, 999]);
        assert_eq!(history.judge(), Verdict::default());
    }
}
