//! Runs the worlds, and checks that leaving out any rule is noticed.

use std::time::Instant;

use super::clock::SECOND;
use super::ended::Ended;
use super::without::Without;
use super::world::World;

/// The number of worlds unless another one is asked for: some ten seconds of a
/// debug build, in which elections take in about three million events.
const WORLDS: u64 = 3_000;
/// The number of worlds within which leaving something out must be noticed.
const ENOUGH: u64 = 10_000;

#[test]
fn in_any_order_of_events_one_node_at_most_acknowledges_and_one_does_in_the_end() {
    if let Some(seed) = setting("SEED") {
        let ended = World::new(seed, None).traced().run();
        println!("{}", ended.trace.join("\n"));
        assert_eq!(ended.violation, None);
        return;
    }
    let worlds = setting("SLUICE_SIMULATION_WORLDS").unwrap_or(WORLDS);
    let first = rand::random::<u64>() >> 16;
    let started = Instant::now();
    let mut sum = Ended::default();
    for seed in first..first + worlds {
        let ended = World::new(seed, None).run();
        if ended.violation.is_some() {
            fail(seed);
        }
        sum.add(&ended);
    }
    println!(
        "{worlds} worlds from seed {first} on: {} events told to elections, {} tenures, {} \
         acknowledgements, a leader in the end after {:.1} s at most; {:.1} s",
        sum.told,
        sum.tenures,
        sum.decisions,
        sum.recovery as f64 / SECOND as f64,
        started.elapsed().as_secs_f64()
    );
    assert!(sum.tenures > worlds, "the worlds are too quiet: {sum:?}");
}

#[test]
fn a_seed_gives_the_same_world_again() {
    for seed in 0..20 {
        let run = || World::new(seed, None).traced().run().trace;
        assert_eq!(run(), run(), "{seed}");
    }
}

/// Repeats the world with a trace, and shows it.
fn fail(seed: u64) {
    let ended = World::new(seed, None).traced().run();
    let violation = ended.violation.unwrap_or_default();
    panic!(
        "{}\n\nSEED={seed}: {violation}\n(the trace is above; times are in ms)",
        ended.trace.join("\n")
    );
}

fn setting(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(
        value
            .parse()
            .unwrap_or_else(|error| panic!("{name}={value}: {error}")),
    )
}

/// Fails unless a world without this shows such a violation.
fn is_missed(without: Without, what: &str) {
    let found = (0..ENOUGH).find_map(|seed| {
        let ended = World::new(seed, Some(without)).run();
        let violation = ended
            .violation
            .filter(|violation| violation.contains(what))?;
        Some((seed, violation))
    });
    let (seed, violation) =
        found.unwrap_or_else(|| panic!("{without:?} was not missed in {ENOUGH} worlds"));
    println!("without {without:?}: seed {seed}: {violation}");
    // The same world is right if nothing is left out.
    assert_eq!(World::new(seed, None).run().violation, None);
}

/// Found by what two nodes did, or by what they could have done.
const AT_ONCE: &str = "at once";
/// The lock is held in vain.
const NO_LEADER: &str = "no node leads";

#[test]
fn a_write_without_a_check_of_the_lease_is_found() {
    is_missed(Without::CheckBeforeWrite, AT_ONCE);
}

#[test]
fn an_acknowledgement_without_another_check_is_found() {
    is_missed(Without::CheckBeforeAcknowledgement, AT_ONCE);
}

#[test]
fn a_winner_that_does_not_wait_is_found() {
    is_missed(Without::Waiting, AT_ONCE);
}

#[test]
fn a_release_before_acknowledging_stopped_is_found() {
    is_missed(Without::StoppingFirst, AT_ONCE);
}

#[test]
fn a_clean_release_by_a_winner_that_still_waits_is_found() {
    is_missed(Without::FoundFlags, AT_ONCE);
}

#[test]
fn a_renewal_taken_for_a_proof_is_found() {
    is_missed(Without::ReadsOnly, AT_ONCE);
}

#[test]
fn a_clock_that_does_not_count_suspend_is_found() {
    is_missed(Without::SuspendCounted, AT_ONCE);
}

#[test]
fn a_clock_that_steps_back_is_found() {
    is_missed(Without::SteadyClock, AT_ONCE);
}

#[test]
fn clocks_that_differ_by_half_are_found() {
    is_missed(Without::BoundedRates, AT_ONCE);
}

#[test]
fn proofs_that_may_be_stale_are_found() {
    is_missed(Without::Consistency, AT_ONCE);
}

#[test]
fn a_cluster_that_never_gets_a_leader_again_is_found() {
    is_missed(Without::Timers, NO_LEADER);
}

#[test]
fn a_renewal_that_says_no_and_is_believed_is_found() {
    is_missed(Without::Doubt, NO_LEADER);
}

#[test]
fn a_leader_that_proves_nothing_and_keeps_the_lock_is_found() {
    is_missed(Without::ReleasingUnproven, NO_LEADER);
}

#[test]
fn sessions_of_an_earlier_process_that_are_left_are_found() {
    is_missed(Without::EndingEarlier, NO_LEADER);
}

/// A tenure that begins, or ends, without what it takes.
const NOT_ON_DISK: &str = "not on disk";
const GIVEN_UP: &str = "gives up a lock that it holds";

#[test]
fn a_win_that_is_told_before_its_epoch_is_on_disk_is_found() {
    is_missed(Without::EpochOnDisk, NOT_ON_DISK);
}

#[test]
fn a_session_that_is_not_on_disk_is_found() {
    is_missed(Without::SessionOnDisk, NO_LEADER);
}

#[test]
fn a_lease_that_is_extended_from_the_answer_is_found() {
    is_missed(Without::RequestTime, AT_ONCE);
}

#[test]
fn a_late_answer_that_is_taken_for_one_of_the_next_tenure_is_found() {
    is_missed(Without::TenureOfAnswer, GIVEN_UP);
}

#[test]
fn a_session_that_is_ended_only_once_is_found() {
    is_missed(Without::EndingUntilConfirmed, NO_LEADER);
}

#[test]
fn a_call_whose_silence_is_not_told_is_found() {
    is_missed(Without::TellingSilence, NO_LEADER);
}
