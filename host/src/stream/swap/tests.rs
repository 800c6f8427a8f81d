//! Swaps in a tenure without a cluster, under paused time.

use super::*;
use crate::stream::fakes::Reply::{self, Hangs, Ok, Panics, Permanent, Retryable, Traps};
use crate::stream::rig::{Rig, long, shortly};
use sluice_delivery::{Outcome, ProbationTerms};

async fn is_acknowledged(rig: &Rig, body: &'static str) {
    let outcome = rig.submit(body).unwrap().await;
    assert!(
        matches!(outcome, Outcome::Acknowledged { .. }),
        "{outcome:?}"
    );
}

/// Wants `b`, whose opening ends like this, and a long time later `c`.
async fn assert_b_is_opened_once_and_c_takes_over(opening: Reply) {
    let rig = Rig::new(|a| a);
    let (b, c) = (rig.sink("b", |b| b.opens([opening])), rig.sink("c", |c| c));
    rig.run(async {
        rig.want(&b);
        long().await;
        is_acknowledged(&rig, "1").await;
        rig.want(&c);
        shortly().await;
        rig.stop();
    })
    .await;
    let log = rig.log().join(", ");
    let expected = "a open, b open, a write 1 #1, c open, a close, c close";
    assert_eq!(log, expected);
}

#[tokio::test(start_paused = true)]
async fn the_new_sink_takes_the_records_and_the_old_one_is_closed() {
    let mut rig = Rig::new(|a| a);
    let b = rig.sink("b", |b| b);
    rig.run(async {
        is_acknowledged(&rig, "1").await;
        rig.want(&b);
        shortly().await;
        is_acknowledged(&rig, "2").await;
        rig.stop();
    })
    .await;
    let log = rig.log().join(", ");
    let expected = "a open, a write 1 #1, b open, a close, b write 2 #1, b close";
    assert_eq!(log, expected);
    assert_eq!(rig.parts.metrics.sink_swaps.get(), 1);
    assert_eq!(rig.reports(), ["opening", "a runs", "b runs", "standby"]);
}

#[tokio::test(start_paused = true)]
async fn what_the_old_sink_does_not_confirm_is_offered_to_the_new_one() {
    let rig = Rig::new(|a| a.writes([Hangs]));
    let b = rig.sink("b", |b| b);
    rig.run(async {
        let receipt = rig.submit("1").unwrap();
        shortly().await;
        rig.want(&b);
        assert!(matches!(receipt.await, Outcome::Acknowledged { .. }));
        rig.stop();
    })
    .await;
    let log = rig.log().join(", ");
    // A sink whose call was cancelled is gone, and is not closed.
    assert_eq!(log, "a open, a write 1 #1, b open, b write 1 #2, b close");
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_refuses_for_good_is_not_tried_again() {
    for opening in [Permanent, Panics] {
        assert_b_is_opened_once_and_c_takes_over(opening).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_asks_for_it_is_opened_later() {
    let mut rig = Rig::new(|a| a);
    let b = rig.sink("b", |b| b.opens([Retryable, Retryable, Ok]));
    rig.run(async {
        rig.want(&b);
        shortly().await;
        is_acknowledged(&rig, "1").await;
        long().await;
        is_acknowledged(&rig, "2").await;
        rig.stop();
    })
    .await;
    let log = rig.log().join(", ");
    let expected = "a open, b open, a write 1 #1, b open, b open, a close, b write 2 #1, \
                    b close";
    assert_eq!(log, expected);
    let again = "b is tried again";
    let expected = ["opening", "a runs", again, again, "b runs", "standby"];
    assert_eq!(rig.reports(), expected);
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_does_not_open_gives_way_to_another_wanted_one() {
    assert_b_is_opened_once_and_c_takes_over(Hangs).await;
}

/// Wants a sink that is to be tried out.
fn try_out(rig: &Rig, wanted: &Arc<Candidate>) {
    let running = rig.choice.borrow().wanted.clone();
    rig.choice.send_modify(|choice| {
        choice.wanted = Arc::clone(wanted);
        choice.watch = WatchFor::Probation(ProbationTerms {
            time: Duration::from_secs(30),
            compares_times: true,
        });
        choice.good = Some(running);
    });
}

/// Lets the predecessor run again.
fn come_back(rig: &Rig, predecessor: &Arc<Candidate>, watch: WatchFor) {
    rig.choice.send_modify(|choice| {
        choice.wanted = Arc::clone(predecessor);
        choice.watch = watch;
    });
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_is_tried_out_passes_in_the_end() {
    let mut rig = Rig::new(|a| a);
    let b = rig.sink("b", |b| b);
    rig.run(async {
        try_out(&rig, &b);
        long().await;
        rig.stop();
    })
    .await;
    let expected = [
        "opening",
        "a runs",
        "b is tried out",
        "b: Passed",
        "standby",
    ];
    assert_eq!(rig.reports(), expected);
    assert_eq!(rig.parts.metrics.sink_rollbacks.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_a_sink_that_is_tried_out_breaks_on_goes_to_its_predecessor() {
    let mut rig = Rig::new(|a| a);
    let b = rig.sink("b", |b| b.writes([Traps]));
    let a = rig.choice.borrow().wanted.clone();
    rig.run(async {
        try_out(&rig, &b);
        shortly().await;
        let receipt = rig.submit("1").unwrap();
        shortly().await;
        come_back(&rig, &a, WatchFor::Nothing);
        assert!(matches!(receipt.await, Outcome::Acknowledged { .. }));
        // What runs is reported after the batch that it takes first.
        shortly().await;
        rig.stop();
    })
    .await;
    let log = rig.log().join(", ");
    let expected = "a open, b open, a close, b write 1 #1, a open, a write 1 #2, a close";
    assert_eq!(log, expected);
    let doubted = "b: Doubted(\"the sink trapped: no\")";
    let expected = [
        "opening",
        "a runs",
        "b is tried out",
        doubted,
        "a runs",
        "standby",
    ];
    assert_eq!(rig.reports(), expected);
    assert_eq!(rig.parts.metrics.sink_rollbacks.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_sink_is_judged_while_a_newer_one_does_not_open() {
    let mut rig = Rig::new(|a| a);
    let b = rig.sink("b", |b| b.writes([Traps]));
    let c = rig.sink("c", |c| c.opens([Retryable]));
    let a = rig.choice.borrow().wanted.clone();
    rig.run(async {
        try_out(&rig, &b);
        shortly().await;
        rig.want(&c);
        shortly().await;
        let receipt = rig.submit("1").unwrap();
        shortly().await;
        come_back(&rig, &a, WatchFor::Nothing);
        assert!(matches!(receipt.await, Outcome::Acknowledged { .. }));
        rig.stop();
    })
    .await;
    let reports = rig.reports();
    let doubted = "b: Doubted(\"the sink trapped: no\")".to_owned();
    assert!(reports.contains(&doubted), "{reports:?}");
}

/// How long a sink takes to be in doubt that only asks to try again.
const DOUBT: Duration = Duration::from_secs(3);

#[tokio::test(start_paused = true)]
async fn a_predecessor_that_opens_late_does_not_show_that_the_new_sink_is_at_fault() {
    for (last_opens, verdict) in [
        (vec![Ok], "a: Delivers"),
        (vec![Retryable, Ok], "a: Acquits"),
    ] {
        let opens: Vec<_> = [Ok, Ok].into_iter().chain(last_opens).collect();
        let mut rig = Rig::new(|a| a.opens(opens));
        let b = rig.sink("b", |b| b.writes([Retryable]));
        let a = rig.choice.borrow().wanted.clone();
        rig.run(async {
            // The first time, the destination may have recovered.
            for _ in 0..2 {
                try_out(&rig, &b);
                shortly().await;
                let receipt = rig.submit("1").unwrap();
                tokio::time::sleep(DOUBT).await;
                come_back(&rig, &a, WatchFor::SecondOpinion);
                assert!(matches!(receipt.await, Outcome::Acknowledged { .. }));
                shortly().await;
            }
            rig.stop();
        })
        .await;
        let reports = rig.reports();
        let opinions: Vec<_> = reports.iter().filter(|r| r.starts_with("a: ")).collect();
        assert_eq!(opinions, ["a: Acquits", verdict], "{reports:?}");
    }
}
