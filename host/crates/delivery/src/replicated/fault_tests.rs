//! What servers and people should not do to a log.

use std::time::Duration;

use tokio::time::sleep;

use super::envelope::Kind;
use super::simulated::SimulatedLog;
use super::tests::{Delivered, Owner, bodies, until};
use crate::outcome::{Outcome, Refused};
use crate::queue_budget::QueueBudget;

const SECOND: Duration = Duration::from_secs(1);

/// The sequences of all groups.
fn groups(log: &SimulatedLog) -> Vec<u64> {
    let history = log.history().into_iter();
    let groups = history.filter(|stored| stored.envelope.unwrap().kind == Kind::Group);
    groups.map(|group| group.sequence).collect()
}

/// A tenure that stores this many requests and delivers none of them.
async fn stored_by_a_first_owner(log: &SimulatedLog, requests: usize) {
    let first = Owner::without_sink(log, 1);
    for number in 0..requests {
        first.acknowledged(&bodies(&format!("a{number}"), 1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_message_is_left_out_in_the_end() {
    let log = SimulatedLog::new(1, 0);
    stored_by_a_first_owner(&log, 3).await;
    log.make_hole(groups(&log)[1]);
    let delivered = Delivered::default();
    let second = Owner::start(&log, 2, &delivered);
    until(|| delivered.lock().unwrap().contains("a0 0")).await;
    sleep(10 * SECOND).await;
    assert!(!delivered.lock().unwrap().contains("a2 0"), "too early");
    until(|| delivered.lock().unwrap().contains("a2 0")).await;
    second.acknowledged(&bodies("b", 1)).await;
    until(|| delivered.lock().unwrap().contains("b 0")).await;
    assert!(!delivered.lock().unwrap().contains("a1 0"));
}

#[tokio::test(start_paused = true)]
async fn a_log_that_was_emptied_goes_on_at_its_end() {
    let log = SimulatedLog::new(2, 0);
    stored_by_a_first_owner(&log, 3).await;
    let end = log.history().len();
    log.empty();
    let delivered = Delivered::default();
    let second = Owner::start(&log, 2, &delivered);
    second.acknowledged(&bodies("b", 1)).await;
    until(|| delivered.lock().unwrap().contains("b 0")).await;
    assert!(log.history().len() >= end + 2, "its sequences go on");
    assert_eq!(second.journal.status().backlog, 0);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_was_deleted_ends_the_tenure() {
    let log = SimulatedLog::new(3, 0);
    let owner = Owner::start(&log, 1, &Delivered::default());
    owner.acknowledged(&bodies("a", 1)).await;
    log.delete();
    let _waits = owner.submit(&bodies("b", 1)).unwrap();
    assert!(owner.fenced().await.contains("deleted"));
}

#[tokio::test(start_paused = true)]
async fn a_request_of_which_a_part_is_too_large_is_unknown() {
    let log = SimulatedLog::new(4, 0);
    let owner = Owner::start(&log, 1, &Delivered::default());
    owner.acknowledged(&bodies("a", 1)).await;
    // It takes several messages, of which servers take only the last one any more.
    let large = "x".repeat(17_000);
    log.set_message_max(1000);
    let waits = owner.submit(std::slice::from_ref(&large)).unwrap();
    assert!(matches!(waits.await, Outcome::Unknown(_)));
    // Nothing of it is left that could be stored now.
    log.set_message_max(usize::MAX);
    owner.acknowledged(&bodies("b", 1)).await;
    assert_eq!(groups(&log).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn requests_that_were_withdrawn_leave_room_for_others() {
    let log = SimulatedLog::new(5, 0);
    let owner = Owner::start(&log, 1, &Delivered::default());
    owner.acknowledged(&bodies("a", 1)).await;
    log.set_away(true);
    // More than may wait at once.
    for number in 0..3000 {
        let waits = owner.submit(&bodies(&number.to_string(), 1)).unwrap();
        if number % 10 == 0 {
            sleep(SECOND / 100).await;
        }
        drop(waits.give_up());
    }
    log.set_away(false);
    owner.acknowledged(&bodies("b", 1)).await;
}

#[tokio::test(start_paused = true)]
async fn what_waits_counts_in_the_share_of_the_stream() {
    let log = SimulatedLog::new(6, 0);
    let budget = QueueBudget::new(100_000, 2);
    let (own, other) = (budget.share(), budget.share());
    let owner = Owner::start(&log, 1, &Delivered::default());
    owner.journal.count_in(&own);
    owner.acknowledged(&bodies("a", 1)).await;
    log.set_away(true);
    let body = ["x".repeat(10_000)];
    let mut waiting = Vec::new();
    while waiting.len() < 50
        && let Ok(receipt) = owner.submit(&body)
    {
        waiting.push(receipt);
    }
    assert!((5..=9).contains(&waiting.len()), "{}", waiting.len());
    assert_eq!(owner.submit(&body).unwrap_err(), Refused::Full);
    assert!(!owner.journal.has_room(10_000));
    assert!(other.has_room(12_000), "its reserve");
    log.set_away(false);
    for receipt in waiting {
        assert!(matches!(receipt.await, Outcome::Acknowledged { .. }));
    }
    until(|| other.has_room(80_000)).await;
}
