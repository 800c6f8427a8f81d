//! The judge under paused time.

use tokio::sync::oneshot;
use tokio::time::advance;

use super::*;
use crate::probation::trial::{ASKING_MAX, WARM_UP};
use crate::watch::ProbationTerms;

const MS: Duration = Duration::from_millis(1);
const PROBATION: Duration = Duration::from_secs(30);

/// A judge, and the verdict on the sink that it watches.
struct Bench {
    judge: Judge,
    verdict: oneshot::Receiver<Verdict>,
}

fn wrote(records: usize, refused: usize, took: Duration) -> Observed {
    Observed::Wrote {
        offered: records,
        records,
        refused,
        took,
    }
}

fn asks() -> Observed {
    Observed::AsksAgain("busy".to_owned())
}

fn probation() -> (Watch, oneshot::Receiver<Verdict>) {
    probation_that(true)
}

fn probation_that(compares_times: bool) -> (Watch, oneshot::Receiver<Verdict>) {
    let (verdict, given) = oneshot::channel();
    let terms = ProbationTerms {
        time: PROBATION,
        compares_times,
    };
    (Watch::Probation { terms, verdict }, given)
}

impl Bench {
    /// A new sink whose predecessor did this, many times.
    fn after(predecessor: &Observed) -> Self {
        let mut judge = Judge::new(Watch::Nothing);
        (0..100).for_each(|_| judge.observe(predecessor));
        let (watch, verdict) = probation();
        judge.switched(watch);
        Self { judge, verdict }
    }

    /// The same for a sink with another destination.
    fn elsewhere_after(predecessor: &Observed) -> Self {
        let Self { mut judge, .. } = Self::after(predecessor);
        judge.switched(Watch::Nothing);
        (0..100).for_each(|_| judge.observe(predecessor));
        let (watch, verdict) = probation_that(false);
        judge.switched(watch);
        Self { judge, verdict }
    }

    /// The new sink does this so many times, each in this time.
    async fn does(&mut self, observed: &Observed, times: usize, each: Duration) {
        for _ in 0..times {
            advance(each).await;
            self.judge.tick(true);
            self.judge.offered();
            self.judge.observe(observed);
            self.judge.tick(true);
        }
    }

    /// The verdict, once there is one.
    fn verdict(&mut self) -> Option<Verdict> {
        self.verdict.try_recv().ok()
    }

    #[track_caller]
    fn failed(&mut self, named: &str) {
        match self.verdict() {
            Some(Verdict::Failed(reason)) => assert!(reason.contains(named), "{reason}"),
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn doubted(&mut self, named: &str) {
        match self.verdict() {
            Some(Verdict::Doubted(reason)) => assert!(reason.contains(named), "{reason}"),
            other => panic!("{other:?}"),
        }
    }

    /// Tries a sink out again.
    fn try_out_again(&mut self) {
        let (watch, verdict) = probation();
        self.judge.switched(watch);
        self.verdict = verdict;
    }

    /// Asks the predecessor.
    fn second_opinion(&mut self) {
        let (verdict, given) = oneshot::channel();
        self.judge.switched(Watch::SecondOpinion {
            verdict,
            has_failed: false,
        });
        self.verdict = given;
    }
}

#[tokio::test(start_paused = true)]
async fn the_times_of_another_destination_are_not_compared() {
    let mut bench = Bench::elsewhere_after(&wrote(100, 0, MS));
    bench.does(&wrote(100, 0, 50 * MS), 200, 50 * MS).await;
    assert_eq!(bench.verdict(), None);
    bench.does(&wrote(100, 100, 50 * MS), 100, 50 * MS).await;
    bench.doubted("refuses");
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_does_as_well_passes_when_the_time_is_over() {
    let mut bench = Bench::after(&wrote(10, 1, 10 * MS));
    bench.does(&wrote(10, 1, 15 * MS), 1999, 15 * MS).await;
    assert_eq!(bench.verdict(), None);
    assert!(bench.judge.may_be_replaced());
    bench.does(&wrote(10, 1, 15 * MS), 2, 15 * MS).await;
    assert_eq!(bench.verdict(), Some(Verdict::Passed));
    assert!(!bench.judge.may_be_replaced());
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_breaks_gives_way_at_once_and_stays_mistrusted_without_a_predecessor() {
    let mut bench = Bench::after(&wrote(10, 0, 20 * MS));
    bench.judge.observe(&broke());
    bench.doubted("it trapped");
    assert!(bench.judge.paused_until().is_some());
    // The predecessor does not come.
    advance(PAUSE_MAX).await;
    bench.judge.tick(true);
    assert!(bench.judge.paused_until().is_none());
    assert!(bench.judge.may_be_replaced() && bench.judge.mistrusts_refusals());
    // What it does is not what the next one is compared with.
    bench.does(&wrote(10, 0, 200 * MS), 100, MS).await;
    bench.try_out_again();
    bench.does(&wrote(10, 0, 200 * MS), 20, 200 * MS).await;
    bench.failed("sink before takes 40.0 ms");
}

fn broke() -> Observed {
    Observed::Broke("it trapped".to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_breaks_is_at_fault_if_its_predecessor_takes_the_same_records() {
    for breaks_as_well in [false, true] {
        let mut bench = Bench::after(&wrote(10, 0, MS));
        bench.judge.observe(&broke());
        bench.doubted("it trapped");
        bench.second_opinion();
        if breaks_as_well {
            bench.judge.observe(&broke());
            bench.judge.observe(&wrote(1, 0, MS));
            bench.judge.tick(false);
            assert_eq!(bench.verdict(), None, "records are in isolation");
        }
        bench.does(&wrote(1, 0, MS), 1, MS).await;
        let expected = match breaks_as_well {
            true => Verdict::Acquits,
            false => Verdict::Delivers,
        };
        assert_eq!(bench.verdict(), Some(expected));
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_are_no_fault_if_the_predecessor_refuses_the_same_records() {
    for (refused, expected) in [(100, Verdict::Acquits), (80, Verdict::Delivers)] {
        let mut bench = Bench::after(&wrote(100, 0, MS));
        bench.does(&wrote(100, 20, MS), 11, 100 * MS).await;
        bench.doubted("probation_s");
        bench.second_opinion();
        bench.does(&wrote(100, refused, MS), 1, MS).await;
        assert_eq!(bench.verdict(), Some(expected.clone()));
        if expected == Verdict::Acquits {
            bench.try_out_again();
            bench.does(&wrote(100, 20, MS), 100, 100 * MS).await;
            assert_eq!(bench.verdict(), None, "the same share is no news");
            bench.does(&wrote(100, 100, MS), 100, 100 * MS).await;
            bench.doubted("refuses");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_hold_that_fills_up_needs_no_warm_up() {
    let mut bench = Bench::after(&wrote(100, 0, MS));
    bench.judge.observe(&wrote(100, 1, MS));
    bench.judge.hold_fills();
    assert_eq!(bench.verdict(), None);
    bench.judge.observe(&wrote(1000, 1000, MS));
    bench.judge.hold_fills();
    bench.doubted("refuses");
}

#[tokio::test(start_paused = true)]
async fn usual_refusals_are_not_mistrusted() {
    for (usually, refused, mistrusted) in [(10, 10, false), (10, 20, true), (0, 1, true)] {
        let mut bench = Bench::after(&wrote(100, usually, MS));
        assert!(bench.judge.mistrusts_refusals(), "nothing is known yet");
        (0..10).for_each(|_| bench.judge.observe(&wrote(100, refused, MS)));
        assert_eq!(bench.judge.mistrusts_refusals(), mistrusted);
    }
}

#[tokio::test(start_paused = true)]
async fn only_a_sink_that_has_delivered_at_last_passes() {
    let mut bench = Bench::after(&wrote(1, 0, MS));
    bench.does(&wrote(1, 0, MS), 1, MS).await;
    advance(PROBATION - Duration::from_secs(1)).await;
    bench.does(&asks(), 1, MS).await;
    advance(Duration::from_secs(1)).await;
    bench.judge.tick(true);
    assert_eq!(bench.verdict(), None);
    assert!(bench.judge.due_at().unwrap() > Instant::now());
    bench.does(&wrote(1, 1, MS), 1, MS).await;
    advance(ASKING_MAX).await;
    bench.judge.tick(true);
    assert_eq!(bench.verdict(), None, "it has only refused");
    bench.does(&wrote(1, 0, MS), 1, 1000 * MS).await;
    assert_eq!(bench.verdict(), None, "it is looked at every second");
    advance(Duration::from_secs(1)).await;
    bench.judge.tick(true);
    assert_eq!(bench.verdict(), Some(Verdict::Passed));
    // Where nothing comes, nothing is wrong.
    let mut idle = Bench::after(&wrote(1, 0, MS));
    advance(PROBATION).await;
    idle.judge.tick(true);
    assert_eq!(idle.verdict(), Some(Verdict::Passed));
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_asks_once_and_delivers_nothing_is_doubted_by_time() {
    let mut bench = Bench::after(&wrote(1, 0, MS));
    bench.judge.tick(true);
    bench.judge.observe(&asks());
    advance(WARM_UP).await;
    bench.judge.tick(true);
    assert_eq!(bench.verdict(), None);
    let due = bench.judge.due_at().unwrap();
    advance(due - Instant::now()).await;
    bench.judge.tick(true);
    bench.doubted("busy");
}

#[tokio::test(start_paused = true)]
async fn many_slow_writes_at_a_time_count_once() {
    let mut bench = Bench::after(&wrote(10, 0, 10 * MS));
    bench.does(&wrote(10, 0, 10 * MS), 200, 10 * MS).await;
    advance(250 * MS).await;
    let slow = wrote(10, 0, 250 * MS);
    bench.does(&slow, 16, Duration::ZERO).await;
    assert_eq!(bench.verdict(), None);
    // What it does at first does not count.
    let mut bench = Bench::after(&wrote(10, 0, 10 * MS));
    bench.does(&wrote(10, 0, 240 * MS), 4, 240 * MS).await;
    bench.does(&wrote(10, 0, 10 * MS), 100, 10 * MS).await;
    assert_eq!(bench.verdict(), None);
}

#[tokio::test(start_paused = true)]
async fn a_sink_ten_times_slower_fails_within_two_seconds() {
    for records in [1, 10, 1000] {
        let mut bench = Bench::after(&wrote(records, 0, 2 * MS));
        let started = Instant::now();
        while bench.judge.paused_until().is_none() {
            bench.does(&wrote(records, 0, 20 * MS), 1, 20 * MS).await;
        }
        assert!(started.elapsed() < Duration::from_secs(2), "{records}");
        bench.failed("too slow");
    }
}

#[tokio::test(start_paused = true)]
async fn larger_batches_may_take_longer_and_single_slow_writes_count_little() {
    let mut bench = Bench::after(&wrote(10, 0, 2 * MS));
    bench.does(&wrote(1000, 0, 300 * MS), 90, 300 * MS).await;
    assert_eq!(bench.verdict(), None);
    let mut bench = Bench::after(&wrote(10, 0, 2 * MS));
    for _ in 0..10 {
        bench.does(&wrote(10, 0, 2500 * MS), 1, 2500 * MS).await;
        bench.does(&wrote(10, 0, 2 * MS), 100, 2 * MS).await;
    }
    assert_eq!(bench.verdict(), None);
}

#[tokio::test(start_paused = true)]
async fn a_fast_sink_may_become_a_little_slower() {
    let mut bench = Bench::after(&wrote(1, 0, MS / 20));
    bench.does(&wrote(1, 0, 4 * MS), 5000, 4 * MS).await;
    assert_eq!(bench.verdict(), None);
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_turns_slow_late_is_noticed() {
    let mut bench = Bench::after(&wrote(1, 0, MS));
    bench.does(&wrote(1, 0, MS), 10_000, MS).await;
    bench.does(&wrote(1, 0, 100 * MS), 12, 100 * MS).await;
    bench.failed("too slow");
}

#[tokio::test(start_paused = true)]
async fn refusals_count_if_they_are_five_points_more() {
    let mut bench = Bench::after(&wrote(100, 10, MS));
    bench.does(&wrote(100, 14, MS), 1000, 10 * MS).await;
    assert_eq!(bench.verdict(), None);
    let mut bench = Bench::after(&wrote(100, 10, MS));
    bench.does(&wrote(100, 20, MS), 1000, 10 * MS).await;
    bench.doubted("refuses 20.0 % of the records; the sink before refused 10.0 %");
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_refuses_everything_fails_after_ten_records_and_a_second() {
    let mut bench = Bench::after(&wrote(1, 0, MS));
    bench.does(&wrote(100, 100, MS), 9, 100 * MS).await;
    assert_eq!(bench.verdict(), None, "it may be one producer");
    bench.does(&wrote(100, 100, MS), 2, 100 * MS).await;
    bench.doubted("100.0 %");
    let mut bench = Bench::after(&wrote(1, 0, MS));
    bench.does(&wrote(1, 1, MS), 9, 1000 * MS).await;
    assert_eq!(bench.verdict(), None, "too few");
    bench.does(&wrote(1, 1, MS), 1, 1000 * MS).await;
    bench.doubted("100.0 %");
}

#[tokio::test(start_paused = true)]
async fn refusals_count_after_a_second_although_nothing_else_comes() {
    let mut bench = Bench::after(&wrote(1, 0, MS));
    bench.judge.observe(&wrote(16, 16, MS));
    let due = bench.judge.due_at().unwrap();
    assert_eq!(due - Instant::now(), WARM_UP);
    advance(WARM_UP).await;
    bench.judge.tick(true);
    bench.doubted("100.0 %");
}

#[tokio::test(start_paused = true)]
async fn without_figures_of_a_predecessor_only_a_majority_of_refusals_counts() {
    for (refused, fails) in [(40, false), (70, true)] {
        let (watch, verdict) = probation();
        let judge = Judge::new(watch);
        let mut bench = Bench { judge, verdict };
        let observed = wrote(100, refused, Duration::from_secs(1));
        bench.does(&observed, 20, Duration::from_secs(1)).await;
        let is_failed = matches!(bench.verdict(), Some(Verdict::Doubted(_)));
        assert_eq!(is_failed, fails, "{refused} %");
    }
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_is_away_for_a_moment_is_no_doubt() {
    let mut bench = Bench::after(&wrote(1, 0, MS));
    for _ in 0..10 {
        bench.does(&asks(), 2, 300 * MS).await;
        bench.does(&wrote(1, 0, MS), 1, MS).await;
        bench.does(&asks(), 10, 20 * MS).await;
        bench.does(&wrote(1, 0, MS), 1, MS).await;
    }
    assert_eq!(bench.verdict(), None);
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_only_asks_to_try_again_is_at_fault_if_its_predecessor_delivers_twice() {
    let mut bench = Bench::after(&wrote(1, 0, MS));
    // The destination may have recovered the first time.
    for expected in [Verdict::Acquits, Verdict::Delivers] {
        bench.does(&asks(), 4, 200 * MS).await;
        let doubted = Some(Verdict::Doubted("busy".to_owned()));
        assert_eq!(bench.verdict(), doubted);
        bench.second_opinion();
        bench.does(&wrote(1, 0, MS), 1, MS).await;
        assert_eq!(bench.verdict(), Some(expected.clone()));
        if expected == Verdict::Acquits {
            bench.try_out_again();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_predecessor_that_opened_late_could_not_deliver_either() {
    let hung = Observed::Hung("stuck".to_owned());
    for (what, expected) in [(hung, Verdict::Acquits), (broke(), Verdict::Delivers)] {
        let mut bench = Bench::after(&wrote(1, 0, MS));
        bench.judge.observe(&what);
        let (verdict, given) = oneshot::channel();
        bench.judge.switched(Watch::SecondOpinion {
            verdict,
            has_failed: true,
        });
        bench.verdict = given;
        bench.does(&wrote(1, 0, MS), 1, MS).await;
        assert_eq!(bench.verdict(), Some(expected));
    }
}

#[tokio::test(start_paused = true)]
async fn a_predecessor_that_asks_once_does_not_excuse_a_sink_that_breaks_or_refuses() {
    for doubt in [broke(), wrote(1000, 1000, MS)] {
        let mut bench = Bench::after(&wrote(1, 0, MS));
        bench.does(&doubt, 2, Duration::from_secs(1)).await;
        bench.second_opinion();
        bench.does(&asks(), 1, MS).await;
        assert_eq!(bench.verdict(), None);
        bench.does(&wrote(1, 0, MS), 1, MS).await;
        assert_eq!(bench.verdict(), Some(Verdict::Delivers));
    }
}

#[tokio::test(start_paused = true)]
async fn a_sink_that_was_acquitted_three_times_fails_at_the_next_doubt() {
    let mut bench = Bench::after(&wrote(1, 0, MS));
    for _ in 0..ACQUITTALS_MAX {
        bench.judge.observe(&broke());
        bench.doubted("it trapped");
        bench.second_opinion();
        bench.judge.observe(&broke());
        bench.does(&wrote(1, 0, MS), 1, MS).await;
        assert_eq!(bench.verdict(), Some(Verdict::Acquits));
        bench.try_out_again();
    }
    bench.judge.observe(&broke());
    bench.failed("in doubt 3 times");
}

#[tokio::test(start_paused = true)]
async fn a_write_of_which_little_was_taken_says_nothing_of_times() {
    let mut bench = Bench::after(&wrote(10, 0, MS));
    let partly = Observed::Wrote {
        offered: 1000,
        records: 10,
        refused: 0,
        took: 100 * MS,
    };
    bench.does(&partly, 100, 100 * MS).await;
    assert_eq!(bench.verdict(), None);
}

#[tokio::test(start_paused = true)]
async fn a_predecessor_that_failed_at_last_excuses_for_a_while() {
    let mut bench = Bench::after(&wrote(1, 0, MS));
    bench.judge.switched(Watch::Nothing);
    (0..2).for_each(|_| bench.judge.observe(&asks()));
    bench.try_out_again();
    bench.does(&asks(), 20, 450 * MS).await;
    assert_eq!(bench.verdict(), None);
    bench.does(&asks(), 20, 450 * MS).await;
    bench.doubted("busy");
}

#[tokio::test(start_paused = true)]
async fn a_destination_that_is_down_for_both_acquits_the_new_sink() {
    let mut bench = Bench::after(&wrote(1, 0, MS));
    bench.judge.observe(&Observed::Hung("stuck".to_owned()));
    let doubted = Some(Verdict::Doubted("stuck".to_owned()));
    assert_eq!(bench.verdict(), doubted);
    bench.second_opinion();
    bench.does(&asks(), 100, Duration::from_secs(1)).await;
    assert_eq!(bench.verdict(), None);
    bench.does(&wrote(1, 0, MS), 1, MS).await;
    assert_eq!(bench.verdict(), Some(Verdict::Acquits));
    // It is compared with the same predecessor again.
    bench.try_out_again();
    bench.does(&wrote(1, 0, 100 * MS), 25, 100 * MS).await;
    bench.failed("too slow");
}

#[tokio::test(start_paused = true)]
async fn what_replaces_a_failing_sink_may_fail_as_well() {
    let mut bench = Bench::after(&asks());
    bench.does(&asks(), 9, Duration::from_secs(1)).await;
    assert_eq!(bench.verdict(), None);
}

#[tokio::test(start_paused = true)]
async fn one_that_replaces_a_sink_on_probation_is_compared_with_the_last_proven_one() {
    let mut bench = Bench::after(&wrote(1, 0, MS));
    bench.does(&wrote(1, 0, 4 * MS), 100, 4 * MS).await;
    let (watch, verdict) = probation();
    bench.judge.switched(watch);
    bench.verdict = verdict;
    bench.does(&wrote(1, 0, 8 * MS), 600, 8 * MS).await;
    bench.failed("sink before takes 1.0 ms");
}

#[tokio::test(start_paused = true)]
async fn a_predecessor_that_has_just_come_back_is_still_known() {
    let mut bench = Bench::after(&wrote(10, 0, MS));
    bench.judge.observe(&broke());
    bench.doubted("it trapped");
    bench.second_opinion();
    bench.judge.observe(&wrote(10, 0, MS));
    bench.judge.tick(true);
    assert_eq!(bench.verdict(), Some(Verdict::Delivers));
    bench.try_out_again();
    bench.does(&wrote(10, 0, 50 * MS), 40, 50 * MS).await;
    bench.failed("too slow");
}

#[tokio::test(start_paused = true)]
async fn a_sink_is_not_compared_with_one_that_ran_earlier() {
    let mut bench = Bench::after(&wrote(10, 0, MS));
    bench.judge.switched(Watch::Nothing);
    bench.try_out_again();
    bench.does(&wrote(10, 0, 50 * MS), 100, 50 * MS).await;
    assert_eq!(bench.verdict(), None);
}
