//! Judges the decisions to write and to acknowledge, in the order in which they
//! were made.

use std::collections::BTreeSet;

use super::clock::{MILLI, Time};

/// One tenure of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tenure {
    pub(super) node: usize,
    /// Counts the tenures of the world.
    pub(super) number: u64,
    pub(super) epoch: u64,
}

#[derive(Debug)]
pub(super) struct Checker {
    /// The tenure of the latest decision, and when it was made.
    latest: Option<(Tenure, Time)>,
    /// The numbers of tenures that were followed by a decision of another
    /// tenure.
    over: BTreeSet<u64>,
    /// The highest epoch of any tenure.
    pub(super) highest: u64,
    /// Whether Consul still knows the highest epoch, or every node did when
    /// Consul forgot it. Otherwise epochs may be given twice.
    pub(super) epochs_are_known: bool,
}

impl Checker {
    pub(super) const fn new() -> Self {
        Self {
            latest: None,
            over: BTreeSet::new(),
            highest: 0,
            epochs_are_known: true,
        }
    }

    /// A node decided to write or to acknowledge.
    pub(super) fn decided(&mut self, now: Time, tenure: Tenure, what: &str) -> Result<(), String> {
        if let Some((latest, before)) = self.latest.replace((tenure, now))
            && latest != tenure
        {
            let what = format!(
                "node {} {what} under epoch {} after node {} decided under epoch {}, {} ms ago",
                tenure.node,
                tenure.epoch,
                latest.node,
                latest.epoch,
                (now - before) / MILLI
            );
            self.over.insert(latest.number);
            if self.over.contains(&tenure.number) {
                return Err(format!("two nodes decide at once: {what}"));
            }
            if self.epochs_are_known && tenure.epoch <= latest.epoch {
                return Err(format!("the epoch went back or came twice: {what}"));
            }
        }
        Ok(())
    }

    /// Checks the tenures that may acknowledge now: at most one is allowed.
    pub(super) fn may(tenures: &[Tenure]) -> Result<(), String> {
        match tenures {
            [one, other, ..] => Err(format!(
                "two nodes may acknowledge at once: node {} under epoch {}, node {} under epoch {}",
                one.node, one.epoch, other.node, other.epoch
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenure(node: usize, number: u64, epoch: u64) -> Tenure {
        Tenure {
            node,
            number,
            epoch,
        }
    }

    fn judge(tenures: &[Tenure]) -> Result<(), String> {
        let mut checker = Checker::new();
        let mut decisions = tenures.iter().zip(1..);
        decisions.try_for_each(|(tenure, now)| checker.decided(now, *tenure, "writes"))
    }

    #[test]
    fn tenures_one_after_the_other_under_growing_epochs_are_right() {
        let (one, other, again) = (tenure(0, 1, 1), tenure(1, 2, 3), tenure(0, 3, 4));
        assert_eq!(judge(&[one, one, other, other, again]), Ok(()));
    }

    #[test]
    fn a_node_that_decides_again_after_another_is_found() {
        let (one, other) = (tenure(0, 1, 1), tenure(1, 2, 3));
        assert!(judge(&[one, other, one]).unwrap_err().contains("at once"));
    }

    #[test]
    fn an_epoch_that_goes_back_or_comes_twice_is_found() {
        for epoch in [2, 3] {
            let found = judge(&[tenure(0, 1, 3), tenure(1, 2, epoch)]).unwrap_err();
            assert!(found.contains("the epoch"), "{found}");
        }
    }
}
