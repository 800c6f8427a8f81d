//! The screen, drawn from sample documents.

use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Color;
use serde_json::json;
use tokio::time::Instant;

use super::draw::View;
use super::feed::News;
use super::keys::Press;
use super::model::Model;
use super::palette::Palette;
use super::rates::Rates;
use crate::cli::overview::{NodeRow, Overview};
use crate::http::admin::Status;
use crate::tail::RecordEvent;
use sluice_types::documents::LeaderAddress;

const PLAIN: Palette = Palette { in_color: false };
const INTERVAL: Duration = Duration::from_secs(1);

fn status(node: &str, role: &str, acknowledged: u64, queue: u64) -> Status {
    let document = json!({
        "node": node,
        "version": "0.1.0",
        "role": role,
        "epoch": 7,
        "leader": {"node": "a", "address": "127.0.0.1:3000"},
        "lease_ms": if role == "leader" { 850 } else { 0 },
        "plugin": {
            "desired": {"source": "builtin:stdout", "sha256": null},
            "active": {"source": "builtin:stdout", "sha256": "ab", "state": "running",
                       "since": "2026-11-20T09:00:00Z"},
            "error": null,
        },
        "queue": {"records": queue, "bytes": 100},
        "counters": {
            "accepted": acknowledged + queue, "acknowledged": acknowledged, "rejected": 0,
            "dead_lettered": 0, "retried": 0,
        },
    });
    serde_json::from_value(document).unwrap()
}

fn row(node: &str, status: Option<Status>) -> NodeRow {
    NodeRow {
        node: node.to_owned(),
        address: "127.0.0.1:3000".to_owned(),
        error: status.is_none().then(|| "cannot be reached".to_owned()),
        status: status.map(Box::new),
    }
}

/// A cluster whose leader has acknowledged so many records, and a node that is gone.
fn overview(acknowledged: u64) -> News {
    News::Overview(Box::new(Overview {
        cluster: "logs".to_owned(),
        leader: Some(LeaderAddress {
            node: "a".to_owned(),
            address: "127.0.0.1:3000".to_owned(),
        }),
        epoch: 7,
        nodes: vec![
            row("b", Some(status("b", "follower", 0, 0))),
            row("a", Some(status("a", "leader", acknowledged, 12))),
            row("gone", None),
        ],
    }))
}

/// The same, where records wait on a node that does not lead.
fn busiest_b() -> News {
    let News::Overview(mut overview) = overview(1) else {
        unreachable!()
    };
    overview.nodes[0] = row("b", Some(status("b", "follower", 0, 99)));
    News::Overview(overview)
}

fn record(body: &str, outcome: &str) -> RecordEvent {
    let document = json!({
        "id": "7-1", "outcome": outcome, "latency_us": 1200,
        "reason": (outcome == "refused").then_some("no such index"),
        "time": "2026-11-20T09:00:01.123456Z", "severity": "warn", "body": body,
    });
    serde_json::from_value(document).unwrap()
}

fn model() -> Model {
    let (mut model, start) = (Model::new(INTERVAL), Instant::now());
    model.take(overview(1_000_000), start - Duration::from_secs(2));
    model.take(overview(1_004_000), start);
    let records = vec![
        record("disk is full", "refused"),
        record("\u{1b}[2Jred \u{1b}[31m", "delivered"),
    ];
    model.take(News::Records(records), start);
    model.take(News::Skipped(1234), start);
    model
}

/// The lines of a screen of this size.
fn drawn(model: &Model, width: u16, height: u16) -> Vec<String> {
    drawn_at(model, width, height, Instant::now())
}

fn drawn_at(model: &Model, width: u16, height: u16, now: Instant) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let palette = PLAIN;
    let view = View {
        model,
        palette,
        now,
    };
    terminal.draw(|frame| view.draw(frame)).unwrap();
    let cells = terminal.backend().buffer().content();
    let lines = cells.chunks(usize::from(width));
    lines
        .map(|line| line.iter().map(ratatui::buffer::Cell::symbol).collect())
        .collect()
}

fn has(lines: &[String], parts: &[&str]) -> bool {
    let is_it = |line: &String| parts.iter().all(|part| line.contains(part));
    lines.iter().any(is_it)
}

#[test]
fn a_screen_of_80_columns_has_everything() {
    let lines = drawn(&model(), 80, 24);
    let all = lines.join("\n");
    for parts in [
        &["logs", "leader: a", "epoch: 7", "lease: 850 ms"][..],
        &[" in ", "2 000/s"],
        &[" out ", "2 000/s"],
        &["queue 12", "refused 0/s", "dead letters 0/s"],
        &["NODE", "ROLE", "LEASE", "EPOCH", "STATE", "PLUGIN"],
        &[
            "a ",
            "leader",
            "850 ms",
            "1 004 000",
            "running  builtin:stdout",
        ],
        &["b ", "follower"],
        &["gone", "no answer"],
        &["gone: cannot be reached"],
        &["records", "1 234 more have passed"],
        &["09:00:01 refused     WARN  disk is full (no such index)"],
        &["q quit", "? help", "p pause"],
    ] {
        assert!(has(&lines, parts), "{parts:?} in\n{all}");
    }
    assert!(
        !has(&lines, &[" old]"]) && !has(&lines, &["failed to"]),
        "{all}"
    );
    assert!(!all.contains('\u{1b}'), "no record commands the terminal");
    assert!(has(&lines, &["\\u{1b}[2Jred"]), "{all}");
}

#[test]
fn every_size_can_be_drawn_and_small_ones_show_what_matters() {
    let model = model();
    for width in [1, 2, 10, 20, 40, 60, 79, 200] {
        for height in [1, 2, 3, 5, 8, 24, 100] {
            drawn(&model, width, height);
        }
    }
    let lines = drawn(&model, 40, 15);
    let all = lines.join("\n");
    for parts in [
        &["logs", "leader: a", "epoch: 7"][..],
        &[" in ", "2 000/s"],
        &["queue 12"],
        &["NODE", "ROLE", "LEASE", "QUEUE", "STATE"],
        &["a ", "leader", "850 ms", "12", "running"],
        &["gone", "no answer"],
        &["refused     WARN  disk is full"],
    ] {
        assert!(has(&lines, parts), "{parts:?} in\n{all}");
    }
    assert!(
        !has(&lines, &["EPOCH"]) && !has(&lines, &["09:00"]),
        "{all}"
    );
    let lines = drawn(&model, 20, 6);
    assert!(has(&lines, &["logs  leader: a"]), "{}", lines.join("\n"));
    assert!(has(&lines, &["a ", "leader"]), "{}", lines.join("\n"));
}

#[test]
fn keys_pause_sort_choose_and_explain() {
    let mut model = model();
    let names = |model: &Model| {
        let nodes = model.nodes();
        let names = nodes.iter().map(|row| row.node.clone());
        names.collect::<Vec<_>>()
    };
    assert_eq!(names(&model), ["a", "b", "gone"]);
    assert_eq!(model.place(), None);
    for place in [0, 1, 2, 2] {
        assert!(!model.press(Press::Down));
        assert_eq!(model.place(), Some(place));
    }
    model.press(Press::Up);
    assert_eq!(model.place(), Some(1));
    model.take(busiest_b(), Instant::now());
    assert_eq!(names(&model), ["a", "b", "gone"]);
    model.press(Press::Sort);
    assert_eq!(names(&model), ["b", "a", "gone"], "the longest queue first");
    assert_eq!(model.place(), Some(0), "it stays chosen");
    assert!(has(&drawn(&model, 80, 24), &["s sort: queue"]));

    model.press(Press::Pause);
    model.take(
        News::Records(vec![record("late", "delivered")]),
        Instant::now(),
    );
    let lines = drawn(&model, 80, 24);
    assert!(has(&lines, &["paused"]) && !has(&lines, &["late"]));
    model.press(Press::Pause);
    model.take(
        News::Records(vec![record("later", "delivered")]),
        Instant::now(),
    );
    assert!(has(&drawn(&model, 80, 24), &["later"]));

    model.press(Press::Help);
    assert!(has(&drawn(&model, 80, 24), &["q, Esc, Ctrl-C", "quit"]));
    assert!(!model.press(Press::Back), "the help is closed first");
    assert!(!has(&drawn(&model, 80, 24), &["q, Esc, Ctrl-C"]));
    assert!(model.press(Press::Back));
    assert!(model.press(Press::Quit));
}

#[test]
fn what_is_wrong_is_said_and_what_was_known_stays() {
    let (mut model, now) = (model(), Instant::now());
    let why = "ask the node at http://a: it did not answer in time".to_owned();
    model.take(News::NoOverview(why), now);
    let why = "watch records: no node leads at the moment".to_owned();
    model.take(News::NoRecords(why), now);
    let late = now + Duration::from_secs(7);
    let lines = drawn_at(&model, 80, 24, late);
    let all = lines.join("\n");
    for parts in [
        &["logs", "[7 s old]"][..],
        &["failed to ask the node at http://a"],
        &["records", "failed to watch records: no node leads"],
        &["leader: a"],
        &["leader", "850 ms", "running"],
    ] {
        assert!(has(&lines, parts), "{parts:?} in\n{all}");
    }
    model.take(overview(1), late);
    model.take(News::Watching, late);
    let lines = drawn_at(&model, 80, 24, late);
    assert!(!has(&lines, &["failed to"]) && !has(&lines, &[" old]"]));
    // Its counters began again.
    assert!(*model.rates.acknowledged.back().unwrap() <= 1000);
}

#[test]
fn a_cluster_without_a_leader_or_nodes_is_shown_as_such() {
    let (mut model, now) = (Model::new(INTERVAL), Instant::now());
    let empty = Overview {
        cluster: "logs".to_owned(),
        leader: None,
        epoch: 0,
        nodes: Vec::new(),
    };
    model.take(News::Overview(Box::new(empty)), now);
    let lines = drawn(&model, 80, 24);
    assert!(has(&lines, &["logs", "no leader", "epoch: 0"]));
    assert!(!has(&lines, &["lease:"]));
    assert!(has(&lines, &["no node is registered", "sluice node"]));
}

#[test]
fn more_that_is_wrong_than_fits_is_counted() {
    let gone = |name: &str| row(name, None);
    let (mut model, now) = (Model::new(INTERVAL), Instant::now());
    let overview = Overview {
        cluster: "logs".to_owned(),
        leader: None,
        epoch: 3,
        nodes: ["a", "b", "c", "d", "e"].map(gone).into(),
    };
    model.take(News::Overview(Box::new(overview)), now);
    let lines = drawn(&model, 80, 24);
    assert!(has(&lines, &["a: cannot be reached"]) && has(&lines, &["b: cannot"]));
    assert!(has(&lines, &["and 3 more"]) && !has(&lines, &["c: cannot"]));
    for _ in 0..5 {
        model.press(Press::Down);
    }
    assert!(has(&drawn(&model, 80, 24), &["e: cannot be reached"]));
}

#[test]
fn rates_are_those_since_a_nodes_own_last_answer() {
    let (mut rates, start) = (Rates::default(), Instant::now());
    let seen = |acknowledged| [row("a", Some(status("a", "leader", acknowledged, 0)))];
    rates.take(&seen(1000), start);
    assert!(rates.acknowledged.is_empty(), "nothing to compare with");
    rates.take(&[row("a", None)], start + Duration::from_secs(1));
    rates.take(&seen(3000), start + Duration::from_secs(4));
    assert_eq!(rates.acknowledged, [500]);
    // What is known of a node that is not registered any more is dropped.
    rates.take(&[], start + Duration::from_secs(5));
    rates.take(&seen(9000), start + Duration::from_secs(6));
    assert_eq!(rates.acknowledged, [500]);
}

#[test]
fn what_is_remembered_is_bounded() {
    let (mut model, start) = (Model::new(INTERVAL), Instant::now());
    for second in 0..1000 {
        model.take(overview(second), start + Duration::from_secs(second));
        model.take(News::Records(vec![record("x", "delivered"); 50]), start);
    }
    assert_eq!(model.records.len(), 500);
    assert_eq!(model.rates.taken.len(), 240);
}

#[test]
fn colors_are_only_used_where_they_are_wanted() {
    for in_color in [true, false] {
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        let model = model();
        let view = View {
            model: &model,
            palette: Palette { in_color },
            now: Instant::now(),
        };
        terminal.draw(|frame| view.draw(frame)).unwrap();
        let mut cells = terminal.backend().buffer().content().iter();
        let has_color = cells.any(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset);
        assert_eq!(has_color, in_color);
    }
}
