use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::sleep;

use super::RequestId;
use super::envelope::Kind;
use super::log::Stored;
use super::simulated::{ID_WINDOW, SimulatedLog};
use super::tests::{Delivered, Owner, bodies, until};
use crate::outcome::Outcome;

const SECOND: Duration = Duration::from_secs(1);

const fn id(number: u8) -> RequestId {
    [number; 16]
}

async fn acknowledged(owner: &Owner, number: u8) {
    until(|| owner.recalled().is_some()).await;
    let receipt = owner.submit_known(vec![id(number)], &bodies(&number.to_string(), 1));
    let outcome = receipt.unwrap().await;
    assert!(matches!(outcome, Outcome::Acknowledged { .. }));
}

async fn recalled(owner: &Owner) -> BTreeSet<RequestId> {
    until(|| owner.recalled().is_some()).await;
    let recalled = owner.recalled().unwrap();
    assert_eq!(recalled.key(), [7; 16]);
    recalled.take().into_iter().map(|(id, _)| id).collect()
}

#[tokio::test(start_paused = true)]
async fn ids_outlive_the_messages_that_they_came_with() {
    let log = SimulatedLog::new(1, 0);
    let delivered = Delivered::default();
    let first = Owner::start(&log, 1, &delivered);
    for number in 1..=3 {
        acknowledged(&first, number).await;
    }
    sleep(60 * SECOND).await;
    assert!(log.removed().iter().any(|removed| removed.ids() == [id(3)]));
    acknowledged(&first, 4).await;
    // It ends before it could keep the last one elsewhere.
    drop(first);
    assert!(!log.ids.all().contains(&id(4)));
    let second = Owner::start(&log, 2, &delivered);
    assert_eq!(recalled(&second).await, (1..=4).map(id).collect());
    // It keeps what the first one had not.
    until(|| log.ids.all().contains(&id(4))).await;
}

#[tokio::test(start_paused = true)]
async fn ids_are_forgotten_after_the_window_under_any_leader() {
    let log = SimulatedLog::new(2, 0);
    let delivered = Delivered::default();
    let window = 100 * SECOND;
    let start = |epoch| Owner::remembering(&log, epoch, &delivered, (1000, window));
    let first = start(1);
    acknowledged(&first, 1).await;
    drop(first);
    sleep(60 * SECOND).await;
    // It is only in the log, and this one takes it into the log of ids.
    let second = start(2);
    assert_eq!(recalled(&second).await, [id(1)].into());
    until(|| log.ids.all().contains(&id(1))).await;
    acknowledged(&second, 2).await;
    drop(second);
    sleep(50 * SECOND).await;
    let third = start(3);
    assert_eq!(recalled(&third).await, [id(2)].into());
}

#[tokio::test(start_paused = true)]
async fn the_last_ids_are_remembered_if_there_are_too_many() {
    let log = SimulatedLog::new(3, 0);
    let delivered = Delivered::default();
    let start = |epoch| Owner::remembering(&log, epoch, &delivered, (3, ID_WINDOW));
    let first = start(1);
    for number in 1..=5 {
        acknowledged(&first, number).await;
    }
    sleep(2 * SECOND).await;
    acknowledged(&first, 6).await;
    drop(first);
    let second = start(2);
    assert_eq!(recalled(&second).await, [id(4), id(5), id(6)].into());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_removed_before_its_ids_are_kept() {
    let log = SimulatedLog::new(4, 0);
    let delivered = Delivered::default();
    let window = 100 * SECOND;
    let owner = Owner::remembering(&log, 1, &delivered, (1000, window));
    acknowledged(&owner, 1).await;
    log.ids.set_away(true);
    owner.acknowledged(&bodies("without an id", 1)).await;
    acknowledged(&owner, 2).await;
    sleep(60 * SECOND).await;
    let is_removed = |number| {
        let removed = log.removed();
        removed.iter().any(|message| message.ids() == [id(number)])
    };
    assert!(!is_removed(2));
    assert!(owner.journal.status().ids_failure.is_some());
    assert_eq!(owner.journal.status().failure, None);
    // Nobody needs it any more.
    sleep(60 * SECOND).await;
    assert!(is_removed(2));
    log.ids.set_away(false);
    acknowledged(&owner, 3).await;
    until(|| log.ids.all().contains(&id(3))).await;
    assert_eq!(owner.journal.status().ids_failure, None);
}

#[tokio::test(start_paused = true)]
async fn ids_are_taken_again_after_the_barrier_was_removed() {
    let log = SimulatedLog::new(6, 0);
    let delivered = Delivered::default();
    let window = 10 * SECOND;
    log.ids.set_away(true);
    let owner = Owner::remembering(&log, 1, &delivered, (1000, window));
    for number in 0..3 {
        let body = format!("without an id {number}");
        owner.acknowledged(&bodies(&body, 1)).await;
        sleep(30 * SECOND).await;
    }
    let is_barrier = |message: &Stored| message.envelope.unwrap().kind == Kind::Barrier;
    assert!(log.removed().iter().any(is_barrier));
    assert!(owner.recalled().is_none());
    log.ids.set_away(false);
    acknowledged(&owner, 1).await;
}

#[tokio::test(start_paused = true)]
async fn ids_of_other_ages_are_kept_with_their_own() {
    let log = SimulatedLog::new(7, 0);
    let delivered = Delivered::default();
    let start = |epoch| Owner::remembering(&log, epoch, &delivered, (1000, 100 * SECOND));
    let first = start(1);
    acknowledged(&first, 1).await;
    drop(first);
    sleep(60 * SECOND).await;
    let second = start(2);
    acknowledged(&second, 2).await;
    assert!(log.ids.all().is_empty(), "both are only in the log");
    until(|| log.ids.all().contains(&id(2))).await;
    drop(second);
    sleep(50 * SECOND).await;
    let third = start(3);
    assert_eq!(recalled(&third).await, [id(2)].into());
}

#[tokio::test(start_paused = true)]
async fn requests_without_ids_do_not_wait_for_the_log_of_ids() {
    let log = SimulatedLog::new(5, 0);
    let delivered = Delivered::default();
    log.ids.set_away(true);
    let owner = Owner::start(&log, 1, &delivered);
    owner.acknowledged(&bodies("a", 3)).await;
    assert!(owner.recalled().is_none());
    let waits = owner.journal.recall().unwrap();
    owner.journal.fail("over");
    assert_eq!(waits.recalled().await.unwrap_err(), "over");
}

#[tokio::test(start_paused = true)]
async fn a_request_in_parts_has_its_ids_with_the_last_one() {
    let log = SimulatedLog::new(6, 0);
    let delivered = Delivered::default();
    let owner = Owner::start(&log, 1, &delivered);
    until(|| owner.recalled().is_some()).await;
    // Close to the largest payload: the ids must not exceed it.
    for length in (4000..4100).chain([9000]) {
        let bodies = ["first".to_owned(), "x".repeat(length), "last".to_owned()];
        let receipt = owner.submit_known(vec![id(1), id(2)], &bodies).unwrap();
        assert!(matches!(receipt.await, Outcome::Acknowledged { .. }));
    }
    let history = log.history();
    assert!(history.iter().all(|message| message.payload.len() <= 4096));
    let with_ids = history.iter().filter(|message| !message.ids().is_empty());
    assert_eq!(with_ids.count(), 101);
    until(|| delivered.lock().unwrap().len() == 103).await;
}
