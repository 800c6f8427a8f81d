//! Several writes at a time, under paused time.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::{Instant, timeout};

use crate::dispatcher::fake_sink::{Answer, Calls, FakeSink};
use crate::dispatcher::tenure::{
    EPOCH, HOUR, SECOND, Tenure, assert_acknowledged, assert_unknown, at_first, offered_now,
    outcome, permanent, rejected, retryable, trapped,
};
use crate::dispatcher::{ABANDONED_POLL_INTERVAL, Ended};
use crate::retries::{BACKOFF_MAX, BACKOFF_MIN};
use crate::sink_writer::SWAP_GRACE;
use crate::{Outcome, Receipt, Watch};
use sluice_types::clock::BootTime;
use sluice_types::lease::{Lease, Standing};
use sluice_types::outcome::{Broken, Failure, Refusal};

const MILLIS: Duration = Duration::from_millis(1);
/// How long the destination of most tests takes.
const LATENCY: Duration = Duration::from_millis(20);

/// Submits requests of one record each, each of which becomes a write of its own
/// where there is a place.
async fn submit_apart(tenure: &Tenure, count: usize) -> Vec<Receipt> {
    let mut receipts = Vec::new();
    for _ in 0..count {
        receipts.push(tenure.submit(1));
        tokio::time::sleep(2 * MILLIS).await;
    }
    receipts
}

async fn all_acknowledged(receipts: impl IntoIterator<Item = Receipt>) {
    for receipt in receipts {
        assert_acknowledged(receipt).await;
    }
}

/// Answers after the usual time.
fn accepts() -> Answer {
    Answer::AcceptAfter(LATENCY, Vec::new())
}

#[tokio::test(start_paused = true)]
async fn as_many_writes_as_there_are_places_run_at_a_time() {
    let sink = FakeSink::new("slow", |_| Answer::AcceptAfter(SECOND, Vec::new())).with_places(4);
    let tenure = Tenure::start(&sink);
    let receipts = submit_apart(&tenure, 6).await;
    assert_eq!(sink.under_way(), 4);
    let metrics = tenure.metrics.clone();
    all_acknowledged(receipts).await;
    assert_eq!((sink.most(), sink.opens()), (4, 3));
    // What waited for a place is written together.
    let offered = [vec![1], vec![2], vec![3], vec![4], vec![5, 6]];
    assert_eq!(sink.offered(), offered);
    assert!(tenure.elapsed() <= 2 * SECOND + 2 * MILLIS);
    assert_eq!(metrics.acknowledged.get(), 6);
    tenure.drained().await;
}

#[tokio::test(start_paused = true)]
async fn full_batches_fill_all_places_at_once() {
    let sink = FakeSink::new("slow", |_| Answer::AcceptAfter(SECOND, Vec::new())).with_places(4);
    let tenure = Tenure::start(&sink);
    let receipts: Vec<_> = (0..4).map(|_| tenure.submit(1024)).collect();
    all_acknowledged(receipts).await;
    assert_eq!(tenure.elapsed(), SECOND);
    let sizes: Vec<_> = sink.offered().iter().map(Vec::len).collect();
    assert_eq!(sizes, [1024; 4]);
}

#[tokio::test(start_paused = true)]
async fn a_sink_with_one_place_gets_one_write_at_a_time() {
    let sink = FakeSink::new("slow", |_| accepts());
    let tenure = Tenure::start(&sink);
    all_acknowledged(submit_apart(&tenure, 50).await).await;
    assert_eq!((sink.most(), sink.opens()), (1, 0));
    assert!(sink.confirmed().into_iter().eq(1..=50));
}

#[tokio::test(start_paused = true)]
async fn a_lone_request_is_written_at_once_and_those_of_a_moment_together() {
    let sink = FakeSink::new("slow", |_| Answer::AcceptAfter(SECOND, Vec::new())).with_places(4);
    let tenure = Tenure::start(&sink);
    let mut receipts = vec![tenure.submit(1)];
    tokio::time::sleep(5 * MILLIS).await;
    receipts.push(tenure.submit(1));
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    assert_eq!(sink.under_way(), 2);
    for _ in 0..3 {
        receipts.push(tenure.submit(1));
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
    all_acknowledged(receipts).await;
    assert_eq!(sink.offered(), [vec![1], vec![2], vec![3, 4, 5]]);
}

#[tokio::test(start_paused = true)]
async fn what_is_confirmed_is_acknowledged_whatever_came_before_it() {
    let sink = FakeSink::new("uneven", |calls| match calls.writes.len() {
        1 => Answer::AcceptAfter(10 * SECOND, Vec::new()),
        _ => accepts(),
    });
    let tenure = Tenure::start(&sink.with_places(2));
    let mut receipts = submit_apart(&tenure, 5).await;
    let first = receipts.remove(0);
    all_acknowledged(receipts).await;
    assert!(tenure.elapsed() < SECOND);
    assert_acknowledged(first).await;
    assert_eq!(tenure.elapsed(), 10 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_breaks_its_instance_is_isolated_after_the_others_have_ended() {
    let sink = FakeSink::new("fragile", |calls| {
        if offered_now(calls).contains(&2) {
            Answer::BreakAfter(LATENCY, trapped())
        } else {
            Answer::AcceptAfter(SECOND, Vec::new())
        }
    });
    let sink = sink.with_places(3);
    let tenure = Tenure::start(&sink);
    let mut receipts = submit_apart(&tenure, 3).await;
    tokio::time::sleep(SECOND / 2).await;
    receipts.push(tenure.submit(1));
    let broken = receipts.remove(1);
    all_acknowledged(receipts).await;
    assert_eq!(rejected(broken).await, [(0, true)]);
    let offered = sink.writes();
    let again: Vec<_> = offered.iter().filter(|w| w.sequences == [2]).collect();
    assert_eq!(again.len(), 2);
    assert!(
        again[1].at - tenure.started >= SECOND,
        "others were written"
    );
    assert_eq!(tenure.metrics.sink_restarts.get(), 2);
    assert_eq!(tenure.letters.list().unwrap().len(), 1);
    // Once nothing is suspected, there are several writes again.
    all_acknowledged(submit_apart(&tenure, 3).await).await;
    assert_eq!(sink.most(), 3);
}

#[tokio::test(start_paused = true)]
async fn parts_of_a_refused_batch_are_offered_one_at_a_time() {
    let sink = FakeSink::new("picky", |calls| {
        let is_alone = calls.under_way == 1;
        match offered_now(calls).as_slice() {
            [_, _, ..] if offered_now(calls).contains(&3) => {
                assert!(is_alone || calls.writes.len() == 2);
                Answer::Fail(Failure::Permanent("no".to_owned()))
            }
            [3] => {
                assert!(is_alone);
                Answer::Fail(Failure::Permanent("no".to_owned()))
            }
            _ => accepts(),
        }
    });
    let tenure = Tenure::start(&sink.with_places(8));
    let first = tenure.submit(1);
    tokio::time::sleep(2 * MILLIS).await;
    let second = tenure.submit(4);
    tokio::time::sleep(2 * MILLIS).await;
    let others = submit_apart(&tenure, 5).await;
    assert_eq!(rejected(second).await, [(1, false)]);
    assert_acknowledged(first).await;
    all_acknowledged(others).await;
}

#[tokio::test(start_paused = true)]
async fn a_write_that_hangs_until_its_limit_holds_up_no_other() {
    let sink = FakeSink::new("hanging", |calls| match calls.writes.len() {
        5 => Answer::BreakAfter(10 * SECOND, Broken::Stuck(10 * SECOND)),
        _ => accepts(),
    });
    let sink = sink.with_places(16);
    let tenure = Tenure::start(&sink);
    let mut receipts = submit_apart(&tenure, 300).await;
    let stuck = receipts.remove(4);
    let submitted = Instant::now();
    all_acknowledged(receipts).await;
    assert!(submitted.elapsed() < 3 * LATENCY);
    // Others still succeed when it ends.
    tokio::time::sleep_until(tenure.started + 9 * SECOND).await;
    all_acknowledged(submit_apart(&tenure, 600).await).await;
    assert_acknowledged(stuck).await;
    assert!(tenure.stall().is_none());
    assert_eq!(tenure.metrics.sink_restarts.get(), 1);
    assert_eq!(tenure.letters.list().unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn a_revoked_lease_ends_all_that_is_under_way() {
    let sink = FakeSink::new("hanging", |calls| match calls.writes.len() {
        1 => Answer::AcceptAfter(SECOND, Vec::new()),
        2 => Answer::Fail(retryable(Some(50 * SECOND))),
        _ => Answer::Hang,
    });
    let tenure = Tenure::start(&sink.with_places(4));
    let mut receipts = submit_apart(&tenure, 2).await.into_iter();
    assert_acknowledged(receipts.next().unwrap()).await;
    let failed = receipts.next().unwrap();
    tokio::time::sleep(60 * SECOND).await;
    let hanging = submit_apart(&tenure, 3).await;
    let waiting = tenure.submit(1);
    tokio::time::sleep(SECOND).await;
    let elapsed = tenure.elapsed();
    tenure.lease.revoke();
    let reason = "the node stepped down while the sink was writing it";
    for receipt in std::iter::once(failed).chain(hanging) {
        assert_unknown(receipt, reason).await;
    }
    assert_eq!(tenure.elapsed(), elapsed);
    assert!(matches!(waiting.give_up(), Outcome::NotDelivered(_)));
    assert_eq!(tenure.ended().await, Ended::Revoked);
}

#[tokio::test(start_paused = true)]
async fn confirmed_writes_are_not_acknowledged_while_the_lease_is_suspended() {
    // The lease has a real clock.
    let end = BootTime::now() + Duration::from_millis(300);
    let lease = Arc::new(Lease::new(EPOCH, BootTime::default(), end));
    let expiring = Arc::clone(&lease);
    let sink = FakeSink::new("late", move |calls| {
        while calls.writes.len() == 3 && matches!(expiring.ask(), Standing::Valid(_)) {
            std::thread::yield_now();
        }
        Answer::AcceptAfter(SECOND, Vec::new())
    });
    let sink = sink.with_places(4);
    let tenure = Tenure::start_under(lease, &sink);
    let mut receipts = submit_apart(&tenure, 3).await;
    assert!(timeout(HOUR, &mut receipts[0]).await.is_err());
    // Nothing is taken meanwhile.
    let withdrawn = tenure.submit(1);
    tokio::time::sleep(SECOND).await;
    assert!(matches!(withdrawn.give_up(), Outcome::NotDelivered(_)));
    tenure.lease.extend(BootTime::now() + HOUR);
    all_acknowledged(receipts).await;
    assert_eq!(sink.writes().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_swap_waits_for_the_acknowledgement_of_what_the_old_sink_confirmed() {
    // The lease has a real clock.
    let end = BootTime::now() + Duration::from_millis(300);
    let lease = Arc::new(Lease::new(EPOCH, BootTime::default(), end));
    let expiring = Arc::clone(&lease);
    let old = FakeSink::new("old", move |calls| {
        if calls.writes.len() == 1 {
            return Answer::Hang;
        }
        while matches!(expiring.ask(), Standing::Valid(_)) {
            std::thread::yield_now();
        }
        accepts()
    });
    let new = FakeSink::accepting("new");
    let tenure = Tenure::start_under(lease, &old.with_places(2));
    let receipts = submit_apart(&tenure, 2).await;
    let (swap, mut returned) = new.swap(Watch::Nothing);
    tenure.swaps.send(swap).await.unwrap();
    assert!(timeout(HOUR, &mut returned).await.is_err());
    tenure.lease.extend(BootTime::now() + HOUR);
    assert!(returned.await.unwrap().is_open());
    all_acknowledged(receipts).await;
    assert_eq!(new.offered(), [vec![1]]);
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_knows_a_later_leader_ends_all_writes() {
    let sink = FakeSink::new("fenced", |calls| match calls.writes.len() {
        3 => Answer::Fail(Failure::Fenced("epoch 9".to_owned())),
        _ => Answer::Hang,
    });
    let tenure = Tenure::start(&sink.with_places(4));
    let receipts = submit_apart(&tenure, 3).await;
    for receipt in receipts {
        assert!(matches!(outcome(receipt).await, Outcome::Unknown(_)));
    }
    assert_eq!(tenure.ended().await, Ended::Fenced("epoch 9".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn writes_may_end_within_the_grace_of_a_swap_and_the_others_go_to_the_new_sink() {
    let old = FakeSink::new("old", |calls| match calls.writes.len() {
        1 => Answer::AcceptAfter(10 * SECOND + SWAP_GRACE / 2, Vec::new()),
        _ => Answer::Hang,
    });
    let (old, new) = (old.with_places(4), FakeSink::new("new", |_| accepts()));
    let new = new.with_places(4);
    let tenure = Tenure::start(&old);
    let mut receipts = submit_apart(&tenure, 3).await;
    tokio::time::sleep_until(tenure.started + 10 * SECOND).await;
    let (swap, returned) = new.swap(Watch::Nothing);
    tenure.swaps.send(swap).await.unwrap();
    tokio::time::sleep(SWAP_GRACE / 4).await;
    // Nothing more is written to the old sink.
    receipts.push(tenure.submit(1));
    let returned = timeout(HOUR, returned).await.unwrap().unwrap();
    assert_eq!(tenure.elapsed(), 10 * SECOND + SWAP_GRACE);
    assert!(returned.is_open(), "one instance has ended its write");
    all_acknowledged(receipts).await;
    assert_eq!((old.offered().len(), old.confirmed()), (3, vec![1]));
    let mut writes = new.writes();
    writes.sort_by_key(|write| write.sequences.clone());
    let offered: Vec<_> = writes.iter().map(|w| w.sequences.clone()).collect();
    assert_eq!(offered, [vec![2], vec![3], vec![4]]);
    let numbers: Vec<_> = writes.iter().map(|w| w.attempt.number).collect();
    assert_eq!(numbers, [2, 2, 1]);
    assert_eq!(new.most(), 3, "at the same time");
}

#[tokio::test(start_paused = true)]
async fn a_swap_waits_for_no_longer_than_the_last_write() {
    let old = FakeSink::new("old", |_| Answer::AcceptAfter(SECOND / 2, Vec::new()));
    let new = FakeSink::accepting("new");
    let tenure = Tenure::start(&old.with_places(4));
    let receipts = submit_apart(&tenure, 3).await;
    drop(tenure.swap(&new).await);
    assert!(tenure.elapsed() < SECOND / 2 + 10 * MILLIS);
    all_acknowledged(receipts).await;
    assert!(new.writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_sink_with_one_place_takes_over_what_failed_at_one_with_many() {
    let old = FakeSink::new("old", |_| Answer::Fail(retryable(Some(HOUR))));
    let new = FakeSink::accepting("new");
    let tenure = Tenure::start(&old.with_places(4));
    let receipts = submit_apart(&tenure, 3).await;
    tokio::time::sleep(SECOND).await;
    drop(tenure.swap(&new).await);
    all_acknowledged(receipts).await;
    assert_eq!(new.confirmed().len(), 3);
    assert!(tenure.elapsed() < 2 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_failure_among_successes_waits_by_itself() {
    let sink = FakeSink::new("busy at times", |calls| {
        let write = calls.writes.last().unwrap();
        let is_unlucky = write.sequences.iter().any(|sequence| sequence % 50 == 0);
        if is_unlucky && write.attempt.number == 1 {
            Answer::Fail(retryable(Some(5 * SECOND)))
        } else {
            accepts()
        }
    });
    let sink = sink.with_places(16);
    let tenure = Tenure::start(&sink);
    let mut receipts = submit_apart(&tenure, 200).await;
    assert!(tenure.stall().is_none());
    let failed: Vec<_> = [199, 149, 99, 49].map(|at| receipts.remove(at)).into();
    let submitted = Instant::now();
    all_acknowledged(receipts).await;
    assert!(submitted.elapsed() < 3 * LATENCY, "they did not wait");
    all_acknowledged(failed).await;
    assert!(tenure.elapsed() >= 5 * SECOND);
    assert_eq!(tenure.metrics.retried.get(), 4);
}

/// A sink that fails until it is mended gets about as many writes as one with a
/// single place would.
async fn assert_is_left_alone(failing: impl Fn() -> Answer + Send + Sync + 'static) {
    let mended = 60 * SECOND;
    let start = Instant::now();
    let sink = FakeSink::new("down", move |_| {
        if start.elapsed() < mended {
            failing()
        } else {
            accepts()
        }
    });
    let sink = sink.with_places(16);
    let tenure = Tenure::start(&sink);
    let receipts: Vec<_> = (0..16).map(|_| tenure.submit(500)).collect();
    tokio::time::sleep(mended / 2).await;
    assert!(tenure.stall().is_some());
    all_acknowledged(receipts).await;
    assert!(tenure.elapsed() < mended + 3 * BACKOFF_MAX);
    let times: Vec<_> = sink.writes().iter().map(|write| write.at).collect();
    let failed = times.iter().filter(|at| **at - start < mended).count();
    assert!(failed < 16 + 70, "{failed}");
    let late = times
        .windows(2)
        .filter(|pair| pair[0] - start > SECOND * 10);
    let mut waits = late.filter(|pair| pair[1] - start < mended);
    assert!(waits.all(|pair| pair[1] - pair[0] >= BACKOFF_MAX / 2));
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_refuses_everything_for_now_is_left_alone() {
    assert_is_left_alone(|| Answer::Fail(retryable(None))).await;
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_never_answers_is_left_alone() {
    assert_is_left_alone(|| Answer::BreakAfter(LATENCY, Broken::Stuck(LATENCY))).await;
}

#[tokio::test(start_paused = true)]
async fn what_was_under_way_when_the_destination_failed_brings_it_back() {
    let sink = FakeSink::new("busy", |calls| match calls.writes.len() {
        1 => Answer::AcceptAfter(SECOND, Vec::new()),
        2 | 3 => Answer::Fail(retryable(Some(50 * SECOND))),
        _ => accepts(),
    });
    let sink = sink.with_places(4);
    let tenure = Tenure::start(&sink);
    let mut receipts = submit_apart(&tenure, 4).await;
    assert_eq!(sink.writes().len(), 3, "it is left alone");
    assert!(tenure.stall().is_some());
    let failed = receipts.drain(1..3).collect::<Vec<_>>();
    all_acknowledged(receipts).await;
    assert!(tenure.elapsed() < 2 * SECOND);
    assert!(tenure.stall().is_none());
    all_acknowledged(failed).await;
    assert!(tenure.elapsed() >= 50 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn records_that_never_succeed_hold_up_no_others_for_long() {
    let sink = FakeSink::new("stubborn", |calls| match offered_now(calls)[0] {
        1 => Answer::Fail(retryable(None)),
        _ => accepts(),
    });
    let sink = sink.with_places(4);
    let tenure = Tenure::start(&sink);
    let first = tenure.submit(1);
    tokio::time::sleep(SECOND / 10).await;
    assert_acknowledged(tenure.submit(1)).await;
    for _ in 0..50 {
        tokio::time::sleep(SECOND / 10).await;
        let submitted = Instant::now();
        assert_acknowledged(tenure.submit(1)).await;
        let took = submitted.elapsed();
        assert!(took < 4 * BACKOFF_MIN + LATENCY, "{took:?}");
    }
    assert!(sink.writes().len() < 100);
    assert!(matches!(first.give_up(), Outcome::Unknown(_)));
    tokio::time::sleep(2 * ABANDONED_POLL_INTERVAL).await;
    assert!(tenure.stall().is_none());
    assert_eq!(tenure.queue.depth(), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_pause_ends_when_nobody_waits_for_what_failed() {
    let sink = FakeSink::new("busy", at_first(|| Answer::Fail(retryable(Some(HOUR)))));
    let tenure = Tenure::start(&sink.with_places(4));
    let receipt = tenure.submit(1);
    tokio::time::sleep(10 * SECOND).await;
    drop(receipt);
    assert_acknowledged(tenure.submit(1)).await;
    assert!(tenure.elapsed() <= 10 * SECOND + ABANDONED_POLL_INTERVAL);
}

#[tokio::test(start_paused = true)]
async fn a_closed_queue_is_delivered_to_its_end_with_many_writes() {
    let sink = FakeSink::new("slow", |calls| match calls.writes.len() {
        2 => Answer::Fail(retryable(Some(3 * SECOND))),
        _ => Answer::AcceptAfter(SECOND, Vec::new()),
    });
    let sink = sink.with_places(4);
    let tenure = Tenure::start(&sink);
    let receipts = [tenure.submit(3000), tenure.submit(10)];
    tenure.drained().await;
    all_acknowledged(receipts).await;
    let confirmed: BTreeSet<_> = sink.confirmed().into_iter().collect();
    assert!(confirmed.into_iter().eq(1..=3010));
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_does_not_open_costs_only_its_place() {
    let sink = FakeSink::that_opens_no_more(|_| accepts()).with_places(4);
    let tenure = Tenure::start(&sink);
    all_acknowledged(submit_apart(&tenure, 100).await).await;
    assert!(tenure.elapsed() < SECOND);
    assert_eq!(sink.most(), 1);
    assert!((2..20).contains(&sink.opens()), "{}", sink.opens());
    assert!(tenure.stall().is_none());
    assert_eq!(tenure.metrics.sink_restarts.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_opening_that_hangs_holds_up_no_write() {
    let sink = FakeSink::that_never_reopens(|_| accepts()).with_places(4);
    let tenure = Tenure::start(&sink);
    all_acknowledged(submit_apart(&tenure, 100).await).await;
    assert!(tenure.elapsed() < SECOND);
    assert_eq!((sink.most(), sink.opens()), (1, 1));
    // A swap does not wait for it either.
    let new = FakeSink::accepting("new");
    assert!(tenure.swap(&new).await.is_open());
    assert_acknowledged(tenure.submit(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_has_lost_its_last_instance_stalls_until_one_opens() {
    let sink = FakeSink::that_opens_no_more(|_| Answer::Break(Broken::Stuck(SECOND)));
    let sink = sink.with_places(4);
    let tenure = Tenure::start(&sink);
    let receipt = tenure.submit(1);
    tokio::time::sleep(60 * SECOND).await;
    let stall = tenure.stall().unwrap();
    assert_eq!(stall.reason, "open the sink again: not now");
    assert!(sink.opens() < 70, "{}", sink.opens());
    let given_up = receipt.give_up();
    let expected = "the sink did not confirm it in time (open the sink again: not now)";
    assert_eq!(given_up, Outcome::Unknown(expected.to_owned()));
    tokio::time::sleep(SECOND).await;
    assert!(tenure.stall().is_none());
    let elapsed = tenure.elapsed();
    let started = tenure.started;
    tenure.drained().await;
    assert_eq!(started.elapsed(), elapsed, "nothing waits for an instance");
}

/// A sink that does anything, by a seed. Some records break it, some it refuses,
/// and all others it takes at some time.
fn unreliable(name: &str, seed: u64, places: usize) -> FakeSink {
    let rng = Mutex::new(StdRng::seed_from_u64(seed));
    let answer = move |calls: &Calls| {
        let offered = offered_now(calls);
        let mut rng = rng.lock().unwrap();
        let time = rng.random_range(0..100) * MILLIS;
        if offered.iter().any(|sequence| sequence % 97 == 0) {
            return Answer::BreakAfter(time, trapped());
        }
        let refused = |offered: &[u64]| {
            let places = offered.iter().enumerate();
            let refused = places.filter(|(_, sequence)| *sequence % 89 == 0);
            refused
                .map(|(index, _)| permanent(index))
                .collect::<Vec<Refusal>>()
        };
        match rng.random_range(0..20) {
            0 => Answer::Fail(retryable(None)),
            1 => Answer::BreakAfter(time, Broken::Stuck(time)),
            2 if refused(&offered).len() == offered.len() => {
                Answer::Fail(Failure::Permanent("no".to_owned()))
            }
            3 => {
                let mut refusals = refused(&offered);
                if !offered[0].is_multiple_of(89) {
                    let failure = retryable(None);
                    refusals.insert(0, Refusal { index: 0, failure });
                }
                Answer::AcceptAfter(time, refusals)
            }
            4 => Answer::Accept(refused(&offered)),
            _ => Answer::AcceptAfter(time, refused(&offered)),
        }
    };
    FakeSink::new(name, answer).with_places(places)
}

/// Every record has exactly one outcome, and what was acknowledged was taken by
/// a sink, whatever goes wrong and however many writes there are.
#[tokio::test(start_paused = true)]
async fn nothing_is_lost_or_made_up_with_any_number_of_writes() {
    for seed in 0..60 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut sinks = vec![unreliable("first", seed, rng.random_range(1..=16))];
        let tenure = Tenure::start(&sinks[0]);
        let mut receipts = Vec::new();
        let mut total = 0;
        for _ in 0..rng.random_range(1..60) {
            let count = rng.random_range(1..150);
            receipts.push((total, count, tenure.submit(count)));
            total += count;
            tokio::time::sleep(rng.random_range(0..30) * MILLIS).await;
            if rng.random_bool(0.05) {
                let sink = unreliable("next", rng.random(), rng.random_range(1..=16));
                drop(tenure.swap(&sink).await);
                sinks.push(sink);
            }
        }
        // The last one is fine, so that every verdict can be reached.
        total += 1;
        while total % 97 == 0 || total % 89 == 0 {
            receipts.push((total - 1, 1, tenure.submit(1)));
            total += 1;
        }
        receipts.push((total - 1, 1, tenure.submit(1)));
        let mut acknowledged = BTreeSet::new();
        let mut rejections = 0;
        for (before, count, receipt) in receipts {
            let rejected = rejected(receipt).await;
            rejections += rejected.len();
            let rejected: BTreeSet<_> = rejected.into_iter().map(|(index, _)| index).collect();
            let kept = (0..count).filter(|index| !rejected.contains(index));
            acknowledged.extend(kept.map(|index| (before + index + 1) as u64));
        }
        let confirmed: BTreeSet<u64> = sinks.iter().flat_map(FakeSink::confirmed).collect();
        assert!(acknowledged.is_subset(&confirmed), "seed {seed}");
        assert_eq!(acknowledged.len() + rejections, total, "seed {seed}");
        let guilty = |sequence: &u64| sequence.is_multiple_of(97) || sequence.is_multiple_of(89);
        let innocent = (1..=total as u64).filter(|sequence| !guilty(sequence));
        assert!(innocent.eq(acknowledged.iter().copied()), "seed {seed}");
        let counted = tenure.metrics.acknowledged.get();
        assert_eq!(counted as usize, acknowledged.len(), "seed {seed}");
        let queue = Arc::clone(&tenure.queue);
        tenure.drained().await;
        // What became a dead letter is given back by a thread.
        let start = std::time::Instant::now();
        while queue.depth() != (0, 0) {
            assert!(start.elapsed() < 20 * SECOND, "seed {seed}");
            tokio::time::sleep(MILLIS).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_write_of_many_that_hangs_casts_no_doubt_on_a_new_sink() {
    let old = FakeSink::accepting("old");
    let new = FakeSink::new("new", |calls| match offered_now(calls).contains(&2) {
        true => Answer::BreakAfter(SECOND, Broken::Stuck(SECOND)),
        false => accepts(),
    });
    let tenure = Tenure::start(&old);
    assert_acknowledged(tenure.submit(1)).await;
    let mut verdict = tenure.try_out(&new.with_places(4)).await;
    let mut receipts = submit_apart(&tenure, 100).await;
    drop(receipts.remove(0));
    all_acknowledged(receipts).await;
    tokio::time::sleep(SECOND).await;
    assert!(verdict.try_recv().is_err());
}
