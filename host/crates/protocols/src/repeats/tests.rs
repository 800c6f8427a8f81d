use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;

pub(super) const SECOND: Duration = Duration::from_secs(1);
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

fn names() -> Names {
    Names::new(*b"a key for a test")
}

pub(super) fn id(n: u64) -> Identity {
    names().id("client", "forward", &n.to_le_bytes(), 0, b"content")
}

pub(super) fn body(n: u64) -> Identity {
    names().body("client", "/path", &n.to_le_bytes())
}

pub(super) fn repeats(count: usize) -> Repeats {
    Repeats::new(Limits {
        count,
        window: YEAR,
        ..Limits::default()
    })
}

#[track_caller]
fn deliver(begun: Begun) -> Ticket {
    match begun {
        Begun::Deliver { ticket, .. } => ticket,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn earlier(begun: Begun) -> Option<Earlier> {
    match begun {
        Begun::Deliver { earlier, .. } => earlier,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_id_is_delivered_once_and_answered_as_often_as_it_is_sent() {
    let (mut repeats, now) = (repeats(10), Instant::now());
    let ticket = deliver(repeats.begin(id(1), now));
    assert_eq!(repeats.begin(id(1), now), Begun::Join(ticket));
    assert_eq!(repeats.begin(id(1), now), Begun::Join(ticket));
    repeats.settle(ticket, Outcome::Acknowledged, now);
    for minutes in 0..1000 {
        let later = now + minutes * 60 * SECOND;
        assert_eq!(repeats.begin(id(1), later), Begun::Acknowledged(ticket));
    }
}

#[test]
fn the_same_id_with_other_content_or_of_another_client_is_no_repeat() {
    let (mut repeats, now) = (repeats(10), Instant::now());
    for (client, content) in [("a", "x"), ("a", "y"), ("b", "x")] {
        let identity = names().id(client, "forward", b"chunk", 0, content.as_bytes());
        let ticket = deliver(repeats.begin(identity, now));
        repeats.settle(ticket, Outcome::Acknowledged, now);
    }
}

#[test]
fn what_was_not_acknowledged_is_delivered_again() {
    let (mut repeats, now) = (repeats(10), Instant::now());
    let ticket = deliver(repeats.begin(id(1), now));
    repeats.settle(ticket, Outcome::NotTaken, now);
    assert_eq!(earlier(repeats.begin(id(1), now)), None);
    let ticket = deliver(repeats.begin(id(2), now));
    repeats.settle(ticket, Outcome::Refused, now);
    let again = repeats.begin(id(2), now);
    assert_eq!(earlier(again), Some(Earlier::Refused));
    assert_ne!(deliver(again), ticket);
    let ticket = deliver(repeats.begin(id(3), now));
    repeats.settle(ticket, Outcome::Unknown, now);
    let again = repeats.begin(id(3), now);
    assert_eq!(
        (deliver(again), earlier(again)),
        (ticket, Some(Earlier::Unknown))
    );
    // That it was not taken this time does not say what became of it before.
    repeats.settle(ticket, Outcome::NotTaken, now);
    assert_eq!(earlier(repeats.begin(id(3), now)), Some(Earlier::Unknown));
}

#[test]
fn an_acknowledgement_counts_whenever_it_comes() {
    let (mut repeats, now) = (repeats(10), Instant::now());
    let ticket = deliver(repeats.begin(id(1), now));
    repeats.settle(ticket, Outcome::Unknown, now);
    repeats.settle(ticket, Outcome::Acknowledged, now);
    repeats.settle(ticket, Outcome::Unknown, now);
    assert_eq!(repeats.begin(id(1), now), Begun::Acknowledged(ticket));
    let ticket = deliver(repeats.begin(body(1), now));
    repeats.settle(ticket, Outcome::Unknown, now);
    repeats.settle(ticket, Outcome::Acknowledged, now);
    repeats.settle(ticket, Outcome::Unknown, now);
    assert_eq!(repeats.begin(body(1), now), Begun::Acknowledged(ticket));
}

#[test]
fn the_ids_that_were_settled_first_are_forgotten_and_none_under_way() {
    let (mut repeats, now) = (repeats(3), Instant::now());
    let under_way = deliver(repeats.begin(id(0), now));
    for n in 1..=3 {
        let ticket = deliver(repeats.begin(id(n), now));
        repeats.settle(ticket, Outcome::Acknowledged, now);
    }
    assert_eq!(repeats.begin(id(0), now), Begun::Join(under_way));
    for n in [2, 3] {
        let begun = repeats.begin(id(n), now);
        assert!(matches!(begun, Begun::Acknowledged(_)), "{n}");
    }
    // The first one takes a place again, and then there is none for another.
    let tickets = [1, 4, 5].map(|n| deliver(repeats.begin(id(n), now)));
    assert_eq!(repeats.begin(id(1), now), Begun::Join(tickets[0]));
    assert_eq!(repeats.begin(id(4), now), Begun::Join(tickets[1]));
    assert_eq!(earlier(repeats.begin(id(5), now)), None);
    repeats.settle(tickets[2], Outcome::Acknowledged, now);
    assert_eq!(earlier(repeats.begin(id(5), now)), None);
}

#[test]
fn equal_bodies_that_were_answered_are_two_messages() {
    let (mut repeats, now) = (repeats(10), Instant::now());
    let first = deliver(repeats.begin(body(1), now));
    let second = deliver(repeats.begin(body(1), now));
    assert_ne!(first, second);
    repeats.settle(first, Outcome::Acknowledged, now);
    repeats.settle(second, Outcome::Acknowledged, now);
    assert_eq!(earlier(repeats.begin(body(1), now)), None);
}

#[test]
fn a_body_whose_answer_was_lost_is_matched_once() {
    let (mut repeats, now) = (repeats(10), Instant::now());
    let ticket = deliver(repeats.begin(body(1), now));
    repeats.settle(ticket, Outcome::Acknowledged, now);
    repeats.lose_answer(ticket, Standing::Acknowledged, now);
    assert_eq!(earlier(repeats.begin(body(2), now)), None);
    assert_eq!(repeats.begin(body(1), now), Begun::Acknowledged(ticket));
    assert_eq!(earlier(repeats.begin(body(1), now)), None);
    // The answer to the retry can be lost too.
    repeats.lose_answer(ticket, Standing::Acknowledged, now);
    assert_eq!(repeats.begin(body(1), now), Begun::Acknowledged(ticket));
    // Two that were lost are matched twice.
    let tickets = [(); 2].map(|()| deliver(repeats.begin(body(1), now)));
    for ticket in tickets {
        repeats.lose_answer(ticket, Standing::Acknowledged, now);
    }
    for ticket in tickets {
        assert_eq!(repeats.begin(body(1), now), Begun::Acknowledged(ticket));
    }
    assert_eq!(earlier(repeats.begin(body(1), now)), None);
}

#[test]
fn a_retry_joins_what_is_still_under_way() {
    let (mut repeats, now) = (repeats(10), Instant::now());
    let ticket = deliver(repeats.begin(body(1), now));
    repeats.lose_answer(ticket, Standing::UnderWay, now);
    assert_eq!(repeats.begin(body(1), now), Begun::Join(ticket));
    // The connection of the retry breaks, and the outcome comes before the next.
    repeats.lose_answer(ticket, Standing::UnderWay, now);
    repeats.settle(ticket, Outcome::Acknowledged, now);
    assert_eq!(repeats.begin(body(1), now), Begun::Acknowledged(ticket));
    for outcome in [Outcome::Refused, Outcome::NotTaken] {
        let ticket = deliver(repeats.begin(body(1), now));
        repeats.lose_answer(ticket, Standing::UnderWay, now);
        repeats.settle(ticket, outcome, now);
        assert_eq!(earlier(repeats.begin(body(1), now)), None);
    }
}

#[test]
fn a_body_is_remembered_for_two_minutes() {
    for (seconds, is_matched) in [(0, true), (120, true), (121, false), (1000, false)] {
        let (mut repeats, now) = (repeats(10), Instant::now());
        let ticket = deliver(repeats.begin(body(1), now));
        repeats.settle(ticket, Outcome::Unknown, now);
        let again = repeats.begin(body(1), now + seconds * SECOND);
        let expected = is_matched.then_some(Earlier::Unknown);
        assert_eq!(earlier(again), expected, "{seconds}");
        assert_eq!(deliver(again) == ticket, is_matched);
    }
}

#[test]
fn nothing_is_recognised_without_room() {
    let now = Instant::now();
    for limits in [
        Limits {
            count: 0,
            ..Limits::default()
        },
        Limits {
            bytes: 191,
            ..Limits::default()
        },
    ] {
        let mut repeats = Repeats::new(limits);
        for identity in [id(1), id(1), body(1), body(1)] {
            let ticket = deliver(repeats.begin(identity, now));
            repeats.settle(ticket, Outcome::Unknown, now);
            repeats.lose_answer(ticket, Standing::Acknowledged, now);
        }
    }
}

#[test]
fn what_was_acknowledged_before_a_restart_is_known() {
    let (mut repeats, now) = (repeats(2), Instant::now());
    for n in [1, 2, 3, 3] {
        repeats.restore(id(n).to_bytes(), now);
    }
    assert_eq!(earlier(repeats.begin(id(1), now)), None);
    assert!(matches!(repeats.begin(id(3), now), Begun::Acknowledged(_)));
}

#[test]
fn an_id_is_forgotten_after_the_window() {
    let window = 10 * SECOND;
    let mut repeats = Repeats::new(Limits {
        window,
        ..Limits::default()
    });
    let now = Instant::now();
    let ticket = deliver(repeats.begin(id(1), now));
    repeats.settle(ticket, Outcome::Acknowledged, now + SECOND);
    let last = now + SECOND + window;
    assert_eq!(repeats.begin(id(1), last), Begun::Acknowledged(ticket));
    // It is older than what was settled before it.
    repeats.restore(id(2).to_bytes(), now);
    assert!(matches!(
        repeats.begin(id(2), last - SECOND),
        Begun::Acknowledged(_)
    ));
    assert_eq!(earlier(repeats.begin(id(2), last)), None);
    let later = last + SECOND;
    // Somebody else has stored it again meanwhile, and it was known from before.
    repeats.restore(id(3).to_bytes(), now + 5 * SECOND);
    repeats.restore(id(3).to_bytes(), later);
    assert!(matches!(
        repeats.begin(id(3), later + window),
        Begun::Acknowledged(_)
    ));
    assert_ne!(deliver(repeats.begin(id(1), later)), ticket);
    assert!(repeats.ids.len() <= 5);
}

#[test]
fn what_turns_out_to_be_stored_is_not_delivered_again() {
    let (mut repeats, now) = (repeats(10), Instant::now());
    let first = deliver(repeats.begin(id(1), now));
    repeats.settle(first, Outcome::Unknown, now);
    repeats.restore(id(1).to_bytes(), now);
    assert_eq!(repeats.begin(id(1), now), Begun::Acknowledged(first));
    // Its outcome is not known here yet.
    let second = deliver(repeats.begin(id(2), now));
    repeats.restore(id(2).to_bytes(), now);
    assert_eq!(repeats.begin(id(2), now), Begun::Join(second));
    repeats.settle(second, Outcome::Unknown, now);
    assert_eq!(repeats.begin(id(2), now), Begun::Acknowledged(second));
}

/// The memory of this process, in bytes.
#[cfg(target_os = "linux")]
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

/// Fills both memories, and more than that, and checks what that took. In a process
/// of its own, because other tests allocate too.
#[cfg(target_os = "linux")]
#[test]
fn no_id_and_no_body_takes_more_than_it_counts() {
    const NAME: &str = "repeats::tests::no_id_and_no_body_takes_more_than_it_counts";
    const ALONE: &str = "SLUICE_TEST_ALONE";
    const COUNT: usize = 100_000;
    if std::env::var_os(ALONE).is_none() {
        let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
        let alone = alone
            .args([NAME, "--exact", "--test-threads=1"])
            .env(ALONE, "1");
        let output = alone.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && said.contains("1 passed"),
            "{said}"
        );
        return;
    }
    let mut repeats = repeats(COUNT);
    let now = Instant::now();
    let mut rng = StdRng::seed_from_u64(1);
    let mut under_way = Vec::with_capacity(1000);
    for (identity, each) in [(id as fn(u64) -> Identity, ID_BYTES), (body, BODY_BYTES)] {
        let before = resident();
        let mut most = 0;
        for n in 0..COUNT as u64 * 5 / 4 {
            under_way.push(deliver(repeats.begin(identity(n), now)));
            if under_way.len() == 1000 {
                let ticket = under_way.swap_remove(rng.random_range(0..1000));
                repeats.settle(ticket, Outcome::Unknown, now);
            }
            if n % 10_000 == 0 {
                most = most.max(resident() - before);
            }
        }
        under_way.clear();
        println!("{} bytes each", most / COUNT);
        assert!(most > COUNT * 64 && most <= COUNT * each, "{most}");
    }
}
