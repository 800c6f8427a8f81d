//! Judges what sinks wrote when, by the ids of the records: with a replicated
//! journal, each acknowledged record is delivered, in the order of the journal,
//! and again only if it was in doubt when a tenure ended. What a producer repeats
//! with its id is stored once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;

use super::outputs::{Delivery, Id};
use super::trace::{MOMENT, Moments};

/// In so many moments after a delivery, its tenure must have acknowledged something,
/// until a repeat is a fault: by then, the sink has confirmed the record, and a
/// message of the journal that says so is stored. This is 2 s in which the process
/// runs, and a batch of the sink takes 0.5 s.
const SETTLED_MOMENTS: usize = 20;
const _: () = assert!(SETTLED_MOMENTS as u64 * MOMENT == 2_000_000_000);

/// What is wrong with the deliveries, and how many repeats there were.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Acknowledged, but delivered nowhere.
    pub(crate) missing: Vec<Id>,
    /// Pairs of a record and an earlier one that was delivered later, the first time.
    pub(crate) out_of_order: Vec<(Id, Id)>,
    /// Delivered again, by the same epoch or a later one, although it was settled for
    /// certain. A leader that was frozen may end a `write` that it had begun.
    pub(crate) settled_again: Vec<(Delivery, Delivery)>,
    /// Sent with an id, and yet stored as two records.
    pub(crate) stored_twice: Vec<(u64, Id, Id)>,
    /// How often a record was delivered again.
    pub(crate) repeats: usize,
    /// How many deliveries were settled for certain.
    pub(crate) settled: usize,
}

impl Verdict {
    /// Fails if anything is wrong.
    pub(crate) fn expect_clean(&self) {
        let Self {
            missing,
            out_of_order,
            settled_again,
            stored_twice,
            ..
        } = self;
        let is_clean = missing.is_empty()
            && out_of_order.is_empty()
            && settled_again.is_empty()
            && stored_twice.is_empty();
        assert!(
            is_clean,
            "by the ids of records: {} acknowledged but not delivered: {:?} …; {} out of order: {:?} …; \
             {} delivered again that were settled: {:?} …; {} stored twice: {:?} …",
            missing.len(),
            &missing[..missing.len().min(10)],
            out_of_order.len(),
            &out_of_order[..out_of_order.len().min(10)],
            settled_again.len(),
            &settled_again[..settled_again.len().min(10)],
            stored_twice.len(),
            &stored_twice[..stored_twice.len().min(10)],
        );
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} records delivered again after a tenure, none of the {} that were settled for certain",
            self.repeats, self.settled
        )
    }
}

/// Judges these deliveries, given which numbers were sent with ids, what was
/// acknowledged, and when each epoch did so.
pub(crate) fn judge(
    deliveries: &[Delivery],
    with_ids: Range<u64>,
    acknowledged: impl Iterator<Item = Id>,
    moments: &BTreeMap<u64, Moments>,
) -> Verdict {
    let mut records: BTreeMap<Id, Vec<Delivery>> = BTreeMap::new();
    for delivery in deliveries {
        records.entry(delivery.id).or_default().push(*delivery);
    }
    let mut verdict = Verdict {
        out_of_order: out_of_order(&records),
        stored_twice: stored_twice(deliveries, with_ids),
        ..Verdict::default()
    };
    for deliveries in records.values_mut() {
        deliveries.sort_by_key(|delivery| delivery.by);
        verdict.repeats += deliveries.len() - 1;
        for (index, delivery) in deliveries.iter().enumerate() {
            let own = moments.get(&delivery.epoch);
            let is_settled_by = |time| {
                let between = own.map_or(0, |own| own.between(delivery.by, time));
                between >= SETTLED_MOMENTS
            };
            verdict.settled += usize::from(is_settled_by(u64::MAX));
            let mut later = deliveries[index + 1..].iter();
            let again = later.find(|again| match again.epoch.cmp(&delivery.epoch) {
                std::cmp::Ordering::Less => false,
                std::cmp::Ordering::Equal => is_settled_by(again.after),
                // Nothing of the earlier epoch is stored after it began.
                std::cmp::Ordering::Greater => is_settled_by(u64::MAX),
            });
            if let Some(again) = again {
                verdict.settled_again.push((*delivery, *again));
            }
        }
    }
    let acknowledged: BTreeSet<Id> = acknowledged.collect();
    let missing = acknowledged.iter().filter(|id| !records.contains_key(id));
    verdict.missing = missing.copied().collect();
    verdict
}

/// Numbers of this range that are in more than one record, with two of these.
fn stored_twice(deliveries: &[Delivery], with_ids: Range<u64>) -> Vec<(u64, Id, Id)> {
    let mut ids: BTreeMap<u64, BTreeSet<Id>> = BTreeMap::new();
    for delivery in deliveries {
        if with_ids.contains(&delivery.number) {
            ids.entry(delivery.number).or_default().insert(delivery.id);
        }
    }
    let twice = ids.into_iter().filter_map(|(number, ids)| {
        let mut ids = ids.into_iter();
        Some((number, ids.next()?, ids.next()?))
    });
    twice.collect()
}

/// First deliveries that certainly came before that of an earlier record.
fn out_of_order(records: &BTreeMap<Id, Vec<Delivery>>) -> Vec<(Id, Id)> {
    let mut found = Vec::new();
    // The later record that was delivered first, and by when.
    let mut soonest: Option<(u64, Id)> = None;
    for (id, deliveries) in records.iter().rev() {
        let after = deliveries.iter().map(|delivery| delivery.after).min();
        let by = deliveries.iter().map(|delivery| delivery.by).min();
        let (Some(after), Some(by)) = (after, by) else {
            continue;
        };
        if let Some((soonest, later)) = soonest
            && soonest < after
        {
            found.push((later, *id));
        }
        if soonest.is_none_or(|(soonest, _)| by < soonest) {
            soonest = Some((by, *id));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    /// A delivery about so many seconds after the start.
    fn delivery(epoch: u64, id: Id, seconds: u64) -> Delivery {
        Delivery {
            node: "a",
            epoch,
            id,
            number: 100 * id.0 + id.1,
            after: seconds * SECOND - SECOND / 50,
            by: seconds * SECOND,
        }
    }

    /// The first tenure acknowledges from 1 s to 10 s, the second one from 12 s on.
    fn moments() -> BTreeMap<u64, Moments> {
        let acknowledging = |from: u64, to: u64| {
            let mut moments = Moments::default();
            let times = (from * SECOND..to * SECOND).step_by(50_000_000);
            times.for_each(|at| moments.hear(at));
            moments
        };
        [(1, acknowledging(1, 10)), (2, acknowledging(12, 20))].into()
    }

    fn clean() -> Vec<Delivery> {
        vec![
            delivery(1, (1, 1), 2),
            delivery(1, (1, 2), 3),
            delivery(1, (1, 3), 9),
            delivery(2, (1, 4), 12),
            delivery(2, (2, 1), 13),
        ]
    }

    fn judged(deliveries: &[Delivery]) -> Verdict {
        let acknowledged = [(1, 1), (1, 2), (1, 3), (1, 4), (2, 1)];
        judge(deliveries, 0..1000, acknowledged.into_iter(), &moments())
    }

    #[test]
    fn a_clean_run_is_clean() {
        let verdict = judged(&clean());
        verdict.expect_clean();
        assert_eq!((verdict.repeats, verdict.settled), (0, 4), "not 1/3");
    }

    #[test]
    fn what_is_missing_is_found() {
        let mut deliveries = clean();
        deliveries.remove(1);
        assert_eq!(judged(&deliveries).missing, [(1, 2)]);
    }

    #[test]
    fn only_what_was_in_doubt_may_come_again() {
        let mut deliveries = clean();
        deliveries.push(delivery(2, (1, 3), 12));
        let verdict = judged(&deliveries);
        verdict.expect_clean();
        assert_eq!(verdict.repeats, 1);
        deliveries.push(delivery(2, (1, 2), 12));
        let found = judged(&deliveries).settled_again;
        assert_eq!(found, [(deliveries[1], deliveries[6])]);
    }

    #[test]
    fn a_tenure_repeats_nothing_that_it_has_settled() {
        let mut deliveries = clean();
        deliveries.push(delivery(1, (1, 1), 3));
        judged(&deliveries).expect_clean();
        deliveries.push(delivery(1, (1, 1), 5));
        let found = judged(&deliveries).settled_again;
        assert_eq!(found, [(deliveries[0], deliveries[6])]);
    }

    #[test]
    fn a_repeat_with_an_id_is_stored_once() {
        let mut deliveries = clean();
        deliveries[4].number = 101;
        let found = judged(&deliveries).stored_twice;
        assert_eq!(found, [(101, (1, 1), (2, 1))]);
        let all = |with_ids| stored_twice(&deliveries, with_ids);
        assert_eq!(all(102..1000), [], "sent without an id");
    }

    #[test]
    fn an_earlier_tenure_may_end_what_it_had_begun() {
        let mut deliveries = clean();
        deliveries.push(delivery(1, (2, 1), 19));
        let verdict = judged(&deliveries);
        verdict.expect_clean();
        assert_eq!(verdict.repeats, 1);
    }

    #[test]
    fn a_wrong_order_is_found_across_nodes_and_repeats_have_none() {
        let mut deliveries = clean();
        deliveries[3] = delivery(2, (1, 4), 14);
        assert_eq!(judged(&deliveries).out_of_order, [((2, 1), (1, 4))]);
        let mut deliveries = clean();
        deliveries.push(delivery(2, (1, 3), 13));
        assert_eq!(judged(&deliveries).out_of_order, []);
    }
}
