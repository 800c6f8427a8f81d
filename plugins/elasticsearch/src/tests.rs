//! The sink against a destination in the same process.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use sluice_sink::testing::{
    Destination, Received, Reply, batch, deliver, open, record, schema_agrees,
};
use sluice_sink::{Batch, Refusals, Severity, Value};

use crate::Elasticsearch;

const ORIGIN: &str = "https://es.example.com";

/// A config with the URL and these fields.
fn config(fields: &str) -> String {
    let comma = if fields.is_empty() { "" } else { ", " };
    format!(r#"{{"url": "{ORIGIN}/base"{comma}{fields}}}"#)
}

/// An answer with an item per record.
fn items(items: &[&str]) -> Reply {
    let items: Vec<_> = items
        .iter()
        .map(|item| format!(r#"{{"create":{item}}}"#))
        .collect();
    Reply::status(200).body(format!(
        r#"{{"errors":true,"items":[{}]}}"#,
        items.join(",")
    ))
}

/// All documents are created.
fn created(request: &Received) -> Reply {
    let count = request.text().lines().count() / 2;
    items(&vec![r#"{"status":201}"#; count])
}

fn send(destination: &Destination, fields: &str, batch: &Batch) -> Vec<String> {
    let mut sink = open::<Elasticsearch>(&config(fields)).unwrap();
    assert_eq!(sink.write(batch), Ok(Refusals::none()));
    let requests = destination.requests();
    requests.iter().map(|request| request.text()).collect()
}

fn two() -> Batch {
    batch([
        record("a\n\"b\"")
            .id(2, 0x1a)
            .key("k")
            .severity(Severity::Error)
            .attribute("n", 7)
            .attribute("x", Value::Json(r#"{"y":[1]}"#.to_owned())),
        record("c").id(2, 0x1b),
    ])
}

#[test]
fn documents_are_created_under_ids_that_stay() {
    let destination = Destination::new(ORIGIN, created);
    let bodies = send(&destination, "", &two());
    let expected = concat!(
        r#"{"create":{"_index":"sluice-2023.11.14","_id":"2-1a-17979cfe53f76500"}}"#,
        "\n",
        r#"{"@timestamp":"2023-11-14T22:13:20Z","observed":"2023-11-14T22:13:20.5Z","#,
        r#""severity":"error","id":"k","message":"a\n\"b\"","#,
        r#""attributes":{"n":7,"x":{"y":[1]}}}"#,
        "\n",
        r#"{"create":{"_index":"sluice-2023.11.14","_id":"2-1b-17979cfe53f76500"}}"#,
        "\n",
        r#"{"@timestamp":"2023-11-14T22:13:20Z","observed":"2023-11-14T22:13:20.5Z","message":"c"}"#,
        "\n",
    );
    assert_eq!(bodies, [expected]);
    let request = destination.requests().remove(0);
    assert_eq!(request.method, "POST");
    assert!(
        request.path.starts_with("/base/_bulk?filter_path=errors,"),
        "{}",
        request.path
    );
    assert_eq!(request.header("content-type"), Some("application/x-ndjson"));
}

#[test]
fn producers_can_name_documents() {
    let destination = Destination::new(ORIGIN, created);
    let long = batch([record("a").key("x".repeat(513))]);
    let fields = r#""id": "key", "index": "logs", "pipeline": "p-1""#;
    let bodies = send(&destination, fields, &two());
    let lines: Vec<_> = bodies[0].lines().collect();
    assert_eq!(lines[0], r#"{"create":{"_index":"logs","_id":"k"}}"#);
    assert!(lines[2].contains(r#""_id":"2-1b-"#));
    assert!(destination.requests()[0].path.ends_with("&pipeline=p-1"));
    let bodies = send(&destination, fields, &long);
    assert!(bodies[1].contains(r#""_id":"1-1-"#), "{bodies:?}");
}

#[test]
fn attributes_can_be_beside_the_other_fields() {
    let destination = Destination::new(ORIGIN, created);
    let record = record("a")
        .attribute("message", "own")
        .attribute("message_", 1)
        .attribute("b.c", true);
    let bodies = send(&destination, r#""attributes": "root""#, &batch([record]));
    let expected = r#""message":"a","message__":"own","message_":1,"b.c":true}"#;
    assert!(bodies[0].trim_end().ends_with(expected), "{bodies:?}");
}

#[test]
fn bodies_are_bounded_and_compressed() {
    let destination = Destination::new(ORIGIN, created);
    let lines = batch((0..100).map(|n| record(format!("{n:0>300}"))));
    let fields = r#""compression": "gzip", "max_body_kib": 4, "concurrency": 3"#;
    let bodies = send(&destination, fields, &lines);
    assert!(bodies.iter().all(|body| body.len() <= 4096));
    assert!(bodies.len() > 10, "{}", bodies.len());
    assert_eq!(destination.most_at_once(), 3);
    assert_eq!(
        destination.requests()[0].header("content-encoding"),
        Some("gzip")
    );

    let destination = Destination::new(ORIGIN, created);
    assert_eq!(send(&destination, r#""max_records": 30"#, &lines).len(), 4);
}

#[test]
fn each_record_has_its_own_outcome() {
    let refused = r#"{"status":400,"error":{"type":"document_parsing_exception","reason":"[1:2] failed to parse field [n]","caused_by":{"reason":"For input string"}}}"#;
    let reply = items(&[
        r#"{"status":201}"#,
        r#"{"status":409,"error":{"type":"version_conflict_engine_exception"}}"#,
        refused,
        r#"{"status":429,"error":{"type":"es_rejected_execution_exception","reason":"full"}}"#,
        r#"{"status":503,"error":{"type":"unavailable_shards_exception"}}"#,
        r#"{"status":403,"error":{"type":"cluster_block_exception"}}"#,
        r#"{"status":400,"error":{"type":"validation_exception","reason":"too many shards"}}"#,
        r#"{"status":400,"error":{"type":"index_closed_exception"}}"#,
    ]);
    let _destination = Destination::script(ORIGIN, [reply]);
    let mut sink = open::<Elasticsearch>(&config("")).unwrap();
    // The last one has no item.
    let refusals = sink
        .write(&batch((0..9).map(|n| record(format!("{n}")))))
        .unwrap();
    assert_eq!(refusals.permanent_indices(), [2]);
    assert_eq!(refusals.retryable_indices(), [3, 4, 5, 6, 7, 8]);
    let reason = refusals.iter().next().unwrap().1.reason();
    assert_eq!(
        reason,
        "Elasticsearch answered 400: document_parsing_exception: [1:2] failed to parse field [n]: \
         For input string"
    );
}

#[test]
fn an_answer_that_is_too_long_is_asked_for_in_parts() {
    let destination = Destination::new(ORIGIN, |request| {
        let count = request.text().lines().count() / 2;
        let long = format!(
            r#"{{"status":400,"error":{{"reason":"{}"}}}}"#,
            "x".repeat(1 << 20)
        );
        items(&vec![long.as_str(); count])
    });
    let mut sink = open::<Elasticsearch>(&config("")).unwrap();
    let refusals = sink
        .write(&batch((0..8).map(|n| record(format!("{n}")))))
        .unwrap();
    assert_eq!(refusals.permanent_indices().len(), 8);
    let counts: Vec<_> = destination
        .requests()
        .iter()
        .map(|r| r.text().lines().count() / 2)
        .collect();
    assert_eq!(counts, [8, 4, 4, 2, 2, 2, 2]);
}

#[test]
fn a_busy_cluster_is_asked_again_later() {
    for (reply, after) in [
        (Reply::status(429).header("retry-after", "2"), Some(2000)),
        (Reply::status(503), None),
        (
            Reply::status(401).body("missing authentication credentials"),
            None,
        ),
        (Reply::status(200).body("<html>"), None),
        (Reply::hang(), None),
        (Reply::close(), None),
    ] {
        let _destination = Destination::new(ORIGIN, move |_| reply.clone());
        let mut sink = open::<Elasticsearch>(&config("")).unwrap();
        let failure = sink.write(&two()).unwrap_err();
        let sluice_sink::Failure::Retryable(retry) = failure else {
            panic!("{failure:?}");
        };
        assert_eq!(retry.after_ms, after, "{}", retry.reason);
    }
}

/// The destination fails in every way, also after it has stored, and takes no record
/// with a 13 in it.
#[test]
fn exactly_the_bad_records_are_rejected_and_each_other_arrives_once() {
    for concurrency in [1, 4] {
        let stored: Rc<RefCell<BTreeMap<String, usize>>> = Rc::default();
        let store = Rc::clone(&stored);
        let mut count = 0_usize;
        let _destination = Destination::new(ORIGIN, move |request| {
            count += 1;
            let text = request.text();
            let lines: Vec<_> = text.lines().collect();
            let store_one = |action: &str, document: &str| {
                if document.contains("<13>") {
                    return r#"{"status":400,"error":{"type":"unlucky"}}"#;
                }
                let number = store
                    .borrow_mut()
                    .entry(action.to_owned())
                    .or_default()
                    .to_owned();
                store.borrow_mut().insert(action.to_owned(), number + 1);
                if number == 0 {
                    r#"{"status":201}"#
                } else {
                    r#"{"status":409}"#
                }
            };
            let all = || -> Vec<&str> {
                lines
                    .chunks(2)
                    .map(|pair| store_one(pair[0], pair[1]))
                    .collect()
            };
            match count % 6 {
                1 => Reply::status(500),
                2 => {
                    all();
                    Reply::hang()
                }
                4 => Reply::status(429),
                5 => Reply::close(),
                _ => items(&all()),
            }
        });
        let config = config(&format!(
            r#""max_records": 5, "concurrency": {concurrency}"#
        ));
        let mut sink = open::<Elasticsearch>(&config).unwrap();
        let batch = batch((0..40).map(|n| record(format!("<{n}>"))));
        let delivered = deliver(&mut sink, &batch, 500);
        let rejected: Vec<_> = delivered.rejected.iter().map(|(index, _)| *index).collect();
        assert_eq!(rejected, [13]);
        assert!(delivered.rejected[0].1.contains("unlucky"));
        assert!(delivered.waiting.is_empty());
        assert_eq!(delivered.acknowledged.len(), 39);
        let stored = stored.borrow();
        assert_eq!(stored.len(), 39, "under as many ids");
        assert!(stored.values().any(|times| *times > 1), "some came again");
    }
}

#[test]
fn the_schema_agrees_with_the_sink() {
    let valid = [
        "",
        r#""index": "logs-%Y.%m", "id": "key", "attributes": "root", "pipeline": "p""#,
        r#""index": ".a", "id": "record", "attributes": "nested""#,
        r#""compression": "gzip", "headers": {"x-a": "b"}"#,
        r#""max_body_kib": 1, "max_records": 1, "concurrency": 16, "timeout_ms": 300000"#,
    ];
    let invalid = [
        r#""index": 1"#,
        r#""index": """#,
        r#""id": "none""#,
        r#""attributes": "flat""#,
        r#""pipeline": """#,
        r#""pipeline": 1"#,
        r#""headers": {"a": 1}"#,
        r#""compression": "zstd""#,
        r#""max_body_kib": 0"#,
        r#""max_records": 0"#,
        r#""concurrency": 17"#,
        r#""timeout_ms": 0"#,
        r#""indx": "a""#,
    ];
    let all = |some: &[&str]| some.iter().map(|fields| config(fields)).collect::<Vec<_>>();
    let mut wrong = all(&invalid);
    wrong.extend(["{}", "[]", r#"{"url": 1}"#].map(str::to_owned));
    schema_agrees::<Elasticsearch>(include_str!("../config.schema.json"), &all(&valid), &wrong);
}

#[test]
fn what_the_schema_cannot_say_is_refused_by_name() {
    for (fields, named) in [
        (
            r#""index": "Logs""#,
            "config.index: no name of an index holds 'L'",
        ),
        (r#""index": "a-%x""#, "config.index: expected one of Y"),
        (r#""pipeline": "a&b""#, "config.pipeline: "),
        (r#""headers": {"host": "a"}"#, "config.headers.host: "),
    ] {
        let failure = open::<Elasticsearch>(&config(fields)).err().unwrap();
        assert!(failure.reason().starts_with(named), "{failure:?}");
    }
}
