use super::*;
use crate::command::{Release, StreamCommand};
use crate::event::Proof;
use crate::lock::{CLEAN, Epoch, Key, Lock, Looked, Successor};
use crate::loss::Loss;
use crate::take::{Take, Taken};
use crate::watching::Seen;
use sluice_types::stream::DEFAULT_STREAM;

const LEAP: u64 = 1000;
const LEASE: Duration = Duration::from_secs(1);

fn settings() -> Settings {
    Settings {
        node: "a".to_owned(),
        lease: LEASE,
        jitter: Duration::ZERO,
        leap: LEAP,
    }
}

fn stream() -> StreamName {
    DEFAULT_STREAM.into()
}

/// An event of the default stream.
fn of(event: StreamEvent) -> Event {
    Event::Stream(stream(), event)
}

/// A command for the default stream.
fn to(command: StreamCommand) -> Command {
    Command::Stream(stream(), command)
}

fn looked(lock: Lock) -> Event {
    of(StreamEvent::Looked(Some(Looked {
        lock,
        ..Looked::default()
    })))
}

fn watched(lock: Lock) -> Event {
    let keys = lock.key.map(|key| (stream(), key)).into_iter().collect();
    let index = lock.index;
    Event::Watched(Watching::Default, Some(Seen { index, keys }))
}

fn took(sent: u64, taken: Taken) -> Event {
    let sent = at(sent);
    of(StreamEvent::Took { sent, taken })
}

fn watch() -> Command {
    Command::Watch {
        watching: Watching::Default,
        index: 0,
    }
}

fn look() -> Command {
    to(StreamCommand::Look)
}

fn is_lose(command: &Command) -> bool {
    matches!(command, Command::Stream(_, StreamCommand::Lose { .. }))
}

fn is_release(command: &Command) -> bool {
    matches!(command, Command::Stream(_, StreamCommand::Release(_)))
}

/// What an attempt to take the lock is, if there is one.
fn take_of(commands: &[Command]) -> Option<&Take> {
    commands.iter().find_map(|command| match command {
        Command::Stream(_, StreamCommand::Take { take, .. }) => Some(take),
        _ => None,
    })
}

fn at(millis: u64) -> BootTime {
    BootTime::from_nanos(millis * 1_000_000)
}

fn lock(modify_index: u64, session: Option<&str>, flags: u64) -> Lock {
    let key = Key {
        modify_index,
        session: session.map(str::to_owned),
        flags,
        value: b"{}".to_vec(),
    };
    Lock {
        index: modify_index,
        key: Some(key),
    }
}

const ABSENT: Lock = Lock {
    index: 5,
    key: None,
};

/// A node that takes part in the election of the default stream.
fn node() -> Elections {
    let mut elections = Elections::new(settings(), 0);
    elections.add(&stream());
    elections
}

/// A node that has a session and knows that the lock is free at 0 ms.
fn candidate(lock: Lock) -> Elections {
    let mut election = node();
    let first = election.handle(at(0), of(StreamEvent::Eligible(true)));
    assert_eq!(first, [Command::CreateSession, watch()]);
    election.handle(at(0), Event::Session(Some("s".to_owned())));
    let commands = election.handle(at(0), watched(lock));
    assert!(commands.contains(&look()), "{commands:?}");
    election
}

/// The same, after it took the lock at index 9 between 100 and 110 ms.
fn winner(found: Lock) -> (Elections, Vec<Command>) {
    let mut election = candidate(found.clone());
    let commands = election.handle(at(100), looked(found));
    assert_eq!(take_of(&commands).map(|take| take.epoch), Some(1));
    let taken = Taken::Won { modify_index: 9 };
    let commands = election.handle(at(110), took(100, taken));
    (election, commands)
}

fn prove(sent: u64) -> Command {
    Command::Prove {
        sent: at(sent),
        tenures: vec![(stream(), 1)],
    }
}

fn lead(from: u64, until: u64) -> Command {
    to(StreamCommand::Lead {
        epoch: 1,
        from: at(from),
        until: at(until),
    })
}

#[test]
fn a_clean_lock_is_served_at_once() {
    let (_, commands) = winner(lock(7, None, CLEAN));
    assert_eq!(commands, [lead(110, 1100)]);
}

#[test]
fn otherwise_the_winner_waits_out_the_longest_lease_it_knows_of() {
    assert_eq!(winner(ABSENT).1, [lead(110 + 1250, 1100)]);
    assert_eq!(winner(lock(7, None, 0)).1, [lead(110 + 1250, 1100)]);
    assert_eq!(winner(lock(7, None, 4000)).1, [lead(110 + 5000, 1100)]);
    let absurd = winner(lock(7, None, u64::MAX)).1;
    assert_eq!(absurd, [lead(110 + 75_000, 1100)]);
}

#[test]
fn the_lock_says_the_longest_lease_that_may_still_run() {
    let mut election = candidate(lock(7, None, 4000));
    let looked = of(StreamEvent::Looked(Some(Looked {
        lock: lock(7, None, 4000),
        epoch: Epoch {
            value: 3,
            modify_index: 2,
        },
        successor: None,
    })));
    let take = Take {
        session: "s".to_owned(),
        expected: Some(7),
        epoch: 4,
        epoch_index: 2,
        successor_index: None,
        flags: 4000,
    };
    let sent = at(1);
    assert_eq!(
        election.handle(sent, looked),
        [to(StreamCommand::Take { sent, take })]
    );
}

#[test]
fn an_epoch_that_consul_lost_is_continued() {
    let mut election = candidate(ABSENT);
    election.handle(at(0), Event::EpochKnown(41));
    let commands = election.handle(at(1), looked(ABSENT));
    assert!(commands.contains(&Command::EpochWasBehind {
        consul: 0,
        known: 41
    }));
    let take = take_of(&commands);
    assert_eq!(take.map(|take| take.epoch), Some(41 + LEAP));
}

#[test]
fn a_leader_that_others_have_outrun_steps_down_and_leads_again_beyond_them() {
    let (mut election, _) = winner(lock(7, None, CLEAN));
    // What the others know of this tenure is no later than it.
    let counter = |epoch, known| Event::EpochSeen {
        epoch: Some(epoch),
        known,
    };
    assert_eq!(election.handle(at(120), counter(0, 1)), []);
    // The counter is that of all streams.
    assert_eq!(election.handle(at(121), counter(4, 4)), []);
    let commands = election.handle(at(130), counter(4, 5));
    let loss = Loss::Outrun { epoch: 5 };
    let lose = to(StreamCommand::Lose { loss });
    assert!(commands.contains(&lose), "{commands:?}");
    assert!(commands.iter().any(is_release), "{commands:?}");
}

#[test]
fn a_proof_extends_the_lease_from_when_it_was_sent() {
    let (mut election, _) = winner(lock(7, None, CLEAN));
    let commands = election.handle(at(450), Event::Tick);
    assert_eq!(commands, [prove(450)]);
    let proof = proved(450, Some(lock(9, Some("s"), 1000)));
    assert_eq!(election.handle(at(900), proof), [extend(1450), prove(900)]);
}

#[test]
fn a_proof_that_shows_anything_else_ends_the_tenure() {
    for other in [
        lock(10, Some("s"), 1000),
        lock(10, None, 1000),
        lock(10, Some("other"), 1000),
        Lock {
            index: 10,
            key: None,
        },
    ] {
        let (mut election, _) = winner(lock(7, None, CLEAN));
        let proof = proved(200, Some(other.clone()));
        let commands = election.handle(at(210), proof);
        assert!(commands.first().is_some_and(is_lose), "{other:?}");
    }
}

#[test]
fn silence_only_suspends_and_asks_again() {
    let (mut election, _) = winner(lock(7, None, CLEAN));
    election.handle(at(450), Event::Tick);
    let mut now = at(600);
    for _ in 0..1000 {
        let commands = election.handle(now, proved(millis(now), None));
        assert!(!commands.iter().any(is_lose));
        now = election.wake().unwrap().max(now);
        let renewed = Event::Renewed {
            session: "s".to_owned(),
            exists: None,
        };
        election.handle(now, renewed);
    }
    election.handle(now, Event::Tick);
    let sent = millis(now);
    let proof = proved(sent, Some(lock(9, Some("s"), 1000)));
    assert!(election.handle(now, proof).contains(&extend(sent + 1000)));
}

#[test]
fn no_more_than_three_proofs_are_open() {
    let (mut election, _) = winner(lock(7, None, CLEAN));
    let mut proofs = 0;
    for millis in (111..10_000).step_by(10) {
        let commands = election.handle(at(millis), Event::Tick);
        proofs += commands
            .iter()
            .filter(|c| matches!(c, Command::Prove { .. }))
            .count();
    }
    assert_eq!(proofs, 3);
}

fn renewed(exists: Option<bool>) -> Event {
    Event::Renewed {
        session: "s".to_owned(),
        exists,
    }
}

/// The release of the acquisition at index 9 was answered.
fn released(session: &str) -> Event {
    released_or_not(session, true)
}

fn released_or_not(session: &str, is_answered: bool) -> Event {
    of(StreamEvent::Released {
        session: session.to_owned(),
        acquisition: 9,
        is_answered,
    })
}

fn destroyed(session: &str) -> Event {
    let session = session.to_owned();
    Event::Destroyed { session }
}

fn destroy(session: &str) -> Command {
    let session = session.to_owned();
    Command::Destroy { session }
}

fn proved(sent: u64, lock: Option<Lock>) -> Event {
    let proof = Proof {
        stream: stream(),
        epoch: 1,
        lock,
    };
    Event::Proved {
        sent: at(sent),
        proofs: vec![proof],
    }
}

fn extend(until: u64) -> Command {
    to(StreamCommand::Extend { until: at(until) })
}

fn millis(time: BootTime) -> u64 {
    time.as_nanos() / 1_000_000
}

#[test]
fn a_renewal_that_says_no_ends_a_tenure_only_if_the_lock_says_so_too() {
    let (mut election, _) = winner(lock(7, None, CLEAN));
    assert_eq!(
        election.handle(at(200), renewed(Some(false))),
        [prove(200)],
        "at once"
    );
    let own = proved(200, Some(lock(9, Some("s"), 1000)));
    let commands = election.handle(at(210), own);
    assert_eq!(commands, [extend(1200)]);
    assert_eq!(election.session(), Some("s"));

    election.handle(at(460), Event::Tick);
    election.handle(at(500), renewed(Some(false)));
    let commands = election.handle(at(510), proved(500, Some(lock(12, None, 1000))));
    assert_eq!(commands[0], to(StreamCommand::Lose { loss: Loss::Freed }));
    // No tenure depends on the session any more: a new one is created, and the
    // old one is ended.
    let commands = election.handle(at(520), renewed(Some(false)));
    assert_eq!(commands, [destroy("s"), Command::CreateSession]);
}

#[test]
fn a_retired_session_that_holds_the_lock_is_ended_again_and_never_used() {
    let mut election = candidate(lock(7, None, CLEAN));
    election.handle(at(1), looked(lock(7, None, CLEAN)));
    let commands = election.handle(at(2), renewed(Some(false)));
    assert_eq!(commands, [destroy("s"), Command::CreateSession]);
    let taken = Taken::Won { modify_index: 9 };
    let commands = election.handle(at(3), took(1, taken));
    assert_eq!(commands, [], "the session is being ended");
    // A repeated answer is ignored.
    election.handle(at(4), Event::Session(Some("s".to_owned())));
    assert_eq!(election.session(), None);
    election.handle(at(5), Event::Session(Some("t".to_owned())));
    assert_eq!(election.session(), Some("t"));
    let held = || watched(lock(9, Some("s"), 1000));
    let commands = election.handle(at(6), held());
    assert!(!commands.contains(&destroy("s")), "it is under way");
    assert_eq!(election.handle(at(7), destroyed("s")), []);
    let commands = election.handle(at(8), held());
    assert!(commands.contains(&destroy("s")), "{commands:?}");
    assert!(!commands.iter().any(is_release));
}

#[test]
fn a_release_that_is_answered_late_does_not_cost_the_next_session() {
    let (mut election, _) = winner(lock(7, None, CLEAN));
    election.handle(at(200), step_down(Duration::ZERO));
    let commands = election.handle(at(210), renewed(Some(false)));
    assert_eq!(commands, [destroy("s"), Command::CreateSession]);
    election.handle(at(220), Event::Session(Some("t".to_owned())));
    let commands = election.handle(at(230), released("s"));
    assert!(!commands.contains(&destroy("t")), "{commands:?}");
    assert_eq!(election.session(), Some("t"));
}

/// What happens to a leader whose proofs get no answer from 1 s on, if its
/// renewals get these answers, one per second.
fn unproven(renewals: &[Option<bool>]) -> (Elections, Vec<Command>) {
    let (mut election, _) = winner(lock(7, None, CLEAN));
    let mut all = Vec::new();
    for (second, exists) in (1..).zip(renewals) {
        let now = at(second * 1000 + 100);
        election.handle(now, Event::Tick);
        all.extend(election.handle(now, proved(millis(now), None)));
        all.extend(election.handle(now, renewed(*exists)));
    }
    (election, all)
}

#[test]
fn a_leader_that_is_renewed_and_proves_nothing_leaves_the_lock_to_others() {
    // Its lease ended at 1.1 s.
    let (_, commands) = unproven(&[Some(true); 5]);
    assert_eq!(release_of(&commands), None);
    let (mut election, commands) = unproven(&[Some(true); 6]);
    let loss = Loss::Unproven;
    let lose = to(StreamCommand::Lose { loss });
    assert!(commands.contains(&lose), "{commands:?}");
    assert_eq!(release_of(&commands), Some(CLEAN));
    election.handle(at(6200), released("s"));
    election.handle(at(6200), destroyed("s"));
    election.handle(at(6600), Event::Tick);
    election.handle(at(6700), Event::Session(Some("t".to_owned())));
    let commands = election.handle(at(6800), watched(lock(12, None, CLEAN)));
    assert!(!commands.contains(&look()), "others come first");
    let commands = election.handle(at(16_100), Event::Tick);
    assert!(commands.contains(&look()), "{commands:?}");
}

#[test]
fn a_yes_that_was_held_up_until_consul_was_back_is_no_reason_to_release() {
    let (mut election, commands) = unproven(&[Some(true); 3]);
    assert_eq!(release_of(&commands), None);
    let commands = election.handle(at(9000), renewed(Some(true)));
    assert_eq!(release_of(&commands), None);
    let own = proved(9200, Some(lock(9, Some("s"), 1000)));
    let commands = election.handle(at(9300), own);
    assert!(commands.contains(&extend(10_200)));
}

#[test]
fn a_leader_without_any_answer_stays_suspended_and_so_it_does_when_answers_begin() {
    let (no, yes) = (None, Some(true));
    for renewals in [
        &[no; 100][..],
        &[no, no, no, no, no, no, no, no, yes, yes],
        &[yes, yes, no, no, no, no, no, no, no, yes, yes],
        &[yes, yes, no, yes, yes, no, yes, yes, no, yes, yes, no],
        // The last yes was delayed until Consul was back.
        &[yes, yes, yes, no, no, no, no, yes],
        // A session that is gone frees the lock by itself.
        &[Some(false); 10],
    ] {
        let (_, commands) = unproven(renewals);
        let lost = commands.iter().any(is_lose);
        assert!(!lost, "{renewals:?}: {commands:?}");
    }
}

#[test]
fn the_watch_ends_a_tenure_but_not_with_news_from_before_it() {
    let (mut election, _) = winner(lock(7, None, CLEAN));
    let old = election.handle(at(120), watched(lock(8, None, CLEAN)));
    assert!(!old.iter().any(is_lose), "{old:?}");
    let own = election.handle(at(130), watched(lock(9, Some("s"), 1000)));
    assert!(!own.iter().any(is_lose), "{own:?}");
    let lost = election.handle(at(140), watched(lock(12, None, 0)));
    assert!(lost.iter().any(is_lose), "{lost:?}");
}

fn step_down(stay_out: Duration) -> Event {
    of(StreamEvent::StepDown {
        epoch: 1,
        stay_out,
        until_taken: false,
        to: None,
    })
}

/// The flags to release with, if the lock is released.
fn release_of(commands: &[Command]) -> Option<u64> {
    let lose = commands.iter().position(is_lose);
    let release = commands.iter().position(is_release);
    assert!(lose < release || release.is_none(), "{commands:?}");
    the_release(commands).map(|release| release.flags)
}

fn the_release(commands: &[Command]) -> Option<&Release> {
    commands.iter().find_map(|command| match command {
        Command::Stream(_, StreamCommand::Release(release)) => Some(release),
        _ => None,
    })
}

#[test]
fn a_leader_that_served_releases_clean_and_one_that_still_waits_as_found() {
    let (mut served, _) = winner(lock(7, None, CLEAN));
    let commands = served.handle(at(200), step_down(Duration::ZERO));
    assert_eq!(release_of(&commands), Some(CLEAN));

    let (mut waiting, _) = winner(lock(7, None, 4000));
    let commands = waiting.handle(at(5109), step_down(Duration::ZERO));
    assert_eq!(release_of(&commands), Some(4000));

    let (mut waited, _) = winner(lock(7, None, 4000));
    let commands = waited.handle(at(5110), step_down(Duration::ZERO));
    assert_eq!(release_of(&commands), Some(CLEAN));
}

#[test]
fn a_lock_won_without_hearing_of_it_is_given_back_as_found() {
    let mut election = candidate(lock(7, None, 4000));
    election.handle(at(1), looked(lock(7, None, 4000)));
    election.handle(at(500), took(1, Taken::Unknown));
    let commands = election.handle(at(501), watched(lock(9, Some("s"), 4000)));
    assert_eq!(release_of(&commands), Some(4000));
}

#[test]
fn a_win_under_a_session_that_ended_is_none() {
    let mut election = candidate(ABSENT);
    election.handle(at(1), looked(ABSENT));
    election.handle(
        at(2),
        Event::Renewed {
            session: "s".to_owned(),
            exists: Some(false),
        },
    );
    let taken = Taken::Won { modify_index: 9 };
    let commands = election.handle(at(3), took(1, taken));
    assert_eq!(commands, []);
}

#[test]
fn a_leader_that_stepped_down_stays_out_for_a_while() {
    let (mut election, _) = winner(lock(7, None, CLEAN));
    election.handle(at(200), step_down(Duration::from_secs(30)));
    election.handle(at(201), released("s"));
    election.handle(at(202), destroyed("s"));
    election.handle(at(500), Event::Tick);
    election.handle(at(501), Event::Session(Some("t".to_owned())));
    let commands = election.handle(at(502), watched(lock(12, None, CLEAN)));
    assert!(!commands.contains(&look()));
    let commands = election.handle(at(30_200), Event::Tick);
    assert!(commands.contains(&look()), "{commands:?}");
}

#[test]
fn shutdown_releases_then_ends_the_session_then_is_finished() {
    let (mut election, _) = winner(lock(7, None, CLEAN));
    let commands = election.handle(at(200), Event::Shutdown);
    assert_eq!(release_of(&commands), Some(CLEAN));
    let commands = election.handle(at(201), released("s"));
    assert_eq!(
        commands,
        [Command::Destroy {
            session: "s".to_owned()
        }]
    );
    // The end of another session does not count.
    assert_eq!(election.handle(at(202), destroyed("other")), []);
    assert_eq!(
        election.handle(at(203), destroyed("s")),
        [Command::Finished]
    );
}

#[test]
fn an_idle_follower_is_not_woken_for_nothing() {
    let mut election = candidate(ABSENT);
    election.handle(at(1), of(StreamEvent::Looked(None)));
    election.handle(at(2), watched(lock(20, Some("other"), 1000)));
    for millis in (1000..2000).step_by(10) {
        assert_eq!(election.handle(at(millis), Event::Tick), []);
    }
    assert!(election.wake().unwrap() > at(2000));
}

#[test]
fn an_order_to_step_down_from_an_earlier_tenure_is_void() {
    let (mut election, _) = winner(lock(7, None, CLEAN));
    let order = of(StreamEvent::StepDown {
        epoch: 0,
        stay_out: Duration::from_secs(30),
        until_taken: false,
        to: None,
    });
    assert_eq!(election.handle(at(200), order), []);
}

#[test]
fn a_release_names_its_acquisition_and_leaves_the_session_to_the_next_tenure() {
    let (mut election, _) = winner(lock(7, None, CLEAN));
    let commands = election.handle(at(200), step_down(Duration::ZERO));
    let release = the_release(&commands).unwrap();
    assert_eq!((release.acquisition, &*release.session), (9, "s"));
    assert_eq!(election.handle(at(2200), released("s")), []);
    assert_eq!(election.session(), Some("s"));
    // The watch is late: that is the acquisition that was released.
    let commands = election.handle(at(2250), watched(lock(9, Some("s"), 1000)));
    assert_eq!(the_release(&commands), None, "{commands:?}");
    let commands = election.handle(at(2300), watched(lock(12, None, CLEAN)));
    assert!(commands.contains(&look()), "{commands:?}");
}

#[test]
fn a_release_without_an_answer_is_repeated_and_nothing_is_taken_before_it_is_answered() {
    let (mut election, _) = winner(lock(7, None, CLEAN));
    let commands = election.handle(at(200), step_down(Duration::ZERO));
    let release = the_release(&commands).unwrap().clone();
    election.handle(at(2200), released_or_not("s", false));
    assert!(election.is_releasing());
    election.handle(at(2210), watched(lock(12, None, CLEAN)));
    assert_eq!(election.wake(), Some(at(2450)));
    let again = to(StreamCommand::Release(release));
    assert_eq!(election.handle(at(2450), Event::Tick), [again]);
    election.handle(at(2460), released("s"));
    assert!(!election.is_releasing());
    let commands = election.handle(at(2510), Event::Tick);
    assert_eq!(commands, [renew(), look()]);
}

#[test]
fn a_release_ends_with_its_session() {
    let (mut election, _) = winner(lock(7, None, CLEAN));
    election.handle(at(200), step_down(Duration::ZERO));
    election.handle(at(210), renewed(Some(false)));
    let commands = election.handle(at(220), Event::Session(Some("t".to_owned())));
    assert_eq!(commands, [look()]);
}

#[test]
fn after_a_watch_without_an_answer_nothing_is_waited_for() {
    let mut election = candidate(ABSENT);
    election.handle(at(1), of(StreamEvent::Looked(None)));
    election.handle(at(2), Event::Watched(Watching::Default, None));
    let commands = election.handle(at(1000), Event::Tick);
    assert!(commands.contains(&watch()), "{commands:?}");
}

#[test]
fn what_the_lock_shows_is_told_and_the_session_asked_for_at_once() {
    let (mut election, _) = winner(lock(7, None, CLEAN));
    let commands = election.handle(at(140), watched(lock(12, None, 1000)));
    assert_eq!(commands[0], to(StreamCommand::Lose { loss: Loss::Freed }));
    assert!(commands.contains(&renew()), "{commands:?}");
}

fn renew() -> Command {
    let session = "s".to_owned();
    Command::Renew { session }
}

fn named(node: &str) -> Event {
    of(StreamEvent::Looked(Some(Looked {
        lock: lock(7, None, CLEAN),
        epoch: Epoch::default(),
        successor: Some(Successor {
            node: node.to_owned(),
            modify_index: 6,
        }),
    })))
}

#[test]
fn a_named_successor_is_released_with_and_takes_the_lock_at_once() {
    let (mut election, _) = winner(lock(7, None, CLEAN));
    let order = of(StreamEvent::StepDown {
        epoch: 1,
        stay_out: Duration::ZERO,
        until_taken: true,
        to: Some("b".to_owned()),
    });
    let commands = election.handle(at(200), order);
    let release = the_release(&commands).unwrap();
    assert_eq!(release.successor.as_deref(), Some("b"));

    let mut named_node = candidate(lock(7, None, CLEAN));
    let commands = named_node.handle(at(1), named("a"));
    assert_eq!(take_of(&commands).unwrap().successor_index, Some(6));
}

#[test]
fn a_named_successor_holds_the_others_back_for_three_seconds_and_no_more() {
    let mut election = candidate(lock(7, None, CLEAN));
    assert_eq!(election.handle(at(1), named("b")), []);
    assert_eq!(election.handle(at(3000), Event::Tick).len(), 1, "renewal");
    assert_eq!(election.wake(), Some(at(3001)));
    assert_eq!(election.handle(at(3001), Event::Tick), [look()]);
    let commands = election.handle(at(3002), named("b"));
    assert!(take_of(&commands).is_some(), "{commands:?}");
}

#[test]
fn a_yielding_node_does_not_campaign() {
    let mut election = node();
    election.handle(at(0), of(StreamEvent::Eligible(true)));
    election.handle(at(0), of(StreamEvent::Yielding(true)));
    election.handle(at(0), Event::Session(Some("s".to_owned())));
    let commands = election.handle(at(0), watched(ABSENT));
    assert!(!commands.contains(&look()), "{commands:?}");
    let commands = election.handle(at(1), of(StreamEvent::Yielding(false)));
    assert!(commands.contains(&look()), "{commands:?}");
}

#[test]
fn a_leader_that_stepped_down_stays_out_until_another_has_taken_the_lock() {
    let (mut election, _) = winner(lock(7, None, CLEAN));
    let order = of(StreamEvent::StepDown {
        epoch: 1,
        stay_out: Duration::from_secs(10),
        until_taken: true,
        to: None,
    });
    election.handle(at(200), order);
    election.handle(at(201), released("s"));
    election.handle(at(202), destroyed("s"));
    election.handle(at(500), Event::Tick);
    election.handle(at(501), Event::Session(Some("t".to_owned())));
    // Its own acquisition, seen late, and its own release are not the next.
    for seen in [lock(9, Some("s"), 1000), lock(12, None, CLEAN)] {
        let commands = election.handle(at(502), watched(seen));
        assert!(!commands.contains(&look()), "{commands:?}");
    }
    election.handle(at(503), watched(lock(14, Some("b"), 1000)));
    let commands = election.handle(at(900), watched(lock(16, None, 1000)));
    assert!(commands.contains(&look()), "{commands:?}");
}

/// A leader whose proofs get no answer, at 2.35 s: its lease ended at 1.1 s.
fn silent() -> (Elections, Vec<Command>) {
    let (mut election, _) = winner(lock(7, None, CLEAN));
    let mut commands = Vec::new();
    for millis in (450..2350).step_by(50) {
        commands.extend(election.handle(at(millis), proved(millis, None)));
    }
    assert!(!commands.iter().any(|c| *c == ask()), "{commands:?}");
    let commands = election.handle(at(2350), Event::Tick);
    (election, commands)
}

fn ask() -> Command {
    Command::AskOthers {
        stream: stream(),
        session: "s".to_owned(),
        acquisition: 9,
    }
}

fn seen(is_seen: bool) -> Event {
    Event::SeenByOthers {
        acquisition: 9,
        is_seen,
    }
}

#[test]
fn a_leader_that_others_see_and_consul_does_not_answer_leaves_the_lock_to_them() {
    let (mut election, commands) = silent();
    assert!(commands.contains(&ask()), "{commands:?}");
    let commands = election.handle(at(2410), seen(true));
    assert!(!commands.iter().any(is_lose), "Consul may just be back");
    let commands = election.handle(at(2900), Event::Tick);
    assert!(!commands.iter().any(is_lose), "{commands:?}");
    let commands = election.handle(at(2910), Event::Tick);
    assert_eq!(release_of(&commands), Some(CLEAN));
    let lose = to(StreamCommand::Lose {
        loss: Loss::Isolated,
    });
    assert!(commands.contains(&lose), "{commands:?}");
}

#[test]
fn a_proof_that_comes_in_time_ends_the_doubt() {
    let (mut election, _) = silent();
    election.handle(at(2410), seen(true));
    election.handle(at(2500), proved(2420, Some(lock(9, Some("s"), 1000))));
    for millis in (2500..3420).step_by(10) {
        let commands = election.handle(at(millis), Event::Tick);
        assert!(!commands.iter().any(is_lose), "{commands:?}");
    }
}

#[test]
fn while_nobody_sees_the_lock_it_is_kept_and_others_are_asked_again() {
    let (mut election, _) = silent();
    for round in 0..20 {
        let now = 2410 + round * 1000;
        let commands = election.handle(at(now), seen(false));
        assert!(!commands.iter().any(is_lose), "{commands:?}");
        let commands = election.handle(at(now + 1000), Event::Tick);
        assert!(commands.contains(&ask()), "{round}: {commands:?}");
    }
}

#[test]
fn one_read_proves_all_locks_and_one_session_holds_them() {
    let (mut node, _) = winner(lock(7, None, CLEAN));
    let other: StreamName = "audit".into();
    node.add(&other);
    let of_other = |event| Event::Stream(other.clone(), event);
    node.handle(at(120), of_other(StreamEvent::Eligible(true)));
    let free = Seen {
        index: 10,
        keys: BTreeMap::new(),
    };
    let free = Event::Watched(Watching::Others, Some(free));
    let commands = node.handle(at(130), free);
    let look_at_other = Command::Stream(other.clone(), StreamCommand::Look);
    assert!(commands.contains(&look_at_other), "{commands:?}");
    let looked = StreamEvent::Looked(Some(Looked {
        epoch: Epoch {
            value: 1,
            modify_index: 9,
        },
        ..Looked::default()
    }));
    let commands = node.handle(at(140), of_other(looked));
    let take = take_of(&commands).unwrap();
    assert_eq!((take.epoch, &*take.session), (2, "s"));
    let taken = Taken::Won { modify_index: 11 };
    let sent = at(140);
    node.handle(at(150), of_other(StreamEvent::Took { sent, taken }));
    // The epoch of the other stream outruns nobody.
    let counter = Event::EpochSeen {
        epoch: Some(2),
        known: 2,
    };
    let commands = node.handle(at(450), counter);
    let tenures = vec![(other.clone(), 2), (stream(), 1)];
    let sent = at(450);
    assert_eq!(commands, [Command::Prove { sent, tenures }]);
    let proof = |stream: &StreamName, epoch, lock| Proof {
        stream: stream.clone(),
        epoch,
        lock: Some(lock),
    };
    let proofs = vec![
        proof(&stream(), 1, lock(9, Some("s"), 1000)),
        proof(&other, 2, lock(14, None, CLEAN)),
    ];
    let commands = node.handle(at(460), Event::Proved { sent, proofs });
    assert!(commands.contains(&extend(1450)), "{commands:?}");
    let lost = commands.iter().filter(|command| is_lose(command));
    let of_other = lost.filter(|command| matches!(command, Command::Stream(s, _) if *s == other));
    assert_eq!(of_other.count(), 1, "{commands:?}");
    // A renewal that says no ends no session that a lock depends on.
    let commands = node.handle(at(470), renewed(Some(false)));
    assert!(!commands.contains(&destroy("s")), "{commands:?}");
}

/// A node that could lead while another one does.
fn follower() -> Elections {
    let mut node = node();
    node.handle(at(0), of(StreamEvent::Eligible(true)));
    node.handle(at(0), Event::Session(Some("s".to_owned())));
    node.handle(at(0), watched(lock(7, Some("other"), 1000)));
    node
}

#[test]
fn a_free_lock_is_left_for_a_moment_to_the_node_that_should_have_it() {
    let mut node = follower();
    node.handle(at(10), of(StreamEvent::Hesitating(true)));
    let commands = node.handle(at(20), watched(lock(9, None, CLEAN)));
    assert!(!commands.contains(&look()), "{commands:?}");
    assert!(!node.handle(at(319), Event::Tick).contains(&look()));
    assert!(node.handle(at(320), Event::Tick).contains(&look()));
    // Without a plan for another, at once.
    let commands = follower().handle(at(20), watched(lock(9, None, CLEAN)));
    assert!(commands.contains(&look()), "{commands:?}");
}

#[test]
fn a_stream_that_is_left_releases_its_lock_first() {
    let (mut node, _) = winner(lock(7, None, CLEAN));
    let commands = node.handle(at(120), Event::Leave(stream()));
    assert!(commands.iter().any(is_release), "{commands:?}");
    assert!(!commands.contains(&Command::Left(stream())), "{commands:?}");
    let released = StreamEvent::Released {
        session: "s".to_owned(),
        acquisition: 9,
        is_answered: true,
    };
    let commands = node.handle(at(130), of(released));
    assert!(commands.contains(&Command::Left(stream())), "{commands:?}");
    // Nothing of it is left to campaign for.
    let commands = node.handle(at(5000), Event::Tick);
    assert!(!commands.contains(&look()), "{commands:?}");
}

#[test]
fn a_stream_that_is_joined_again_before_it_was_left_stays() {
    let (mut node, _) = winner(lock(7, None, CLEAN));
    let commands = node.handle(at(120), Event::Leave(stream()));
    assert!(commands.iter().any(is_release), "{commands:?}");
    // That is not answered.
    node.add(&stream());
    let commands = node.handle(at(6000), Event::Tick);
    assert!(!commands.contains(&Command::Left(stream())), "{commands:?}");
}
