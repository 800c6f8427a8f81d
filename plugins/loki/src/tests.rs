//! The sink against a destination in the same process.

use std::collections::BTreeSet;

use sluice_sink::testing::{
    Destination, Record, Reply, batch, deliver, open, record, schema_agrees,
};
use sluice_sink::{Batch, Refusals, Severity, Value};

use crate::Loki;

const ORIGIN: &str = "https://loki.example.com";
/// The time of `record`, by the second.
const SECOND: u64 = 1_700_000_000_000_000_000;

/// A config with the URL and these fields.
fn config(fields: &str) -> String {
    let comma = if fields.is_empty() { "" } else { ", " };
    format!(r#"{{"url": "{ORIGIN}/base"{comma}{fields}}}"#)
}

fn send(destination: &Destination, fields: &str, batch: &Batch) -> Vec<String> {
    let mut sink = open::<Loki>(&config(fields)).unwrap();
    assert_eq!(sink.write(batch), Ok(Refusals::none()));
    let requests = destination.requests();
    requests.iter().map(|request| request.text()).collect()
}

fn nested(text: &str) -> Value {
    Value::Json(text.to_owned())
}

fn rich() -> Batch {
    batch([
        record("one\n\"two\"")
            .key("k-1")
            .severity(Severity::Warn)
            .attribute("resource.service.name", "shop")
            .attribute("n", 7),
        record("plain").attribute("resource.service.name", "till"),
        record("again").attribute("resource.service.name", "shop"),
    ])
}

#[test]
fn attributes_become_metadata_by_default() {
    let destination = Destination::script(ORIGIN, [Reply::status(204)]);
    let bodies = send(&destination, "", &rich());
    let expected = concat!(
        r#"{"streams":[{"stream":{"job":"sluice"},"values":["#,
        r#"["1700000000000000001","one\n\"two\"","#,
        r#"{"resource_service_name":"shop","n":"7","severity":"warn","id":"k-1"}],"#,
        r#"["1700000000000000002","plain",{"resource_service_name":"till"}],"#,
        r#"["1700000000000000003","again",{"resource_service_name":"shop"}]]}]}"#,
    );
    assert_eq!(bodies, [expected]);
    let request = destination.requests().remove(0);
    assert_eq!(request.method, "POST");
    assert_eq!(request.path, "/base/loki/api/v1/push");
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("x-scope-orgid"), None);
}

#[test]
fn labels_part_the_streams() {
    let destination = Destination::script(ORIGIN, []);
    let fields = r#""labels": {"job": "a", "zone": "b"}, "severity_label": "level",
        "label_attributes": {"service": "resource.service.name"},
        "tenant": "t", "unique_times": false"#;
    let bodies = send(&destination, fields, &rich());
    let time = SECOND;
    let expected = [
        r#"{"streams":[{"stream":{"job":"a","zone":"b","service":"shop","level":"warn"},"values":[["#,
        &format!(r#""{time}","one\n\"two\"",{{"n":"7","id":"k-1"}}]]}},"#),
        r#"{"stream":{"job":"a","zone":"b","service":"till"},"values":[["#,
        &format!(r#""{time}","plain"]]}},"#),
        r#"{"stream":{"job":"a","zone":"b","service":"shop"},"values":[["#,
        &format!(r#""{time}","again"]]}}]}}"#),
    ];
    assert_eq!(bodies, [expected.concat()]);
    let request = destination.requests().remove(0);
    assert_eq!(request.header("x-scope-orgid"), Some("t"));
}

#[test]
fn the_line_can_be_the_whole_record_or_the_message_only() {
    let record = || record("a").attribute("n", 1).attribute("app", "b");
    let batch = batch([record(), record()]);
    let destination = Destination::script(ORIGIN, []);
    let fields = r#""attributes": "line", "label_attributes": {"app": "app"}"#;
    let bodies = send(&destination, fields, &batch);
    let lines = batch.json_lines();
    for line in lines.lines() {
        let line = std::str::from_utf8(line).unwrap().replace('"', "\\\"");
        assert!(bodies[0].contains(&format!("\"{line}\"]")), "{bodies:?}");
    }
    assert!(bodies[0].contains(r#""stream":{"job":"sluice","app":"b"}"#));

    let destination = Destination::script(ORIGIN, []);
    let bodies = send(&destination, r#""attributes": "drop""#, &batch);
    assert!(
        bodies[0].contains(r#"["1700000000000000001","a"],"#),
        "{bodies:?}"
    );
}

#[test]
fn names_of_metadata_can_be_queried_and_differ() {
    let destination = Destination::script(ORIGIN, []);
    let record = record("a")
        .attribute("a.b", nested("[1]"))
        .attribute("a_b", 1.5)
        .attribute("9", true)
        .attribute("", "e")
        .attribute("severity", "own")
        .severity(Severity::Info);
    let bodies = send(&destination, "", &batch([record]));
    let expected = r#"{"a_b_":"[1]","a_b":"1.5","_9":"true","_":"e","severity":"own"}"#;
    assert!(bodies[0].contains(expected), "{bodies:?}");
}

#[test]
fn what_cannot_be_a_label_stays_an_attribute() {
    let destination = Destination::script(ORIGIN, []);
    let long = "x".repeat(2049);
    let records = [
        record("a").attribute("app", long.as_str()),
        record("b").attribute("app", ""),
    ];
    let fields = r#""label_attributes": {"app": "app"}"#;
    let bodies = send(&destination, fields, &batch(records));
    assert!(bodies[0].starts_with(r#"{"streams":[{"stream":{"job":"sluice"},"values":["#));
    assert!(bodies[0].contains(&format!(r#""a",{{"app":"{long}"}}]"#)));
    assert!(bodies[0].contains(r#""b",{"app":""}]"#), "{bodies:?}");
}

#[test]
fn bodies_are_bounded_and_compressed() {
    let destination = Destination::script(ORIGIN, []);
    let lines = batch((0..100).map(|n| record(format!("{n:0>300}"))));
    let fields = r#""compression": "gzip", "max_body_kib": 4, "concurrency": 3"#;
    let bodies = send(&destination, fields, &lines);
    assert!(bodies.iter().all(|body| body.len() <= 4096));
    assert!(bodies.iter().all(|body| body.ends_with("]}]}")));
    assert!((8..12).contains(&bodies.len()), "{}", bodies.len());
    assert_eq!(destination.most_at_once(), 3);
    assert_eq!(
        destination.requests()[0].header("content-encoding"),
        Some("gzip")
    );
    let all = bodies.concat();
    assert!((0..100).all(|n| all.contains(&format!("{n:0>300}"))));

    let destination = Destination::script(ORIGIN, []);
    assert_eq!(send(&destination, r#""max_records": 30"#, &lines).len(), 4);
}

fn too_old(text: &str) -> Reply {
    Reply::status(400).body(text)
}

/// One in three is older than the others.
fn aged() -> Vec<Record> {
    let times = (0..9).map(|n| {
        (
            n,
            if n % 3 == 0 {
                SECOND - 5_000_000_000
            } else {
                SECOND
            },
        )
    });
    let app = |n| if n < 5 { "a" } else { "b" };
    times
        .map(|(n, time)| {
            record(format!("<{n}>"))
                .timestamp(time)
                .attribute("app", app(n))
        })
        .collect()
}

#[test]
fn records_that_are_too_old_are_refused_and_the_rest_is_sent() {
    let said = "entry for stream '{job=\"sluice\"}' has timestamp too old: \
                2023-11-14T22:13:15Z, oldest acceptable timestamp is: 2023-11-14T22:13:18Z";
    let destination = Destination::script(ORIGIN, [too_old(said)]);
    let fields = r#""label_attributes": {"app": "app"}"#;
    let mut sink = open::<Loki>(&config(fields)).unwrap();
    let refusals = sink.write(&batch(aged())).unwrap();
    assert_eq!(refusals.permanent_indices(), [0, 3, 6]);
    assert!(refusals.retryable_indices().is_empty());
    let reason = refusals.iter().next().unwrap().1.reason();
    assert_eq!(
        reason,
        "too old: Loki takes nothing before 2023-11-14T22:13:18Z"
    );
    let requests = destination.requests();
    assert_eq!(requests.len(), 2);
    assert!(!requests[1].text().contains("<3>") && requests[1].text().contains("<8>"));
}

#[test]
fn the_limit_of_a_stream_is_not_that_of_another() {
    let said = "entry with timestamp 2023-11-14 22:13:15 +0000 UTC ignored, reason: 'entry too \
                far behind, entry timestamp is: 2023-11-14T22:13:15Z, oldest acceptable \
                timestamp is: 2023-11-14T22:13:18Z',\nuser 'fake', total ignored: 2 out of 5 \
                for stream: {app=\"a\", job=\"sluice\"}\n";
    let destination = Destination::new(ORIGIN, move |request| {
        let text = request.text();
        let has_old = text.contains("<0>") || text.contains("<3>");
        if has_old {
            too_old(said)
        } else {
            Reply::status(204)
        }
    });
    let fields = r#""label_attributes": {"app": "app"}"#;
    let mut sink = open::<Loki>(&config(fields)).unwrap();
    let refusals = sink.write(&batch(aged())).unwrap();
    assert_eq!(refusals.permanent_indices(), [0, 3]);
    assert_eq!(refusals.len(), 2);
    assert_eq!(destination.requests().len(), 4);
}

#[test]
fn a_batch_that_is_too_old_as_a_whole_takes_one_request() {
    let said = "entry for stream '{}' has timestamp too old: 2023-11-14T22:13:15Z, oldest \
                acceptable timestamp is: 2024-11-14T22:13:18Z";
    let destination = Destination::new(ORIGIN, move |_| too_old(said));
    let mut sink = open::<Loki>(&config("")).unwrap();
    let refusals = sink.write(&batch(aged())).unwrap();
    assert_eq!(refusals.permanent_indices().len(), 9);
    assert_eq!(destination.requests().len(), 1);
}

#[test]
fn a_busy_loki_is_asked_again_later() {
    for (reply, after) in [
        (
            Reply::status(429)
                .header("retry-after", "2")
                .body("Ingestion rate limit exceeded"),
            Some(2000),
        ),
        (Reply::status(500), None),
        (Reply::status(401).body("no org id"), None),
        (Reply::hang(), None),
        (Reply::close(), None),
    ] {
        let _destination = Destination::new(ORIGIN, move |_| reply.clone());
        let mut sink = open::<Loki>(&config("")).unwrap();
        let failure = sink.write(&rich()).unwrap_err();
        let sluice_sink::Failure::Retryable(retry) = failure else {
            panic!("{failure:?}");
        };
        assert_eq!(retry.after_ms, after, "{}", retry.reason);
    }
}

/// The destination fails in every way, and takes no line with a 13 in it.
#[test]
fn exactly_the_bad_records_are_rejected_and_all_others_arrive() {
    for concurrency in [1, 4] {
        let mut count = 0_usize;
        let destination = Destination::new(ORIGIN, move |request| {
            count += 1;
            match count % 7 {
                1 => Reply::status(500),
                3 => Reply::hang(),
                5 => Reply::status(429),
                6 => Reply::close(),
                _ if request.text().contains("<13>") => {
                    Reply::status(400).body("max entry size '1' bytes exceeded")
                }
                _ => Reply::status(204),
            }
        });
        let config = config(&format!(
            r#""max_records": 5, "concurrency": {concurrency}"#
        ));
        let mut sink = open::<Loki>(&config).unwrap();
        let batch = batch((0..40).map(|n| record(format!("<{n}>"))));
        let delivered = deliver(&mut sink, &batch, 500);
        let rejected: Vec<_> = delivered.rejected.iter().map(|(index, _)| *index).collect();
        assert_eq!(rejected, [13]);
        assert!(delivered.rejected[0].1.contains("max entry size"));
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
        r#""labels": {"job": "a"}, "label_attributes": {"b": "c.d"}, "severity_label": "level""#,
        r#""attributes": "metadata", "unique_times": false, "tenant": "a""#,
        r#""attributes": "line", "compression": "gzip", "headers": {"x-a": "b"}"#,
        r#""attributes": "drop", "compression": "none""#,
        r#""max_body_kib": 1, "max_records": 1, "concurrency": 16, "timeout_ms": 300000"#,
    ];
    let invalid = [
        r#""labels": {"job": 1}"#,
        r#""labels": {"job": ""}"#,
        r#""labels": []"#,
        r#""label_attributes": {"a": 1}"#,
        r#""severity_label": 1"#,
        r#""attributes": "label""#,
        r#""unique_times": 1"#,
        r#""tenant": 1"#,
        r#""headers": {"a": 1}"#,
        r#""compression": "snappy""#,
        r#""max_body_kib": 0"#,
        r#""max_records": 0"#,
        r#""concurrency": 17"#,
        r#""timeout_ms": 0"#,
        r#""lables": {}"#,
    ];
    let all = |some: &[&str]| some.iter().map(|fields| config(fields)).collect::<Vec<_>>();
    let mut wrong = all(&invalid);
    wrong.extend(["{}", "[]", r#"{"url": 1}"#].map(str::to_owned));
    schema_agrees::<Loki>(include_str!("../config.schema.json"), &all(&valid), &wrong);
}

#[test]
fn what_the_schema_cannot_say_is_refused_by_name() {
    let many: Vec<_> = (0..16).map(|n| format!(r#""a{n}": "b""#)).collect();
    let many = format!(r#""label_attributes": {{{}}}"#, many.join(","));
    for (fields, named) in [
        (r#""labels": {}"#, "config.labels: "),
        (r#""labels": {"a-b": "c"}"#, "config.labels: "),
        (r#""labels": {"__a": "c"}"#, "config.labels: "),
        (
            r#""label_attributes": {"9": "c"}"#,
            "config.label_attributes: ",
        ),
        (
            r#""label_attributes": {"job": "c"}"#,
            "config.label_attributes: ",
        ),
        (r#""severity_label": "job""#, "config.severity_label: "),
        (r#""severity_label": """#, "config.severity_label: "),
        (r#""tenant": "a\nb""#, "config.tenant: "),
        (&many, "config.label_attributes: expected at most 15"),
    ] {
        let failure = open::<Loki>(&config(fields)).err().unwrap();
        assert!(failure.reason().starts_with(named), "{failure:?}");
    }
}
