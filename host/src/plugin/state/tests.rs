//! The state's answers to what happens, one after the other.

use super::*;
use serde_json::{Value, json};
use std::time::Duration;

use crate::plugin::leader_sink::LeaderSays;
use crate::plugin::report::WatchFor;
use crate::plugin::testing::candidate;
use sluice_delivery::{ProbationTerms, Verdict};
use sluice_types::documents::NodeDocument;
use sluice_types::plugin::PluginStatus;

/// A candidate of the default sink with this configuration.
fn of(config: &str) -> Candidate {
    candidate(&format!(
        r#"{{"source":"builtin:stdout","config":"{config}"}}"#
    ))
}

fn state_with(wanted: &Arc<Candidate>) -> PluginState {
    PluginState::new(
        "c/plugin".to_owned(),
        &wanted.manifest,
        Origin::Flag,
        Arc::clone(wanted),
        None,
        "then".to_owned(),
    )
}

fn status(state: &mut PluginState) -> (PluginStatus, Value, Option<Value>) {
    let status = state.status(|| "now".to_owned());
    let node = serde_json::to_value(state.node_document("a", &status)).unwrap();
    let active = state.active_document("a", &status);
    let active = active.map(|active| serde_json::to_value(active).unwrap());
    (status, node, active)
}

fn asked(manifest: &Manifest, index: u64) -> Asked {
    Asked {
        origin: Origin::Key(index),
        manifest: Ok(manifest.clone()),
    }
}

fn unreadable(index: u64) -> Asked {
    Asked {
        origin: Origin::Key(index),
        manifest: Err("read the manifest".to_owned()),
    }
}

fn failed(candidate: &Arc<Candidate>) -> Report {
    Report::Failed {
        candidate: Arc::clone(candidate),
        error: "no".to_owned(),
        retrying: false,
        is_own_fault: false,
    }
}

#[test]
fn what_runs_is_not_what_is_asked_for_before_it_took_over() {
    let first = Arc::new(of("1"));
    let mut state = state_with(&first);
    state.report(Report::Running(Arc::clone(&first)));
    let second = of("2");
    state.ask(&asked(&second.manifest, 7));
    let (_, node, active) = status(&mut state);
    assert_eq!(
        (&node["state"], &node["index"], &node["able"]),
        (&"preparing".into(), &7.into(), &false.into())
    );
    assert_eq!(active.unwrap()["index"], 0);
    state.prepared(second);
    let (_, node, active) = status(&mut state);
    assert_eq!(
        (&node["index"], &node["plugin_index"], &node["able"]),
        (&7.into(), &0.into(), &true.into())
    );
    assert_eq!(active.unwrap()["index"], 0, "the first still runs");
    let second = Arc::clone(&state.wanted);
    state.report(Report::Running(second));
    let (_, node, active) = status(&mut state);
    assert_eq!(node["plugin_index"], 7);
    assert_eq!(active.unwrap()["index"], 7);
    // The same again swaps nothing, and is done at once.
    state.ask(&asked(&of("2").manifest, 9));
    state.prepared(of("2"));
    let (status, _, active) = status(&mut state);
    assert_eq!(active.unwrap()["index"], 9);
    assert_eq!(status.active.since, "now");
}

#[test]
fn a_fallback_gives_way_to_what_works_elsewhere() {
    let flag = Arc::new(of("flag"));
    let mut state = state_with(&flag);
    state.ask(&unreadable(3));
    assert!(Arc::ptr_eq(&state.wanted, &flag));
    let leaders = Arc::new(of("leaders"));
    state.works(&leaders);
    assert!(Arc::ptr_eq(&state.wanted, &leaders));
    // Also if one that worked before stood in for what is asked for.
    let next = Arc::new(of("next"));
    state.works(&next);
    assert!(Arc::ptr_eq(&state.wanted, &next));
}

#[test]
fn what_cannot_be_prepared_leaves_what_runs() {
    let first = Arc::new(of("1"));
    let mut state = state_with(&first);
    state.report(Report::Running(Arc::clone(&first)));
    let second = of("2");
    state.ask(&asked(&second.manifest, 2));
    state.prepared(second);
    let second = Arc::clone(&state.wanted);
    state.report(failed(&second));
    let (shown, node, active) = status(&mut state);
    assert_eq!(node["able"], false);
    assert!(
        shown
            .error
            .unwrap()
            .contains("failed to open builtin:stdout: no")
    );
    assert_eq!(shown.active.state, PluginPhase::Running);
    assert!(
        active.unwrap()["why"]
            .as_str()
            .unwrap()
            .contains("but: failed to open")
    );
    state.ask(&unreadable(3));
    assert!(Arc::ptr_eq(&state.wanted, &first));
    let (shown, ..) = status(&mut state);
    assert_eq!(shown.error.as_deref(), Some("failed to read the manifest"));
    // What is asked for next is not blamed for it.
    state.ask(&asked(&of("4").manifest, 4));
    let (shown, ..) = status(&mut state);
    assert_eq!(shown.error, None);
}

#[test]
fn one_that_did_not_open_is_tried_again_when_it_is_asked_for_again() {
    let first = Arc::new(of("1"));
    let mut state = state_with(&first);
    state.report(Report::Opening);
    state.report(failed(&first));
    let (shown, _, active) = status(&mut state);
    assert_eq!(shown.active.state, PluginPhase::Failed);
    assert_eq!(active.unwrap()["state"], "failed");
    state.ask(&asked(&first.manifest, 5));
    state.prepared(of("1"));
    assert!(!Arc::ptr_eq(&state.wanted, &first));
    let (shown, ..) = status(&mut state);
    assert_eq!(shown.active.state, PluginPhase::Opening);
}

const PROBATION: WatchFor = WatchFor::Probation(ProbationTerms {
    time: Duration::from_secs(30),
    compares_times: true,
});

/// A leader that runs a proven sink, and wants another one, of this manifest,
/// that is asked for at index 7.
fn rolling_out(manifest: &str) -> (PluginState, Arc<Candidate>, Arc<Candidate>) {
    let old = Arc::new(of("old"));
    let mut state = state_with(&old);
    state.report(Report::Running(Arc::clone(&old)));
    let new = candidate(manifest);
    state.ask(&asked(&new.manifest, 7));
    state.prepared(new);
    let new = Arc::clone(&state.wanted);
    (state, old, new)
}

const NEW: &str = r#"{"source":"builtin:stdout","config":"new"}"#;
const ALL: &str = r#"{"source":"builtin:stdout","rollout":{"wait":"all"}}"#;

#[track_caller]
fn assert_runs(state: &PluginState, candidate: &Arc<Candidate>, watch: WatchFor) {
    let choice = state.choice();
    assert!(Arc::ptr_eq(&choice.wanted, candidate));
    assert_eq!(choice.watch, watch);
}

fn judge(state: &mut PluginState, candidate: &Arc<Candidate>, verdict: Verdict) {
    state.report(Report::Judged(Arc::clone(candidate), verdict));
}

fn try_out(state: &mut PluginState, candidate: &Arc<Candidate>) {
    let time = Duration::from_secs(30);
    state.report(Report::OnProbation(Arc::clone(candidate), time));
}

#[test]
fn a_new_sink_is_good_once_it_has_passed() {
    let (mut state, old, new) = rolling_out(NEW);
    assert_runs(&state, &new, PROBATION);
    try_out(&mut state, &new);
    let (_, _, active) = status(&mut state);
    let probation = active.unwrap()["probation"].clone();
    assert_eq!(probation["seconds"], 30);
    let predecessor = &probation["predecessor"];
    assert_eq!(predecessor["manifest"], old.manifest.to_string());
    judge(&mut state, &new, Verdict::Passed);
    assert_runs(&state, &new, WatchFor::Nothing);
    assert!(Arc::ptr_eq(state.good.as_ref().unwrap(), &new));
    let (_, _, active) = status(&mut state);
    assert!(active.unwrap().get("probation").is_none());
}

#[test]
fn one_that_fails_gives_way_until_the_key_changes() {
    let (mut state, old, new) = rolling_out(NEW);
    try_out(&mut state, &new);
    judge(&mut state, &new, Verdict::Failed("it trapped".to_owned()));
    assert_runs(&state, &old, WatchFor::Nothing);
    state.report(Report::Running(Arc::clone(&old)));
    let (shown, node, active) = status(&mut state);
    assert!(shown.error.unwrap().contains("it trapped"));
    assert_eq!(node["able"], true, "it does what all should do");
    let failed = active.unwrap()["failed"].clone();
    assert_eq!(failed["index"], 7);
    assert_eq!(failed["manifest"], new.manifest.to_string());
    assert_eq!(failed["reason"], "it trapped");
    // A changed file is no reason to try it.
    state.prepared(candidate(NEW));
    assert_runs(&state, &old, WatchFor::Nothing);
    state.ask(&asked(&new.manifest, 9));
    assert_runs(&state, &old, WatchFor::Nothing);
    state.prepared(candidate(NEW));
    assert!(!Arc::ptr_eq(&state.choice().wanted, &old));
    let (shown, ..) = status(&mut state);
    assert_eq!(shown.error, None);
}

#[test]
fn one_that_does_not_open_by_its_own_fault_fails() {
    for (is_own_fault, manifest, fails) in [
        (true, NEW, true),
        (false, NEW, false),
        (
            true,
            r#"{"source":"builtin:stdout","rollout":{"probation_s":0}}"#,
            false,
        ),
    ] {
        let (mut state, old, new) = rolling_out(manifest);
        state.report(Report::Failed {
            candidate: Arc::clone(&new),
            error: "no".to_owned(),
            retrying: true,
            is_own_fault,
        });
        let (_, _, active) = status(&mut state);
        assert_eq!(active.unwrap().get("failed").is_some(), fails, "{manifest}");
        assert_eq!(Arc::ptr_eq(&state.choice().wanted, &old), fails);
    }
}

#[test]
fn what_stands_in_for_another_manifest_gives_way_and_condemns_nothing() {
    let (mut state, old, new) = rolling_out(NEW);
    try_out(&mut state, &new);
    state.ask(&unreadable(9));
    assert_runs(&state, &new, PROBATION);
    judge(&mut state, &new, Verdict::Failed("it trapped".to_owned()));
    assert_runs(&state, &old, WatchFor::Nothing);
    let (_, _, active) = status(&mut state);
    assert!(active.unwrap().get("failed").is_none());
}

#[test]
fn a_doubt_is_settled_by_the_predecessor() {
    let (mut state, old, new) = rolling_out(NEW);
    for acquitted in [true, false] {
        try_out(&mut state, &new);
        judge(&mut state, &new, Verdict::Doubted("busy".to_owned()));
        assert_runs(&state, &old, WatchFor::SecondOpinion);
        state.report(Report::Running(Arc::clone(&old)));
        let (shown, node, active) = status(&mut state);
        assert!(shown.error.unwrap().contains("busy"));
        assert_eq!(
            (&node["able"], &node["retrying"]),
            (&true.into(), &true.into())
        );
        assert!(active.unwrap().get("failed").is_none());
        if acquitted {
            judge(&mut state, &old, Verdict::Acquits);
            assert_runs(&state, &new, PROBATION);
        }
    }
    judge(&mut state, &old, Verdict::Delivers);
    assert_runs(&state, &old, WatchFor::Nothing);
    let (_, _, active) = status(&mut state);
    let reason = active.unwrap()["failed"]["reason"].clone();
    assert!(reason.as_str().unwrap().contains("busy"), "{reason}");
}

#[test]
fn a_new_tenure_begins_the_probation_again() {
    let (mut state, _, new) = rolling_out(NEW);
    try_out(&mut state, &new);
    judge(&mut state, &new, Verdict::Doubted("busy".to_owned()));
    state.report(Report::Standby);
    state.report(Report::Opening);
    assert_runs(&state, &new, PROBATION);
}

fn node(name: &str, sink: &Candidate, index: u64) -> NodeDocument {
    serde_json::from_value(serde_json::json!({
        "node": name, "able": true, "plugin": sink.identity(), "state": "prepared",
        "desired": {"source": null, "sha256": null}, "index": index, "plugin_index": index,
        "retrying": false,
    }))
    .unwrap()
}

#[test]
fn a_sink_for_all_waits_for_those_that_are_present() {
    let (mut state, old, new) = rolling_out(ALL);
    assert_runs(&state, &old, WatchFor::Nothing);
    assert_eq!(
        state.leader_waits_for(),
        Some(Vec::new()),
        "nobody is known"
    );
    let (_, _, active) = status(&mut state);
    let why = active.unwrap()["why"].clone();
    assert!(why.as_str().unwrap().contains("not known yet"), "{why}");
    let (own, ready) = (node("a", &old, 3), node("b", &new, 7));
    let nodes = vec![own.clone(), ready.clone(), node("c", &new, 5)];
    state.set_nodes("a", Some(&nodes));
    let (shown, node_document, active) = status(&mut state);
    assert_eq!(shown.waits_for, ["c"]);
    assert_eq!(node_document["able"], true);
    assert_eq!(active.unwrap()["waits_for"], serde_json::json!(["c"]));
    assert_runs(&state, &old, WatchFor::Nothing);
    // It vanishes.
    state.set_nodes("a", Some(&vec![own, ready]));
    assert_runs(&state, &new, PROBATION);
    try_out(&mut state, &new);
    // One that joins later holds nothing up.
    state.set_nodes("a", Some(&vec![node("d", &old, 3)]));
    assert_runs(&state, &new, PROBATION);
    assert_eq!(state.leader_waits_for(), None);
}

#[test]
fn a_doubt_ends_if_the_predecessor_does_not_open() {
    let (mut state, old, new) = rolling_out(NEW);
    try_out(&mut state, &new);
    judge(&mut state, &new, Verdict::Doubted("busy".to_owned()));
    assert_runs(&state, &old, WatchFor::SecondOpinion);
    state.report(failed(&old));
    assert!(Arc::ptr_eq(&state.choice().wanted, &new));
    let (_, _, active) = status(&mut state);
    let active = active.unwrap();
    assert!(active.get("failed").is_none());
    let predecessor = &active["probation"]["predecessor"]["manifest"];
    assert_eq!(*predecessor, old.manifest.to_string(), "it has not passed");
}

#[test]
fn one_that_was_taken_back_is_the_last_resort_and_proves_nothing() {
    let (mut state, old, new) = rolling_out(NEW);
    assert!(state.choice().last_resort.is_none());
    try_out(&mut state, &new);
    judge(&mut state, &new, Verdict::Failed("it trapped".to_owned()));
    state.report(Report::Standby);
    state.report(Report::Opening);
    assert_runs(&state, &old, WatchFor::Nothing);
    assert!(Arc::ptr_eq(&state.choice().last_resort.unwrap(), &new));
    state.report(failed(&old));
    let (shown, ..) = status(&mut state);
    let error = shown.error.unwrap();
    assert!(
        error.contains("failed to open builtin:stdout: no"),
        "{error}"
    );
    assert!(error.contains("it trapped"), "{error}");
    assert_eq!(shown.active.state, PluginPhase::Opening);
    state.report(Report::LastResort(Arc::clone(&new)));
    assert_runs(&state, &old, WatchFor::Nothing);
    let (_, _, active) = status(&mut state);
    let active = active.unwrap();
    assert_eq!(active["failed"]["reason"], "it trapped");
    let predecessor = &active["probation"]["predecessor"]["manifest"];
    assert_eq!(*predecessor, old.manifest.to_string());
    // Without it, nothing runs.
    state.report(Report::Opening);
    state.report(failed(&new));
    let (shown, ..) = status(&mut state);
    assert_eq!(shown.active.state, PluginPhase::Failed);
}

#[test]
fn the_predecessor_of_a_failed_sink_runs_until_a_newer_one_opens() {
    for verdict in [
        Verdict::Failed("it trapped".to_owned()),
        Verdict::Doubted("busy".to_owned()),
    ] {
        let (mut state, old, second) = rolling_out(NEW);
        try_out(&mut state, &second);
        let third = of("3");
        state.ask(&asked(&third.manifest, 9));
        state.prepared(third);
        let third = Arc::clone(&state.wanted);
        assert_runs(&state, &third, PROBATION);
        judge(&mut state, &second, verdict);
        assert_runs(&state, &old, WatchFor::Nothing);
        state.report(Report::Running(Arc::clone(&old)));
        assert_runs(&state, &third, PROBATION);
        let (_, _, active) = status(&mut state);
        assert!(active.unwrap().get("failed").is_none());
    }
}

#[test]
fn what_has_failed_may_be_tried_when_it_is_asked_for_later() {
    let old = Arc::new(of("old"));
    let mut state = state_with(&old);
    state.report(Report::Running(Arc::clone(&old)));
    // The key is deleted, which asks for the flag's sink.
    let flag = Asked::by_flag(&candidate(NEW).manifest);
    state.ask(&flag);
    state.prepared(candidate(NEW));
    let new = Arc::clone(&state.wanted);
    try_out(&mut state, &new);
    judge(&mut state, &new, Verdict::Failed("it trapped".to_owned()));
    state.report(Report::Running(Arc::clone(&old)));
    assert_runs(&state, &old, WatchFor::Nothing);
    state.ask(&asked(&old.manifest, 9));
    state.prepared(of("old"));
    // It is deleted again.
    state.ask(&flag);
    state.prepared(candidate(NEW));
    assert!(!Arc::ptr_eq(&state.choice().wanted, &old));
}

#[test]
fn what_waits_for_other_nodes_does_not_run_because_something_else_is_asked_for() {
    let (mut state, old, _) = rolling_out(ALL);
    let lacking = node("b", &old, 0);
    state.set_nodes("a", Some(&vec![lacking]));
    assert_runs(&state, &old, WatchFor::Nothing);
    let third = of("3");
    state.ask(&asked(&third.manifest, 9));
    assert_runs(&state, &old, WatchFor::Nothing);
    state.preparation_failed("no".to_owned());
    assert_runs(&state, &old, WatchFor::Nothing);
    state.ask(&asked(&third.manifest, 11));
    state.prepared(third);
    assert!(!Arc::ptr_eq(&state.choice().wanted, &old));
}

#[test]
fn a_failed_sink_that_runs_without_a_predecessor_proves_nothing() {
    let new = Arc::new(candidate(NEW));
    let mut state = state_with(&new);
    state.ask(&asked(&new.manifest, 7));
    state.prepared(candidate(NEW));
    let new = Arc::clone(&state.wanted);
    let failed = json!({
        "index": 7, "manifest": new.manifest.to_string(), "sha256": "ab", "reason": "it trapped",
    });
    state.leader_says(&LeaderSays {
        live: None,
        proven: None,
        failed: Some(serde_json::from_value(failed).unwrap()),
    });
    let (_, node, _) = status(&mut state);
    assert_eq!(node["able"], false, "others may have the predecessor");
    state.report(Report::Running(Arc::clone(&new)));
    assert!(state.good.is_none());
    // Also not once something else is asked for.
    state.ask(&asked(&of("3").manifest, 9));
    let (_, _, active) = status(&mut state);
    let active = active.unwrap();
    assert!(active.get("failed").is_none());
    assert_eq!(active["unproven"], true);
}

#[test]
fn one_on_probation_elsewhere_proves_nothing_where_its_predecessor_is_missing() {
    for (on_probation, is_proven) in [(true, false), (false, true)] {
        let new = Arc::new(candidate(NEW));
        let mut state = state_with(&new);
        let live = Some((new.manifest.clone(), new.identity().sha256.clone()));
        state.leader_says(&LeaderSays {
            proven: live.clone().filter(|_| !on_probation),
            live,
            failed: None,
        });
        state.report(Report::Running(Arc::clone(&new)));
        assert_eq!(state.good.is_some(), is_proven);
        let (_, _, active) = status(&mut state);
        assert_eq!(active.unwrap().get("unproven").is_none(), is_proven);
    }
}

#[test]
fn what_is_known_to_work_is_no_failure_if_its_file_comes_back() {
    let (mut state, old, new) = rolling_out(NEW);
    try_out(&mut state, &new);
    judge(&mut state, &new, Verdict::Failed("it trapped".to_owned()));
    state.report(Report::Running(Arc::clone(&old)));
    // The file of the same manifest is the earlier one again.
    state.prepared(of("old"));
    assert_runs(&state, &old, WatchFor::Nothing);
    let (shown, node, _) = status(&mut state);
    assert_eq!((shown.error, &node["able"]), (None, &true.into()));
}

#[test]
fn the_predecessor_comes_back_although_the_next_manifest_cannot_be_read() {
    let (mut state, old, new) = rolling_out(NEW);
    try_out(&mut state, &new);
    judge(&mut state, &new, Verdict::Failed("it trapped".to_owned()));
    assert_runs(&state, &old, WatchFor::Nothing);
    state.ask(&unreadable(9));
    assert_runs(&state, &old, WatchFor::Nothing);
}
