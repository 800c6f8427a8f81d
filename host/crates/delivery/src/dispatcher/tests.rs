//! The dispatcher between fake sinks, a queue and a lease, under paused time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::fake_sink::{Answer, Calls, FakeSink};
use super::tenure::{
    EPOCH, HOUR, SECOND, Tenure, assert_acknowledged, assert_unknown, at_first, offered_now,
    outcome, permanent, rejected, retryable, spinning, trapped,
};
use super::{ABANDONED_POLL_INTERVAL, BACKOFF_MAX, BACKOFF_MIN, Ended};
use crate::sink_writer::SWAP_GRACE;
use crate::{Outcome, Watch};
use sluice_types::clock::BootTime;
use sluice_types::lease::{Lease, Standing};
use sluice_types::outcome::{Broken, Failure, Refusal, TimeLimit};
use sluice_types::retry_after::RetryAfter;

/// Revokes the lease while a request waits for its outcome. The request and the
/// loop end at once.
async fn assert_revocation_ends_a_request(sink: &FakeSink, reason: &str) {
    let tenure = Tenure::start(sink);
    let receipt = tenure.submit(1);
    tokio::time::sleep(30 * SECOND).await;
    tenure.lease.revoke();
    assert_unknown(receipt, reason).await;
    assert_eq!(tenure.elapsed(), 30 * SECOND);
    assert_eq!(tenure.ended().await, Ended::Revoked);
}

#[tokio::test(start_paused = true)]
async fn a_request_is_acknowledged_when_a_slow_sink_has_confirmed_it() {
    let sink = FakeSink::new("slow", |_| Answer::AcceptAfter(3 * SECOND, Vec::new()));
    let tenure = Tenure::start(&sink);
    assert_acknowledged(tenure.submit(2)).await;
    assert_eq!(tenure.elapsed(), 3 * SECOND);
    assert_eq!(tenure.metrics.acknowledged.get(), 2);
    assert_eq!(tenure.metrics.delivered.get(), 2);
    assert_eq!(tenure.queue.depth(), (0, 0));
    tenure.drained().await;
}

#[tokio::test(start_paused = true)]
async fn requests_that_arrive_during_a_write_share_the_next_one_in_order() {
    let sink = FakeSink::new("slow", |_| Answer::AcceptAfter(SECOND, Vec::new()));
    let tenure = Tenure::start(&sink);
    let first = tenure.submit(1);
    tokio::time::sleep(SECOND / 2).await;
    let others = [tenure.submit(2), tenure.submit(1)];
    assert_acknowledged(first).await;
    for other in others {
        assert_acknowledged(other).await;
    }
    assert_eq!(sink.offered(), [vec![1], vec![2, 3, 4]]);
    assert_eq!(tenure.elapsed(), 2 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_closed_queue_is_delivered_to_its_end() {
    let sink = FakeSink::new("slow", |_| Answer::AcceptAfter(SECOND, Vec::new()));
    let tenure = Tenure::start(&sink);
    let receipts = [tenure.submit(1500), tenure.submit(10)];
    tenure.drained().await;
    for receipt in receipts {
        assert_acknowledged(receipt).await;
    }
    assert!(sink.offered().concat().into_iter().eq(1..=1510));
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_asks_to_wait_is_left_alone_for_that_time() {
    let sink = FakeSink::new(
        "busy",
        at_first(|| Answer::Fail(retryable(Some(5 * SECOND)))),
    );
    let tenure = Tenure::start(&sink);
    let receipts = [tenure.submit(1), tenure.submit(2)];
    for receipt in receipts {
        assert_acknowledged(receipt).await;
    }
    assert_eq!(tenure.elapsed(), 5 * SECOND);
    assert_eq!(sink.offered(), [vec![1, 2, 3], vec![1, 2, 3]]);
    let numbers: Vec<_> = sink.writes().iter().map(|w| w.attempt.number).collect();
    assert_eq!(numbers, [1, 2]);
    assert_eq!(tenure.metrics.retried.get(), 3);
    assert_eq!(sink.opens(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_asks_to_wait_for_ever_is_asked_again_after_the_bound() {
    let for_ever = Some(Duration::from_millis(u64::MAX));
    let sink = FakeSink::new(
        "hostile",
        at_first(move || Answer::Fail(retryable(for_ever))),
    );
    let tenure = Tenure::start(&sink);
    // Nobody gives up: the producer was told that it is safe.
    assert_acknowledged(tenure.submit_acknowledged(2)).await;
    assert_eq!(tenure.elapsed(), RetryAfter::MAX);
}

#[tokio::test(start_paused = true)]
async fn records_that_are_refused_until_the_end_of_time_are_offered_again_after_the_bound() {
    let for_ever = Some(Duration::from_millis(u64::MAX));
    let refusal = move |index| Refusal {
        index,
        failure: retryable(for_ever),
    };
    let sink = FakeSink::new(
        "hostile",
        at_first(move || Answer::Accept(vec![refusal(1)])),
    );
    let tenure = Tenure::start(&sink);
    assert_acknowledged(tenure.submit_acknowledged(2)).await;
    assert_eq!(tenure.elapsed(), RetryAfter::MAX);
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_asks_to_be_opened_much_later_is_opened_after_the_bound() {
    let after = RetryAfter::at_most(Duration::from_millis(u64::MAX));
    let sink = FakeSink::that_reopens_later(after, at_first(|| Answer::Break(trapped())));
    let tenure = Tenure::start(&sink);
    assert_acknowledged(tenure.submit_acknowledged(1)).await;
    assert_eq!(sink.opens(), 2);
    assert_eq!(tenure.elapsed(), RetryAfter::MAX);
}

#[tokio::test(start_paused = true)]
async fn a_stall_is_shown_until_a_record_is_confirmed() {
    let sink = FakeSink::new("busy", |calls| match calls.writes.len() {
        ..=3 => Answer::Fail(retryable(Some(50 * SECOND))),
        _ => Answer::AcceptAfter(SECOND, Vec::new()),
    });
    let tenure = Tenure::start(&sink);
    assert!(tenure.stall().is_none());
    let receipt = tenure.submit(1);
    tokio::time::sleep(20 * SECOND).await;
    let first = tenure.stall().unwrap();
    assert_eq!(first.reason, "busy");
    assert_eq!(first.duration(), 20 * SECOND);
    assert_eq!(first.until_next_attempt(), Some(30 * SECOND));
    tokio::time::sleep(100 * SECOND).await;
    let later = tenure.stall().unwrap();
    assert_eq!(later.since, first.since);
    assert_eq!(later.duration(), 120 * SECOND);
    tokio::time::sleep(30 * SECOND + SECOND / 2).await;
    let trying = tenure.stall().unwrap();
    assert_eq!(trying.until_next_attempt(), None, "it is being written");
    assert_acknowledged(receipt).await;
    assert!(tenure.stall().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_stall_ends_when_nothing_waits_any_more_and_when_the_tenure_ends() {
    let sink = FakeSink::new("down", |_| Answer::Fail(retryable(Some(50 * SECOND))));
    let tenure = Tenure::start(&sink);
    let receipt = tenure.submit(1);
    tokio::time::sleep(10 * SECOND).await;
    assert!(tenure.stall().is_some());
    drop(receipt);
    tokio::time::sleep(SECOND).await;
    assert!(tenure.stall().is_none(), "nobody waits");
    let _receipt = tenure.submit(1);
    tokio::time::sleep(SECOND).await;
    let shown = tenure.stall.clone();
    assert!(shown.borrow().is_some());
    tenure.lease.revoke();
    assert_eq!(tenure.ended().await, Ended::Revoked);
    assert!(shown.borrow().is_none(), "this node no longer delivers");
}

#[tokio::test(start_paused = true)]
async fn a_stall_ends_when_nothing_is_left_to_offer() {
    let sink = FakeSink::new("down", |_| Answer::Fail(retryable(Some(50 * SECOND))));
    let tenure = Tenure::start(&sink);
    let receipt = tenure.submit(1);
    tokio::time::sleep(10 * SECOND).await;
    // It counts, but is not to be offered, as a dead letter that is being written.
    let _other = tenure.submit(1);
    let _held = tenure.queue.take();
    drop(receipt);
    tokio::time::sleep(SECOND).await;
    assert_eq!(tenure.queue.depth().0, 1);
    assert!(tenure.stall().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_refuses_for_good_does_not_stall() {
    let sink = FakeSink::new("picky", |calls| match calls.writes.len() {
        1 => Answer::Fail(retryable(Some(SECOND))),
        _ => Answer::Fail(Failure::Permanent("no".to_owned())),
    });
    let tenure = Tenure::start(&sink);
    assert_eq!(rejected(tenure.submit(1)).await, [(0, false)]);
    assert!(tenure.stall().is_none());
}

#[tokio::test(start_paused = true)]
async fn waits_grow_to_their_bound_and_start_small_after_a_success() {
    const FAILURES: usize = 10;
    let sink = FakeSink::new("down", |calls| match calls.writes.len() {
        ..=FAILURES => Answer::Fail(retryable(None)),
        count if count == FAILURES + 2 => Answer::Fail(retryable(None)),
        _ => Answer::Accept(Vec::new()),
    });
    let tenure = Tenure::start(&sink);
    assert_acknowledged(tenure.submit(1)).await;
    assert_acknowledged(tenure.submit(1)).await;
    let times: Vec<_> = sink.writes().iter().map(|write| write.at).collect();
    let waits: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // A timer may fire up to a millisecond late.
    let late = Duration::from_millis(2);
    let mut whole = BACKOFF_MIN;
    for wait in &waits[..FAILURES] {
        assert!((whole / 2..=whole + late).contains(wait), "{waits:?}");
        whole = (whole * 2).min(BACKOFF_MAX);
    }
    assert!(waits[FAILURES - 1] >= BACKOFF_MAX / 2, "{waits:?}");
    assert!(waits[FAILURES + 1] <= BACKOFF_MIN + late, "{waits:?}");
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_asks_to_retry_some_records_gets_only_those_again() {
    let refusal = |index| Refusal {
        index,
        failure: retryable(Some(SECOND)),
    };
    let answer = move || Answer::Accept(vec![refusal(1), refusal(3)]);
    let sink = FakeSink::new("partial", at_first(answer));
    let tenure = Tenure::start(&sink);
    let (one, two) = (tenure.submit(1), tenure.submit(3));
    assert_acknowledged(one).await;
    assert_eq!(tenure.elapsed(), Duration::ZERO);
    assert_acknowledged(two).await;
    assert_eq!(tenure.elapsed(), SECOND);
    assert_eq!(sink.offered(), [vec![1, 2, 3, 4], vec![2, 4]]);
}

#[tokio::test(start_paused = true)]
async fn a_producer_that_gives_up_is_told_the_last_error_and_nothing_is_retried() {
    let sink = FakeSink::new("down", |_| Answer::Fail(retryable(None)));
    let tenure = Tenure::start(&sink);
    let receipt = tenure.submit(1);
    tokio::time::sleep(10 * SECOND).await;
    let given_up = receipt.give_up();
    let expected = "the sink did not confirm it in time (busy)".to_owned();
    assert_eq!(given_up, Outcome::Unknown(expected));
    let offered = sink.offered().len();
    tokio::time::sleep(HOUR).await;
    assert_eq!(sink.offered().len(), offered);
    assert_eq!(tenure.queue.depth(), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_when_its_producer_gives_up() {
    let sink = FakeSink::new("busy", at_first(|| Answer::Fail(retryable(Some(HOUR)))));
    let tenure = Tenure::start(&sink);
    let receipt = tenure.submit(1);
    tokio::time::sleep(10 * SECOND).await;
    drop(receipt);
    assert_acknowledged(tenure.submit(1)).await;
    assert!(tenure.elapsed() <= 10 * SECOND + ABANDONED_POLL_INTERVAL);
    assert_eq!(sink.offered(), [vec![1], vec![2]]);
}

#[tokio::test(start_paused = true)]
async fn order_is_kept_when_a_part_is_offered_again() {
    let sink = FakeSink::new("fragile", |calls| match calls.writes.len() {
        1 => Answer::Break(trapped()),
        2 => Answer::Fail(retryable(None)),
        _ => Answer::Accept(Vec::new()),
    });
    let tenure = Tenure::start(&sink);
    assert_acknowledged(tenure.submit(4)).await;
    let offered = [vec![1, 2, 3, 4], vec![1, 2], vec![1, 2], vec![3, 4]];
    assert_eq!(sink.offered(), offered);
}

#[tokio::test(start_paused = true)]
async fn a_broken_instance_is_replaced_and_the_records_are_offered_again() {
    let sink = FakeSink::new("fragile", at_first(|| Answer::Break(trapped())));
    let tenure = Tenure::start(&sink);
    assert_acknowledged(tenure.submit(4)).await;
    assert_eq!(sink.opens(), 1);
    assert_eq!(tenure.metrics.sink_restarts.get(), 1);
    // By halves, to find out which record it was.
    assert_eq!(sink.offered(), [vec![1, 2, 3, 4], vec![1, 2], vec![3, 4]]);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_breaks_the_sink_becomes_a_dead_letter_and_the_others_are_delivered() {
    let sink = FakeSink::new("fragile", |calls| {
        if offered_now(calls).contains(&3) {
            Answer::Break(trapped())
        } else {
            Answer::Accept(Vec::new())
        }
    });
    let tenure = Tenure::start(&sink);
    let (one, two) = (tenure.submit(2), tenure.submit(4));
    assert_acknowledged(one).await;
    assert_eq!(rejected(two).await, [(0, true)]);
    let letters = tenure.letters.list().unwrap();
    let ids: Vec<_> = letters.iter().map(|letter| letter.id.as_str()).collect();
    assert_eq!(ids, ["7-3"]);
    assert_eq!(tenure.metrics.dead_lettered.get(), 1);
    assert_eq!(tenure.metrics.acknowledged.get(), 5);
    let confirmed: BTreeSet<u64> = sink.offered().concat().into_iter().collect();
    assert!(confirmed.into_iter().eq(1..=6));
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_breaks_on_everything_is_probed_and_nothing_is_set_aside() {
    let mended = 30 * SECOND;
    let start = Instant::now();
    let sink = FakeSink::new("mended", move |_| {
        if start.elapsed() < mended {
            Answer::Break(trapped())
        } else {
            Answer::Accept(Vec::new())
        }
    });
    let tenure = Tenure::start(&sink);
    assert_acknowledged(tenure.submit(3)).await;
    assert!(tenure.elapsed() < mended + 2 * BACKOFF_MAX);
    assert_eq!(tenure.letters.list().unwrap(), []);
    // It waits between its attempts.
    assert!(sink.writes().len() < 100, "{}", sink.writes().len());
}

#[tokio::test(start_paused = true)]
async fn the_sink_is_left_alone_for_a_while_once_two_records_are_suspect() {
    let sink = FakeSink::new("fragile", |calls| match calls.writes.len() {
        ..=5 => Answer::Break(trapped()),
        _ => Answer::Accept(Vec::new()),
    });
    let tenure = Tenure::start(&sink);
    assert_acknowledged(tenure.submit(2)).await;
    let offered = [
        vec![1, 2],
        vec![1],
        vec![1],
        vec![2],
        vec![2],
        vec![1],
        vec![2],
    ];
    assert_eq!(sink.offered(), offered);
    let times: Vec<_> = sink.writes().iter().map(|write| write.at).collect();
    assert_eq!(times[0], times[4]);
    assert!(times[5] - times[4] >= BACKOFF_MIN / 2);
    assert_eq!(tenure.letters.list().unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn a_lonely_suspect_is_tried_again_until_it_succeeds() {
    let sink = FakeSink::new("moody", |calls| match calls.writes.len() {
        ..=4 => Answer::Break(trapped()),
        _ => Answer::Accept(Vec::new()),
    });
    let tenure = Tenure::start(&sink);
    assert_acknowledged(tenure.submit(1)).await;
    assert_eq!(sink.writes().len(), 5);
    assert_eq!(tenure.letters.list().unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_spins_may_compute_less_for_a_while() {
    let spins = || Answer::BreakAfter(SECOND, spinning(SECOND, TimeLimit::Manifest));
    let sink = FakeSink::new("spinning", at_first(spins));
    let tenure = Tenure::start(&sink);
    // Offered one by one after it spun.
    assert_acknowledged(tenure.submit(2)).await;
    tokio::time::sleep(HOUR).await;
    assert_acknowledged(tenure.submit(1)).await;
    let computes: Vec<_> = sink.writes().iter().map(|write| write.compute).collect();
    assert_eq!(sink.offered(), [vec![1, 2], vec![1], vec![2], vec![3]]);
    assert_eq!(computes[0], Duration::MAX);
    assert_eq!(computes[1], Duration::from_millis(100));
    assert_eq!(computes[2], Duration::from_millis(100));
    assert_eq!(computes[3], Duration::MAX);
}

/// A sink that spins on the first record, and needs a little more than the
/// shortened time for the third.
fn spins_on_1_and_is_slow_on_3(calls: &Calls) -> Answer {
    const CALL_LIMIT: Duration = Duration::from_secs(10);
    const SLOW: Duration = Duration::from_millis(120);
    let write = calls.writes.last().unwrap();
    let needs = match write.sequences.as_slice() {
        some if some.contains(&1) => Duration::MAX,
        some if some.contains(&3) => SLOW,
        _ => Duration::ZERO,
    };
    let limit = match write.compute < CALL_LIMIT {
        true => TimeLimit::Shortened,
        false => TimeLimit::Manifest,
    };
    let time = write.compute.min(CALL_LIMIT);
    if needs > time {
        Answer::BreakAfter(time, spinning(time, limit))
    } else {
        Answer::AcceptAfter(needs, Vec::new())
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_that_needs_more_than_the_shortened_time_is_not_set_aside() {
    let sink = FakeSink::new("spinning", spins_on_1_and_is_slow_on_3);
    let tenure = Tenure::start(&sink);
    let spinning = tenure.submit(1);
    tokio::time::sleep(SECOND).await;
    let others = tenure.submit(3);
    assert_acknowledged(others).await;
    assert_eq!(rejected(spinning).await, [(0, true)]);
    let letters = tenure.letters.list().unwrap();
    let ids: Vec<_> = letters.iter().map(|letter| letter.id.as_str()).collect();
    assert_eq!(ids, ["7-1"]);
    let reason = &letters[0].reason;
    assert!(
        reason.contains("10000 ms (limits.write_timeout_ms)"),
        "{reason}"
    );
    let parts = [
        vec![1],
        vec![1],
        vec![2, 3, 4],
        vec![2],
        vec![3],
        vec![3],
        vec![4],
    ];
    assert_eq!(sink.offered(), parts);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_spins_costs_the_full_time_of_a_call_once_it_is_alone() {
    let sink = FakeSink::new("spinning", spins_on_1_and_is_slow_on_3);
    let tenure = Tenure::start(&sink);
    let receipt = tenure.submit(2);
    assert_eq!(rejected(receipt).await, [(0, true)]);
    assert_eq!(sink.offered(), [vec![1, 2], vec![1], vec![1], vec![2]]);
    let shortened = Duration::from_millis(100);
    let computes: Vec<_> = sink.writes().iter().map(|write| write.compute).collect();
    assert_eq!(
        computes,
        [Duration::MAX, shortened, Duration::MAX, shortened]
    );
}

#[tokio::test(start_paused = true)]
async fn a_new_sink_may_compute_as_long_as_its_own_limit_says() {
    let spins = || Answer::BreakAfter(SECOND, spinning(SECOND, TimeLimit::Manifest));
    let old = FakeSink::new("spinning", at_first(spins));
    let new = FakeSink::accepting("new");
    let tenure = Tenure::start(&old);
    assert_acknowledged(tenure.submit(1)).await;
    assert_eq!(old.writes()[1].compute, Duration::from_millis(100));
    drop(tenure.swap(&new).await);
    assert_acknowledged(tenure.submit(1)).await;
    assert_eq!(new.writes()[0].compute, Duration::MAX);
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_is_stuck_on_its_output_never_makes_a_record_suspect() {
    let sink = FakeSink::new("stuck", |calls| match calls.writes.len() {
        ..=8 => Answer::BreakAfter(SECOND, Broken::Stuck(SECOND)),
        _ => Answer::Accept(Vec::new()),
    });
    let tenure = Tenure::start(&sink);
    assert_acknowledged(tenure.submit(2)).await;
    // Never taken apart, and with a wait before each attempt.
    assert!(sink.offered().iter().all(|offered| offered == &[1, 2]));
    let least: Duration = [25, 50, 100, 200, 400, 800, 1000, 1000]
        .map(Duration::from_millis)
        .into_iter()
        .sum();
    assert!(tenure.elapsed() >= 8 * SECOND + least);
    assert_eq!(tenure.letters.list().unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn a_revoked_lease_ends_a_write_that_hangs() {
    let sink = FakeSink::new("hanging", |_| Answer::Hang);
    let reason = "the node stepped down while the sink was writing it";
    assert_revocation_ends_a_request(&sink, reason).await;
}

#[tokio::test(start_paused = true)]
async fn a_revoked_lease_ends_a_wait() {
    let sink = FakeSink::new("busy", |_| Answer::Fail(retryable(Some(HOUR))));
    let reason = "the node stepped down before the sink confirmed it";
    assert_revocation_ends_a_request(&sink, reason).await;
    assert_eq!(sink.writes().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_confirmed_write_is_not_acknowledged_after_the_lease_was_revoked() {
    let end = BootTime::now() + 24 * HOUR;
    let lease = Arc::new(Lease::new(EPOCH, BootTime::default(), end));
    let revoked = Arc::clone(&lease);
    let sink = FakeSink::new("late", move |_| {
        revoked.revoke();
        Answer::Accept(Vec::new())
    });
    let tenure = Tenure::start_under(lease, &sink);
    let receipt = tenure.submit(1);
    assert_unknown(receipt, "the node stepped down before it could acknowledge").await;
    assert_eq!(tenure.metrics.acknowledged.get(), 0);
    assert_eq!(tenure.ended().await, Ended::Revoked);
}

#[tokio::test(start_paused = true)]
async fn a_confirmed_write_is_not_acknowledged_while_the_lease_is_suspended() {
    // The lease has a real clock.
    let end = BootTime::now() + Duration::from_millis(300);
    let lease = Arc::new(Lease::new(EPOCH, BootTime::default(), end));
    let expiring = Arc::clone(&lease);
    let sink = FakeSink::new("late", move |_| {
        while expiring.remaining() < SECOND && matches!(expiring.ask(), Standing::Valid(_)) {
            std::thread::yield_now();
        }
        Answer::Accept(Vec::new())
    });
    let tenure = Tenure::start_under(lease, &sink);
    let mut receipt = tenure.submit(1);
    assert!(timeout(HOUR, &mut receipt).await.is_err());
    tenure.lease.extend(BootTime::now() + HOUR);
    assert_acknowledged(receipt).await;
    assert_eq!(sink.writes().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_taken_from_the_queue_while_the_lease_is_suspended() {
    let sink = FakeSink::accepting("sink");
    let suspended = Lease::new(EPOCH, BootTime::default(), BootTime::from_nanos(1));
    let tenure = Tenure::start_under(suspended, &sink);
    let (withdrawn, kept) = (tenure.submit(1), tenure.submit(1));
    tokio::time::sleep(HOUR).await;
    let withdrawn = withdrawn.give_up();
    assert!(matches!(withdrawn, Outcome::NotDelivered(_)));
    tenure.lease.extend(BootTime::now() + HOUR);
    assert_acknowledged(kept).await;
    assert_eq!(sink.offered(), [vec![2]]);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_revoked_while_idle_ends_the_loop() {
    let sink = FakeSink::accepting("sink");
    let tenure = Tenure::start(&sink);
    assert_acknowledged(tenure.submit(1)).await;
    tenure.lease.revoke();
    assert_eq!(tenure.ended().await, Ended::Revoked);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_revoked_while_the_sink_opens_ends_the_loop() {
    let sink = FakeSink::that_never_reopens(|_| Answer::Break(trapped()));
    let tenure = Tenure::start(&sink);
    let receipt = tenure.submit(1);
    tokio::time::sleep(60 * SECOND).await;
    assert_eq!((sink.opens(), sink.writes().len()), (1, 1));
    tenure.lease.revoke();
    assert_unknown(
        receipt,
        "the node stepped down before the sink confirmed it",
    )
    .await;
    assert_eq!(tenure.ended().await, Ended::Revoked);
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_knows_a_later_leader_ends_the_loop() {
    let fenced = || Answer::Fail(Failure::Fenced("epoch 9".to_owned()));
    let sink = FakeSink::new("fenced", move |_| fenced());
    let tenure = Tenure::start(&sink);
    let receipt = tenure.submit(1);
    assert_unknown(receipt, "the destination knows a later leader").await;
    let fenced = Ended::Fenced("epoch 9".to_owned());
    assert_eq!(tenure.ended().await, fenced);
}

#[tokio::test(start_paused = true)]
async fn a_write_may_end_within_the_grace_of_a_swap() {
    let old = FakeSink::new("old", |_| Answer::AcceptAfter(SECOND, Vec::new()));
    let new = FakeSink::accepting("new");
    let tenure = Tenure::start(&old);
    let first = tenure.submit(1);
    tokio::time::sleep(SECOND / 2).await;
    let second = tenure.submit(1);
    let returned = tenure.swap(&new).await;
    assert_eq!(tenure.elapsed(), SECOND);
    assert!(returned.is_open(), "the old one was cancelled");
    assert_acknowledged(first).await;
    assert_acknowledged(second).await;
    assert_eq!(
        (old.offered(), new.offered()),
        (vec![vec![1]], vec![vec![2]])
    );
}

#[tokio::test(start_paused = true)]
async fn a_write_that_does_not_end_within_the_grace_goes_to_the_new_sink() {
    let old = FakeSink::new("old", |_| Answer::Hang);
    let new = FakeSink::accepting("new");
    let tenure = Tenure::start(&old);
    let receipts = [tenure.submit(1), tenure.submit(2)];
    tokio::time::sleep(10 * SECOND).await;
    let returned = tenure.swap(&new).await;
    assert_eq!(tenure.elapsed(), 10 * SECOND + SWAP_GRACE);
    assert!(!returned.is_open(), "a cancelled instance must not be used");
    for receipt in receipts {
        assert_acknowledged(receipt).await;
    }
    assert_eq!(tenure.elapsed(), 10 * SECOND + SWAP_GRACE);
    assert_eq!(new.offered(), [vec![1, 2, 3]]);
    assert_eq!(new.writes()[0].attempt.number, 2);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_revoked_during_the_grace_ends_the_loop() {
    let old = FakeSink::new("old", |_| Answer::Hang);
    let new = FakeSink::accepting("new");
    let tenure = Tenure::start(&old);
    let receipt = tenure.submit(1);
    tokio::time::sleep(SECOND).await;
    let (swap, _returned) = new.swap(Watch::Nothing);
    tenure.swaps.send(swap).await.unwrap();
    tokio::time::sleep(SWAP_GRACE / 2).await;
    tenure.lease.revoke();
    let started = tenure.started;
    assert_eq!(tenure.ended().await, Ended::Revoked);
    assert_eq!(started.elapsed(), SECOND + SWAP_GRACE / 2);
    assert!(matches!(outcome(receipt).await, Outcome::Unknown(_)));
    assert!(new.writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_swap_ends_a_wait_at_once() {
    let old = FakeSink::new("old", |_| Answer::Fail(retryable(Some(HOUR))));
    let new = FakeSink::accepting("new");
    let tenure = Tenure::start(&old);
    let receipt = tenure.submit(1);
    tokio::time::sleep(10 * SECOND).await;
    let returned = tenure.swap(&new).await;
    assert!(returned.is_open());
    assert_acknowledged(receipt).await;
    assert_eq!(tenure.elapsed(), 10 * SECOND);
    assert_eq!(new.offered(), [vec![1]]);
}

#[tokio::test(start_paused = true)]
async fn a_swap_ends_the_opening_of_the_old_sink() {
    let old = FakeSink::that_never_reopens(|_| Answer::Break(trapped()));
    let new = FakeSink::accepting("new");
    let tenure = Tenure::start(&old);
    let receipt = tenure.submit(1);
    tokio::time::sleep(10 * SECOND).await;
    let returned = tenure.swap(&new).await;
    assert!(!returned.is_open());
    assert_acknowledged(receipt).await;
    assert_eq!(tenure.elapsed(), 10 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn an_idle_sink_is_swapped_at_once() {
    let (old, new) = (FakeSink::accepting("old"), FakeSink::accepting("new"));
    let tenure = Tenure::start(&old);
    let returned = tenure.swap(&new).await;
    assert_eq!(returned.identity().source, "old");
    assert_acknowledged(tenure.submit(1)).await;
    assert_eq!((old.offered().len(), new.offered().len()), (0, 1));
    assert_eq!(tenure.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_broke_the_old_sink_is_not_suspect_to_the_new_one() {
    let old = FakeSink::new("old", |_| Answer::Break(trapped()));
    let new = FakeSink::new("new", at_first(|| Answer::Break(trapped())));
    let tenure = Tenure::start(&old);
    let first = tenure.submit(1);
    tokio::time::sleep(10 * SECOND).await;
    drop(tenure.swap(&new).await);
    let second = tenure.submit(1);
    assert_acknowledged(first).await;
    assert_acknowledged(second).await;
    assert_eq!(tenure.letters.list().unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn waits_start_small_for_a_new_sink() {
    let old = FakeSink::new("old", |_| Answer::Fail(retryable(None)));
    let new = FakeSink::new("new", at_first(|| Answer::Fail(retryable(None))));
    let tenure = Tenure::start(&old);
    let receipt = tenure.submit(1);
    tokio::time::sleep(60 * SECOND).await;
    drop(tenure.swap(&new).await);
    assert_acknowledged(receipt).await;
    let wait = tenure.elapsed() - 60 * SECOND;
    assert!(wait <= BACKOFF_MIN + Duration::from_millis(2), "{wait:?}");
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_breaks_during_the_grace_leaves_the_records_whole() {
    let old = FakeSink::new("old", |_| Answer::BreakAfter(SECOND, trapped()));
    let new = FakeSink::accepting("new");
    let tenure = Tenure::start(&old);
    let receipt = tenure.submit(3);
    tokio::time::sleep(SECOND / 2).await;
    drop(tenure.swap(&new).await);
    assert_acknowledged(receipt).await;
    assert_eq!(new.offered(), [vec![1, 2, 3]]);
    assert_eq!(tenure.metrics.sink_restarts.get(), 1);
    assert_eq!(old.opens(), 0);
}

#[tokio::test(start_paused = true)]
async fn refused_records_are_rejected_to_the_requests_that_they_belong_to() {
    let answer = || Answer::Accept(vec![permanent(1), permanent(2)]);
    let sink = FakeSink::new("picky", at_first(answer));
    let tenure = Tenure::start(&sink);
    let (one, two) = (tenure.submit(2), tenure.submit(2));
    assert_eq!(rejected(one).await, [(1, false)]);
    assert_eq!(rejected(two).await, [(0, false)]);
    assert_eq!(tenure.metrics.rejected.get(), 2);
    assert_eq!(tenure.metrics.acknowledged.get(), 2);
    assert_eq!(tenure.letters.list().unwrap(), []);
    assert_eq!(sink.writes().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_refused_whole_is_offered_in_parts() {
    let sink = FakeSink::new("picky", |calls| {
        if offered_now(calls).contains(&2) {
            Answer::Fail(Failure::Permanent("no".to_owned()))
        } else {
            Answer::Accept(Vec::new())
        }
    });
    let tenure = Tenure::start(&sink);
    let receipt = tenure.submit(4);
    assert_eq!(rejected(receipt).await, [(1, false)]);
    let parts = [vec![1, 2, 3, 4], vec![1, 2], vec![1], vec![2], vec![3, 4]];
    assert_eq!(sink.offered(), parts);
    assert_eq!(tenure.metrics.rejected.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refused_record_whose_producer_was_told_is_kept() {
    let sink = FakeSink::new("picky", |_| Answer::Accept(vec![permanent(0)]));
    let tenure = Tenure::start(&sink);
    let receipt = tenure.submit_acknowledged(2);
    assert_eq!(rejected(receipt).await, [(0, true)]);
    let letters = tenure.letters.list().unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(
        (letters[0].id.as_str(), letters[0].reason.as_str()),
        ("7-1", "no")
    );
    assert_eq!(letters[0].plugin.source, "picky");
    assert_eq!(tenure.metrics.rejected.get(), 1);
    // It was counted as acknowledged before.
    assert_eq!(tenure.metrics.acknowledged.get(), 0);
    assert_eq!(tenure.metrics.delivered.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refused_record_whose_producer_has_given_up_is_kept() {
    let sink = FakeSink::new("slow", |_| Answer::AcceptAfter(SECOND, vec![permanent(0)]));
    let tenure = Tenure::start(&sink);
    let receipt = tenure.submit(1);
    tokio::time::sleep(SECOND / 2).await;
    assert!(matches!(receipt.give_up(), Outcome::Unknown(_)));
    // The letter is written by a thread of its own.
    let start = std::time::Instant::now();
    while tenure.metrics.dead_lettered.get() == 0 {
        assert!(start.elapsed() < 20 * SECOND, "it was not kept");
        tokio::time::sleep(SECOND).await;
    }
    let letters = tenure.letters.list().unwrap();
    assert_eq!(letters[0].id, "7-1");
    assert_eq!(tenure.metrics.rejected.get(), 1);
    tenure.drained().await;
}
