//! Simulated worlds in which the election is tried against random orders of
//! events: several nodes, a model of Consul, messages that are late, lost or
//! repeated, nodes that stand still, clocks that differ, keys changed by hand.
//!
//! Everything follows from a seed. `SEED=… cargo test -p sluice --lib
//! any_order` repeats one world and prints what happened in it;
//! `SLUICE_SIMULATION_WORLDS` says how many worlds are tried.

mod checker;
mod clock;
mod consul;
mod faults;
mod node;
mod world;

use std::time::Instant;

use world::{Ended, World};

/// Worlds that are tried where nothing else is said: some seconds of a debug
/// build, in which elections take in about four million events.
const WORLDS: u64 = 10_000;
/// Worlds within which a broken rule must show.
const ENOUGH: u64 = 10_000;

/// A rule that a world leaves out, to see that the checker misses it, or an
/// assumption that does not hold there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Without {
    /// The lease is asked before a write.
    AskingFirst,
    /// The lease is asked before a write, and not again before the
    /// acknowledgement.
    AskingAgain,
    /// The winner waits.
    Waiting,
    /// Acknowledging stops before the lock is released as clean.
    StoppingFirst,
    /// A winner that still waits releases with the flags that it found.
    FoundFlags,
    /// Only a read is a proof, no renewal of the session.
    ReadsOnly,
    /// The clock goes on while the machine is suspended.
    SuspendCounted,
    /// The clock never goes back.
    SteadyClock,
    /// Clocks go equally fast, or nearly so.
    BoundedRates,
    /// A proof is a consistent read.
    Consistency,
    /// Nodes are woken when they asked to be.
    Timers,
    /// A renewal that says no is no proof, and its session is ended.
    Doubt,
    /// Who can renew and not prove lets go.
    LettingGo,
    /// The sessions of an earlier life are ended.
    EndingEarlier,
}

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
        sum.recovery as f64 / clock::SECOND as f64,
        started.elapsed().as_secs_f64()
    );
    assert!(sum.tenures > worlds, "the worlds are too quiet: {sum:?}");
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
    // It is this rule, and not the world, that is to blame.
    assert_eq!(World::new(seed, None).run().violation, None);
}

/// Of both ways to find it: by what was done, and by what could have been.
const AT_ONCE: &str = "at once";
/// The lock is held in vain.
const NOBODY: &str = "no node leads";

#[test]
fn writing_without_asking_is_found() {
    is_missed(Without::AskingFirst, AT_ONCE);
}

#[test]
fn acknowledging_without_asking_again_is_found() {
    is_missed(Without::AskingAgain, AT_ONCE);
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
    is_missed(Without::Timers, NOBODY);
}

#[test]
fn a_renewal_that_says_no_and_is_believed_is_found() {
    is_missed(Without::Doubt, NOBODY);
}

#[test]
fn a_leader_that_proves_nothing_and_keeps_the_lock_is_found() {
    is_missed(Without::LettingGo, NOBODY);
}

#[test]
fn sessions_of_an_earlier_life_that_are_left_are_found() {
    is_missed(Without::EndingEarlier, NOBODY);
}
