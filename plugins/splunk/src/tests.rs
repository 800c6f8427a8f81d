//! The sink against a destination in the same process.

use std::collections::BTreeSet;

use sluice_sink::testing::{
    Destination, Received, Reply, batch, deliver, open, record, schema_agrees,
};
use sluice_sink::{Batch, Refusals, Severity, Value};

use crate::Splunk;

const ORIGIN: &str = "https://splunk.example.com:8088";

/// A config with the URL and these fields.
fn config(fields: &str) -> String {
    let comma = if fields.is_empty() { "" } else { ", " };
    format!(r#"{{"url": "{ORIGIN}"{comma}{fields}}}"#)
}

fn send(destination: &Destination, fields: &str, batch: &Batch) -> Vec<String> {
    let mut sink = open::<Splunk>(&config(fields)).unwrap();
    assert_eq!(sink.write(batch), Ok(Refusals::none()));
    let requests = destination.requests();
    requests.iter().map(|request| request.text()).collect()
}

/// A `400` with a code, and the place of an event.
fn wrong(code: u32, place: Option<usize>) -> Reply {
    let place = place.map(|place| format!(r#","invalid-event-number":{place}"#));
    let place = place.unwrap_or_default();
    Reply::status(400).body(format!(r#"{{"text":"Wrong","code":{code}{place}}}"#))
}

/// Answers as Splunk does about the first event that has a text in it.
fn find(request: &Received, text: &str) -> Option<usize> {
    request
        .text()
        .lines()
        .position(|event| event.contains(text))
}

fn rich() -> Batch {
    batch([
        record("a\n\"b\"")
            .key("k")
            .severity(Severity::Error)
            .attribute("resource.host.name", "h-1")
            .attribute("n", 7)
            .attribute("x", Value::Json(r#"{"y":[1]}"#.to_owned())),
        record("c").timestamp(1_700_000_000_500_000_000),
    ])
}

#[test]
fn attributes_become_indexed_fields() {
    let destination = Destination::script(ORIGIN, []);
    let fields = r#""host": "h-0", "sourcetype": "sluice", "index": "main""#;
    let bodies = send(&destination, fields, &rich());
    let expected = concat!(
        r#"{"time":1700000000.000000000,"host":"h-1","sourcetype":"sluice","index":"main","#,
        r#""event":"a\n\"b\"","fields":{"n":"7","x":"{\"y\":[1]}","severity":"error","id":"k"}}"#,
        "\n",
        r#"{"time":1700000000.500000000,"host":"h-0","sourcetype":"sluice","index":"main","event":"c"}"#,
        "\n",
    );
    assert_eq!(bodies, [expected]);
    let request = destination.requests().remove(0);
    assert_eq!(request.method, "POST");
    assert_eq!(request.path, "/services/collector/event");
    assert_eq!(request.header("content-type"), Some("application/json"));
}

#[test]
fn an_event_can_be_the_whole_record() {
    let destination = Destination::script(ORIGIN, []);
    let fields = r#""event": "json", "host_attribute": null, "source_attribute": "n""#;
    let bodies = send(&destination, fields, &rich());
    let lines = rich().json_lines();
    let objects: Vec<_> = lines.lines().map(String::from_utf8_lossy).collect();
    let expected = [
        format!(
            r#"{{"time":1700000000.000000000,"source":"7","event":{}}}"#,
            objects[0]
        ),
        format!(r#"{{"time":1700000000.500000000,"event":{}}}"#, objects[1]),
        String::new(),
    ];
    assert_eq!(bodies, [expected.join("\n")]);
}

#[test]
fn a_record_without_a_message_is_sent_as_its_object() {
    let destination = Destination::script(ORIGIN, []);
    let batch = batch([
        record(" \n").attribute("n", 1),
        record("a").attribute("n", 2),
    ]);
    let bodies = send(&destination, "", &batch);
    let lines: Vec<_> = bodies[0].lines().collect();
    assert!(lines[0].contains(r#""event":{"epoch":1,"#), "{bodies:?}");
    assert!(
        lines[0].ends_with(r#""attributes":{"n":1}}}"#),
        "{bodies:?}"
    );
    assert!(
        lines[1].ends_with(r#""event":"a","fields":{"n":"2"}}"#),
        "{bodies:?}"
    );
}

#[test]
fn bodies_are_bounded_and_compressed() {
    let destination = Destination::script(ORIGIN, []);
    let lines = batch((0..100).map(|n| record(format!("{n:0>300}"))));
    let fields = r#""compression": "gzip", "max_body_kib": 4, "concurrency": 3"#;
    let bodies = send(&destination, fields, &lines);
    assert!(bodies.iter().all(|body| body.len() <= 4096));
    assert!((8..12).contains(&bodies.len()), "{}", bodies.len());
    assert_eq!(destination.most_at_once(), 3);
    assert_eq!(
        destination.requests()[0].header("content-encoding"),
        Some("gzip")
    );

    let destination = Destination::script(ORIGIN, []);
    assert_eq!(send(&destination, r#""max_records": 30"#, &lines).len(), 4);
}

#[test]
fn the_event_at_fault_is_refused_and_the_others_are_sent_again() {
    for code in [6, 12, 13, 15] {
        let destination = Destination::new(ORIGIN, move |request| {
            let bad = find(request, "<2>").or_else(|| find(request, "<5>"));
            bad.map_or(Reply::status(200), |place| wrong(code, Some(place)))
        });
        let mut sink = open::<Splunk>(&config("")).unwrap();
        let batch = batch((0..8).map(|n| record(format!("<{n}>"))));
        let refusals = sink.write(&batch).unwrap();
        assert_eq!(refusals.permanent_indices(), [2, 5]);
        assert_eq!(refusals.len(), 2);
        let reason = refusals.iter().next().unwrap().1.reason();
        assert_eq!(reason, format!("Splunk answered 400: Wrong (code {code})"));
        let counts = destination.requests();
        let counts: Vec<_> = counts.iter().map(|r| r.text().lines().count()).collect();
        // All, 0 to 1, 3 to 7, 3 to 4, 6 to 7.
        assert_eq!(counts, [8, 2, 5, 2, 2]);
    }
}

#[test]
fn a_wrong_config_is_no_fault_of_the_records() {
    for reply in [
        wrong(7, Some(1)),
        wrong(7, None),
        wrong(10, None),
        wrong(14, Some(0)),
    ] {
        let destination = Destination::new(ORIGIN, move |_| reply.clone());
        let mut sink = open::<Splunk>(&config(r#""index": "mian""#)).unwrap();
        let failure = sink.write(&rich()).unwrap_err();
        assert!(failure.is_retryable(), "{failure:?}");
        assert_eq!(destination.requests().len(), 1);
    }
}

#[test]
fn a_record_that_asks_for_a_wrong_index_is_refused() {
    let _destination = Destination::new(ORIGIN, |request| {
        let bad = find(request, r#""index":"secret""#);
        bad.map_or(Reply::status(200), |place| wrong(7, Some(place)))
    });
    let fields = r#""index": "main", "index_attribute": "index""#;
    let mut sink = open::<Splunk>(&config(fields)).unwrap();
    let own = |index: &str| record("a").attribute("index", index);
    let batch = batch([own("web"), own("secret"), record("b"), own("")]);
    let refusals = sink.write(&batch).unwrap();
    assert_eq!(refusals.permanent_indices(), [1]);
    assert_eq!(refusals.len(), 1);
}

#[test]
fn a_busy_collector_is_asked_again_later() {
    for (reply, after) in [
        (
            Reply::status(503)
                .header("retry-after", "2")
                .body(r#"{"text":"Server is busy","code":9}"#),
            Some(2000),
        ),
        (
            Reply::status(403).body(r#"{"text":"Invalid token","code":4}"#),
            None,
        ),
        (Reply::hang(), None),
        (Reply::close(), None),
    ] {
        let _destination = Destination::new(ORIGIN, move |_| reply.clone());
        let mut sink = open::<Splunk>(&config("")).unwrap();
        let failure = sink.write(&rich()).unwrap_err();
        let sluice_sink::Failure::Retryable(retry) = failure else {
            panic!("{failure:?}");
        };
        assert_eq!(retry.after_ms, after, "{}", retry.reason);
    }
}

/// The destination fails in every way, and takes no event with a 13 in it, which it
/// does not name when there is none of its codes.
#[test]
fn exactly_the_bad_records_are_rejected_and_all_others_arrive() {
    for (concurrency, code) in [(1, Some(6)), (4, None)] {
        let mut count = 0_usize;
        let destination = Destination::new(ORIGIN, move |request| {
            count += 1;
            match (count % 7, find(request, "<13>")) {
                (1, _) => Reply::status(500),
                (3, _) => Reply::hang(),
                (5, _) => Reply::status(429),
                (6, _) => Reply::close(),
                (_, None) => Reply::status(200),
                (_, Some(place)) => wrong(code.unwrap_or(99), code.map(|_| place)),
            }
        });
        let config = config(&format!(
            r#""max_records": 5, "concurrency": {concurrency}"#
        ));
        let mut sink = open::<Splunk>(&config).unwrap();
        let batch = batch((0..40).map(|n| record(format!("<{n}>"))));
        let delivered = deliver(&mut sink, &batch, 500);
        let rejected: Vec<_> = delivered.rejected.iter().map(|(index, _)| *index).collect();
        assert_eq!(rejected, [13]);
        assert!(delivered.waiting.is_empty());
        let got: String = destination
            .requests()
            .iter()
            .map(|request| request.text())
            .collect();
        let acknowledged: BTreeSet<_> = delivered.acknowledged.into_iter().collect();
        assert_eq!(acknowledged.len(), 39);
        assert!(
            acknowledged
                .iter()
                .all(|n| got.contains(&format!("\"<{n}>\"")))
        );
    }
}

#[test]
fn the_schema_agrees_with_the_sink() {
    let valid = [
        "",
        r#""event": "text", "host": "a", "source": "b", "sourcetype": "c", "index": "d""#,
        r#""event": "json", "host_attribute": null, "source_attribute": "b""#,
        r#""sourcetype_attribute": "c", "index_attribute": "d", "host_attribute": "a""#,
        r#""compression": "gzip", "headers": {"x-splunk-request-channel": "b"}"#,
        r#""max_body_kib": 1, "max_records": 1, "concurrency": 16, "timeout_ms": 300000"#,
    ];
    let invalid = [
        r#""event": "raw""#,
        r#""host": """#,
        r#""index": 1"#,
        r#""source": []"#,
        r#""sourcetype": """#,
        r#""host_attribute": 1"#,
        r#""headers": {"a": 1}"#,
        r#""compression": "zstd""#,
        r#""max_body_kib": 0"#,
        r#""max_records": 0"#,
        r#""concurrency": 17"#,
        r#""timeout_ms": 0"#,
        r#""token": "a""#,
    ];
    let all = |some: &[&str]| some.iter().map(|fields| config(fields)).collect::<Vec<_>>();
    let mut wrong = all(&invalid);
    wrong.extend(["{}", "[]", r#"{"url": 1}"#].map(str::to_owned));
    schema_agrees::<Splunk>(include_str!("../config.schema.json"), &all(&valid), &wrong);
}
