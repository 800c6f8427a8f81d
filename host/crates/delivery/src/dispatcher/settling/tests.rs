//! What becomes of the records of a sink on probation, under paused time.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::dispatcher::Ended;
use crate::dispatcher::fake_sink::{Answer, Calls, FakeSink};
use crate::dispatcher::tenure::{
    LIMITS, SECOND, Tenure, assert_acknowledged, offered_now, outcome, permanent, rejected,
    retryable, trapped,
};
use crate::{Outcome, Verdict};
use sluice_types::outcome::Broken;

/// Delivers so many single records.
async fn deliver(tenure: &Tenure, count: usize) {
    for _ in 0..count {
        assert_eq!(rejected(tenure.submit(1)).await, []);
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_sink_that_traps_gets_nothing_more_and_its_records_go_to_the_predecessor() {
    for places in [1, 4] {
        let old = FakeSink::accepting("old");
        let bad = FakeSink::new("bad", |_| Answer::Break(Broken::Trapped("no".to_owned())))
            .with_places(places);
        let tenure = Tenure::start(&old);
        deliver(&tenure, 1).await;
        let verdict = tenure.try_out(&bad).await;
        let receipt = tenure.submit(3);
        let doubted = Verdict::Doubted("the sink trapped: no".to_owned());
        assert_eq!(verdict.await, Ok(doubted));
        tokio::time::sleep(SECOND).await;
        assert_eq!(bad.writes().len(), 1, "it is offered nothing more");
        drop(tenure.swap(&old).await);
        assert_eq!(rejected(receipt).await, []);
        assert_eq!(old.offered().last().unwrap(), &[2, 3, 4]);
        tenure.drained().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_new_sink_refuses_is_offered_to_the_predecessor_that_comes_back() {
    for places in [1, 4] {
        let old = FakeSink::accepting("old");
        let bad = FakeSink::new("bad", |calls| {
            Answer::Accept((0..offered_now(calls).len()).map(permanent).collect())
        })
        .with_places(places);
        let tenure = Tenure::start(&old);
        deliver(&tenure, 1).await;
        let verdict = tenure.try_out(&bad).await;
        let told = tenure.submit_acknowledged(10);
        tokio::time::sleep(SECOND).await;
        let waiting = tenure.submit(20);
        assert!(matches!(verdict.await, Ok(Verdict::Doubted(_))));
        drop(tenure.swap(&old).await);
        assert_eq!(rejected(told).await, []);
        assert_eq!(rejected(waiting).await, []);
        let again: Vec<u64> = old.offered().into_iter().flatten().collect();
        assert_eq!(again, (1..=31).collect::<Vec<_>>());
        assert_eq!(tenure.metrics.rejected.get(), 0);
        assert_eq!(tenure.letters.list().unwrap(), []);
        tenure.drained().await;
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_roll_back_producers_are_told_soon_and_the_rest_is_kept_at_the_end() {
    let old = FakeSink::accepting("old");
    // It refuses two records, and no others.
    let new = FakeSink::new("new", |calls| {
        let refused = offered_now(calls).contains(&2);
        Answer::Accept(refused.then(|| permanent(0)).into_iter().collect())
    });
    let tenure = Tenure::start(&old);
    deliver(&tenure, 1).await;
    let verdict = tenure.try_out(&new).await;
    let swapped = Instant::now();
    assert_eq!(rejected(tenure.submit(1)).await, [(0, false)]);
    assert_eq!(swapped.elapsed(), 3 * SECOND);
    assert_acknowledged(tenure.submit(1)).await;
    assert_eq!(verdict.await, Ok(Verdict::Passed));
    assert_eq!(swapped.elapsed(), 60 * SECOND);
    assert_eq!(tenure.metrics.rejected.get(), 1);
    tenure.drained().await;
}

#[tokio::test(start_paused = true)]
async fn refusals_beyond_a_quarter_of_the_queue_are_final_at_once() {
    let old = FakeSink::accepting("old");
    // Nothing is known of the old sink, so that half of the records is not too much.
    let picky = FakeSink::new("picky", |calls| {
        let count = offered_now(calls).len();
        Answer::Accept((0..count).step_by(2).map(permanent).collect())
    });
    let tenure = Tenure::start(&old);
    let _verdict = tenure.try_out(&picky).await;
    let first = tenure.submit(LIMITS.records / 2);
    let swapped = Instant::now();
    assert_eq!(rejected(tenure.submit(1)).await, [(0, false)]);
    assert_eq!(swapped.elapsed(), Duration::ZERO);
    // The tenure ends before the probation: these are final then.
    tenure.queue.close("drained");
    assert_eq!(rejected(first).await.len(), LIMITS.records / 4);
}

/// Refuses everything.
fn refusing(name: &str) -> FakeSink {
    FakeSink::new(name, |calls| {
        Answer::Accept((0..offered_now(calls).len()).map(permanent).collect())
    })
}

#[tokio::test(start_paused = true)]
async fn a_revocation_ends_the_wait_for_the_predecessor_and_makes_no_refusal_final() {
    for places in [1, 4] {
        let old = FakeSink::accepting("old");
        let bad = refusing("bad").with_places(places);
        let tenure = Tenure::start(&old);
        deliver(&tenure, 1).await;
        let verdict = tenure.try_out(&bad).await;
        let receipt = tenure.submit(20);
        assert!(verdict.await.is_ok());
        let revoked = Instant::now();
        tenure.lease.revoke();
        let metrics = Arc::clone(&tenure.metrics);
        assert_eq!(tenure.ended().await, Ended::Revoked);
        assert_eq!(revoked.elapsed(), Duration::ZERO);
        assert_eq!(metrics.rejected.get(), 0);
        assert!(matches!(outcome(receipt).await, Outcome::Unknown(_)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_refuses_many_records_is_doubted_before_the_hold_is_full() {
    for places in [1, 4] {
        let old = FakeSink::accepting("old");
        let tenure = Tenure::start(&old);
        deliver(&tenure, 20).await;
        let bad = refusing("bad").with_places(places);
        let verdict = tenure.try_out(&bad).await;
        let swapped = Instant::now();
        let receipt = tenure.submit(LIMITS.records / 4);
        assert!(matches!(verdict.await, Ok(Verdict::Doubted(_))));
        assert_eq!(swapped.elapsed(), Duration::ZERO);
        let before = old.writes().len();
        drop(tenure.swap(&old).await);
        assert_eq!(rejected(receipt).await, []);
        assert_eq!(tenure.metrics.rejected.get(), 0);
        // What was kept back goes in batches.
        assert!(old.writes().len() < before + 5);
        tenure.drained().await;
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_are_settled_while_the_sink_is_left_alone() {
    let old = FakeSink::accepting("old");
    let new = FakeSink::new("new", |calls| match offered_now(calls)[..] {
        [21] => Answer::Accept(vec![permanent(0)]),
        _ => Answer::Fail(retryable(Some(60 * SECOND))),
    });
    let tenure = Tenure::start(&old);
    deliver(&tenure, 20).await;
    let verdict = tenure.try_out(&new).await;
    let refused = tenure.submit(1);
    tokio::time::sleep(SECOND / 10).await;
    let swapped = Instant::now();
    let waiting = tenure.submit(1);
    // The sink is doubted, and its predecessor does not come.
    assert_eq!(verdict.await, Ok(Verdict::Doubted("busy".to_owned())));
    assert_eq!(rejected(refused).await, [(0, false)]);
    assert!(swapped.elapsed() < 4 * SECOND);
    drop(tenure.swap(&old).await);
    assert_acknowledged(waiting).await;
    tenure.drained().await;
}

#[tokio::test(start_paused = true)]
async fn a_tenure_that_ends_waits_for_no_predecessor_and_makes_no_refusal_final() {
    for places in [1, 4] {
        let old = FakeSink::accepting("old");
        let bad = refusing("bad").with_places(places);
        let mut tenure = Tenure::start(&old);
        deliver(&tenure, 1).await;
        let verdict = tenure.try_out(&bad).await;
        let receipt = tenure.submit(20);
        assert!(verdict.await.is_ok());
        // The tenure ends, and nobody swaps any more.
        let ended = Instant::now();
        tenure.swaps = tokio::sync::mpsc::channel(1).0;
        tenure.queue.close("drained");
        let ended_as = outcome(receipt).await;
        assert!(matches!(ended_as, Outcome::Unknown(_)), "{ended_as:?}");
        assert_eq!(ended.elapsed(), Duration::ZERO);
        assert_eq!(tenure.metrics.rejected.get(), 0);
        tenure.drained().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_that_breaks_both_sinks_condemns_neither() {
    for places in [1, 4] {
        let breaks_on_3 = |calls: &Calls| match offered_now(calls).contains(&3) {
            true => Answer::Break(trapped()),
            false => Answer::Accept(Vec::new()),
        };
        let old = FakeSink::new("old", breaks_on_3).with_places(places);
        let new = FakeSink::new("new", breaks_on_3).with_places(places);
        let tenure = Tenure::start(&old);
        deliver(&tenure, 1).await;
        let verdict = tenure.try_out(&new).await;
        let receipt = tenure.submit(4);
        assert!(matches!(verdict.await, Ok(Verdict::Doubted(_))));
        let opinion = tenure.ask(&old).await;
        assert_eq!(rejected(receipt).await, [(1, true)]);
        assert_eq!(opinion.await, Ok(Verdict::Acquits));
        tenure.drained().await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_records_that_broke_a_new_sink_show_whether_it_is_at_fault() {
    for places in [1, 4] {
        let old = FakeSink::accepting("old").with_places(places);
        let bad = FakeSink::new("bad", |_| Answer::Break(trapped())).with_places(places);
        let tenure = Tenure::start(&old);
        deliver(&tenure, 1).await;
        let verdict = tenure.try_out(&bad).await;
        let receipt = tenure.submit(4);
        assert!(matches!(verdict.await, Ok(Verdict::Doubted(_))));
        let opinion = tenure.ask(&old).await;
        assert_eq!(opinion.await, Ok(Verdict::Delivers));
        assert_acknowledged(receipt).await;
        tenure.drained().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_predecessor_asks_for_again_holds_nothing_up() {
    let old = FakeSink::new("old", |calls: &Calls| {
        match offered_now(calls).contains(&3) {
            true => Answer::Fail(retryable(None)),
            false => Answer::Accept(Vec::new()),
        }
    })
    .with_places(4);
    let bad = FakeSink::new("bad", |_| Answer::Break(trapped())).with_places(4);
    let tenure = Tenure::start(&old);
    deliver(&tenure, 1).await;
    let verdict = tenure.try_out(&bad).await;
    let stuck = tenure.submit(2);
    assert!(matches!(verdict.await, Ok(Verdict::Doubted(_))));
    let opinion = tenure.ask(&old).await;
    for _ in 0..20 {
        assert_acknowledged(tenure.submit(1)).await;
    }
    assert_eq!(opinion.await, Ok(Verdict::Delivers));
    drop(stuck);
    tenure.drained().await;
}
