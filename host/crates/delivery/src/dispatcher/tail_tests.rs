//! What those that watch see of the delivery, under paused time.

use super::fake_sink::{Answer, FakeSink};
use super::tenure::{SECOND, Tenure, assert_unknown, at_first, permanent, rejected, retryable};
use super::{Ended, tenure};
use crate::{Fate, Watcher};
use sluice_types::outcome::Failure;

/// The records that passed, by their sequences, and what became of them.
fn seen(watcher: &Watcher) -> Vec<(Vec<u64>, Fate)> {
    let passed = std::iter::from_fn(|| watcher.take().1);
    let seen = passed.map(|passed| {
        let sequences = passed.records.iter().map(|record| record.id.sequence);
        (sequences.collect(), passed.fate.clone())
    });
    seen.collect()
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_fails_is_shown_before_the_one_that_succeeds() {
    for places in [1, 4] {
        let busy = at_first(|| Answer::Fail(retryable(None)));
        let sink = FakeSink::new("busy", busy).with_places(places);
        let tenure = Tenure::start(&sink);
        let watcher = tenure.tail.watch();
        assert_eq!(rejected(tenure.submit(2)).await, []);
        let expected = [Fate::Retried("busy".into()), Fate::Delivered];
        assert_eq!(seen(&watcher), expected.map(|fate| (vec![1, 2], fate)));
        tenure.drained().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_shown_beside_what_is_delivered() {
    let sink = FakeSink::new("a", |_| Answer::Accept(vec![permanent(1)]));
    let tenure = Tenure::start(&sink);
    let watcher = tenure.tail.watch();
    assert_eq!(rejected(tenure.submit(3)).await, [(1, false)]);
    let expected = [
        (vec![1, 3], Fate::Delivered),
        (vec![2], Fate::Refused("no".into())),
    ];
    assert_eq!(seen(&watcher), expected);
    tenure.drained().await;
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_nobody_is_told_is_shown_as_a_dead_letter() {
    let refusing = |_: &super::fake_sink::Calls| Answer::Accept(vec![permanent(0)]);
    let tenure = Tenure::start(&FakeSink::new("a", refusing));
    let watcher = tenure.tail.watch();
    assert_eq!(
        rejected(tenure.submit_acknowledged(1)).await,
        [(0, true)],
        "it is kept"
    );
    let reason = format!("no; it is kept as the dead letter {}-1", tenure::EPOCH);
    let expected = [(vec![1], Fate::DeadLetter(reason.as_str().into()))];
    assert_eq!(seen(&watcher), expected);
    tenure.drained().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_tenure_leaves_is_shown_as_unknown_if_it_was_offered() {
    for places in [1, 4] {
        let sink = FakeSink::new("hangs", |_| Answer::Hang).with_places(places);
        let tenure = Tenure::start(&sink);
        let watcher = tenure.tail.watch();
        let receipt = tenure.submit(1);
        tokio::time::sleep(SECOND).await;
        tenure.lease.revoke();
        let reason = "the node stepped down while the sink was writing it";
        assert_unknown(receipt, reason).await;
        let expected = [(vec![1], Fate::Unknown(reason.into()))];
        assert_eq!(seen(&watcher), expected);
        assert_eq!(tenure.ended().await, Ended::Revoked);
    }
}

#[tokio::test(start_paused = true)]
async fn a_fenced_write_is_shown_as_unknown() {
    let fenced = |_: &super::fake_sink::Calls| Answer::Fail(Failure::Fenced("late".to_owned()));
    let tenure = Tenure::start(&FakeSink::new("a", fenced));
    let watcher = tenure.tail.watch();
    let reason = "the destination knows a later leader";
    assert_unknown(tenure.submit(1), reason).await;
    assert_eq!(seen(&watcher), [(vec![1], Fate::Unknown(reason.into()))]);
    assert_eq!(tenure.ended().await, Ended::Fenced("late".to_owned()));
}
