//! The sink against a destination in the same process.

use sluice_sink::testing::{Destination, Reply, batch, deliver, open, record, schema_agrees};
use sluice_sink::{Batch, Refusals};

use crate::Webhook;

const ORIGIN: &str = "https://logs.example.com";

/// A config with the URL and these fields.
fn config(fields: &str) -> String {
    let comma = if fields.is_empty() { "" } else { ", " };
    format!(r#"{{"url": "{ORIGIN}/in?token=secret"{comma}{fields}}}"#)
}

/// Records whose lines of text have 512 bytes, so that two fit in a KiB.
fn lines(count: usize) -> Batch {
    batch((0..count).map(|n| record(format!("{n:0>511}"))))
}

fn send(destination: &Destination, fields: &str, batch: &Batch) -> Vec<String> {
    let mut sink = open::<Webhook>(&config(fields)).unwrap();
    assert_eq!(sink.write(batch), Ok(Refusals::none()));
    let requests = destination.requests();
    requests.iter().map(|request| request.text()).collect()
}

#[test]
fn records_are_posted_as_ndjson_by_default() {
    let destination = Destination::script(ORIGIN, []);
    let batch = batch([record("a\nb"), record("c").attribute("n", 1)]);
    let expected = String::from_utf8(batch.json_lines().into_bytes()).unwrap();
    assert_eq!(send(&destination, "", &batch), [expected]);
    let request = destination.requests().remove(0);
    assert_eq!(request.method, "POST");
    assert_eq!(request.path, "/in?token=secret");
    assert_eq!(request.header("content-type"), Some("application/x-ndjson"));
    assert_eq!(request.header("content-encoding"), None);
}

#[test]
fn a_json_body_is_an_array_of_the_same_objects() {
    let destination = Destination::script(ORIGIN, []);
    let batch = batch([record("a"), record("b")]);
    let bodies = send(&destination, r#""body": "json", "method": "PUT""#, &batch);
    let ndjson = batch.json_lines();
    let objects: Vec<_> = ndjson.lines().map(String::from_utf8_lossy).collect();
    assert_eq!(bodies, [format!("[{}]", objects.join(","))]);
    let request = destination.requests().remove(0);
    assert_eq!(request.method, "PUT");
    assert_eq!(request.header("content-type"), Some("application/json"));
}

#[test]
fn a_text_body_has_a_line_per_record() {
    let destination = Destination::script(ORIGIN, []);
    let fields = r#""body": "text", "headers": {"Content-Type": "text/x", "x-tenant": "a"}"#;
    let bodies = send(&destination, fields, &batch([record("a\nb"), record("c")]));
    assert_eq!(bodies, ["a\\nb\nc\n"]);
    let request = destination.requests().remove(0);
    assert_eq!(request.header("x-tenant"), Some("a"));
    let types = request.headers.iter();
    let types: Vec<_> = types
        .filter(|(name, _)| name.eq_ignore_ascii_case("content-type"))
        .collect();
    assert_eq!(types.len(), 1);
    assert_eq!(types[0].1, "text/x");
}

#[test]
fn bodies_are_compressed_on_demand() {
    let destination = Destination::script(ORIGIN, []);
    let lines = lines(100);
    let expected = String::from_utf8(lines.text_lines().into_bytes()).unwrap();
    let fields = r#""body": "text", "compression": "gzip""#;
    assert_eq!(send(&destination, fields, &lines), [expected]);
    let request = destination.requests().remove(0);
    assert_eq!(request.header("content-encoding"), Some("gzip"));
    assert!(request.body.len() < 51_200 / 10, "{}", request.body.len());
}

#[test]
fn bodies_have_a_bounded_size_and_number_of_records() {
    let destination = Destination::script(ORIGIN, []);
    let fields = r#""body": "text", "max_body_kib": 1"#;
    let bodies = send(&destination, fields, &lines(5));
    let sizes: Vec<_> = bodies.iter().map(String::len).collect();
    assert_eq!(sizes, [1024, 1024, 512]);
    assert_eq!(destination.most_at_once(), 1);

    let destination = Destination::script(ORIGIN, []);
    let fields = r#""body": "json", "max_records": 2, "concurrency": 2"#;
    assert_eq!(send(&destination, fields, &lines(5)).len(), 3);
    assert_eq!(destination.most_at_once(), 2);
}

#[test]
fn a_body_that_failed_is_offered_again_without_the_others() {
    for failed in [
        Reply::status(500),
        Reply::hang(),
        Reply::close(),
        Reply::status(401),
    ] {
        let replies = [Reply::status(200), failed];
        let destination = Destination::script(ORIGIN, replies);
        let config = config(r#""body": "text", "max_body_kib": 1"#);
        let mut sink = open::<Webhook>(&config).unwrap();
        let refusals = sink.write(&lines(6)).unwrap();
        assert_eq!(refusals.retryable_indices(), [2, 3]);
        assert_eq!(refusals.len(), 2);
        assert_eq!(destination.requests().len(), 3);
    }
}

#[test]
fn a_destination_that_asks_to_wait_is_left_alone() {
    let busy = Reply::status(429)
        .header("retry-after", "3")
        .body("slow down");
    let destination = Destination::script(ORIGIN, [Reply::status(200), busy]);
    let config = config(r#""body": "text", "max_body_kib": 1"#);
    let mut sink = open::<Webhook>(&config).unwrap();
    let refusals = sink.write(&lines(6)).unwrap();
    assert_eq!(refusals.retryable_indices(), [2, 3, 4, 5]);
    assert_eq!(destination.requests().len(), 2, "nothing follows a 429");
    for (_, failure) in refusals.iter() {
        let sluice_sink::Failure::Retryable(retry) = failure else {
            panic!("{failure:?}");
        };
        assert_eq!(retry.after_ms, Some(3000));
        assert!(retry.reason.contains("slow down"), "{}", retry.reason);
        assert!(!retry.reason.contains("secret"), "{}", retry.reason);
    }
}

#[test]
fn nothing_taken_is_an_error_of_the_batch() {
    for (reply, is_retryable) in [
        (Reply::status(503), true),
        (Reply::hang(), true),
        (Reply::close(), true),
        (Reply::status(302).header("location", "https://b/"), true),
        (Reply::status(400).body("no"), false),
    ] {
        let destination = Destination::new(ORIGIN, move |_| reply.clone());
        let mut sink = open::<Webhook>(&config("")).unwrap();
        let failure = sink.write(&lines(2)).unwrap_err();
        assert_eq!(failure.is_retryable(), is_retryable, "{failure:?}");
        assert!(
            failure
                .reason()
                .starts_with("POST https://logs.example.com/in")
        );
        assert!(!failure.reason().contains("secret"), "{failure:?}");
        drop(destination);
    }
}

#[test]
fn a_missing_permission_is_named() {
    let mut sink = open::<Webhook>(&config("")).unwrap();
    let failure = sink.write(&lines(1)).unwrap_err();
    assert!(failure.is_retryable());
    for part in [ORIGIN, "permissions.http", "--allow-http"] {
        assert!(failure.reason().contains(part), "{failure:?}");
    }
}

#[test]
fn statuses_can_be_judged_otherwise() {
    for (status, is_retryable) in [(409, true), (404, false)] {
        let _destination = Destination::new(ORIGIN, move |_| Reply::status(status));
        let fields = r#""retry_statuses": [409], "refuse_statuses": [404]"#;
        let mut sink = open::<Webhook>(&config(fields)).unwrap();
        let failure = sink.write(&lines(2)).unwrap_err();
        assert_eq!(failure.is_retryable(), is_retryable, "{status}");
    }
}

/// The destination fails in every way, and refuses records with a 13 in them.
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
                _ if request.text().contains("13") => Reply::status(400).body("unlucky"),
                _ => Reply::status(204),
            }
        });
        let config = config(&format!(
            r#""body": "text", "max_records": 5, "concurrency": {concurrency}"#
        ));
        let mut sink = open::<Webhook>(&config).unwrap();
        let batch = batch((0..40).map(|n| record(format!("<{n}>"))));
        let delivered = deliver(&mut sink, &batch, 500);
        let rejected: Vec<_> = delivered.rejected.iter().map(|(index, _)| *index).collect();
        assert_eq!(rejected, [13]);
        assert!(delivered.rejected[0].1.contains("unlucky"));
        assert!(delivered.waiting.is_empty());
        assert_eq!(delivered.acknowledged.len(), 39);
        let got: String = destination
            .requests()
            .iter()
            .map(|request| request.text())
            .collect();
        for index in delivered.acknowledged {
            assert!(got.contains(&format!("<{index}>\n")), "{index}");
        }
    }
}

#[test]
fn the_schema_agrees_with_the_sink() {
    let valid = [
        "",
        r#""method": "PATCH", "body": "ndjson", "compression": "none""#,
        r#""body": "json", "compression": "gzip", "headers": {"x-a": "b"}"#,
        r#""max_body_kib": 1, "max_records": 1, "concurrency": 16, "timeout_ms": 300000"#,
        r#""retry_statuses": [409], "refuse_statuses": [500, 599, 300]"#,
    ];
    let invalid = [
        r#""method": "GET""#,
        r#""body": "xml""#,
        r#""compression": "zstd""#,
        r#""headers": {"a": 1}"#,
        r#""headers": []"#,
        r#""max_body_kib": 0"#,
        r#""max_body_kib": "1""#,
        r#""max_records": 0"#,
        r#""concurrency": 0"#,
        r#""concurrency": 17"#,
        r#""timeout_ms": 0"#,
        r#""timeout_ms": 300001"#,
        r#""timeout_ms": 1.5"#,
        r#""retry_statuses": [200]"#,
        r#""refuse_statuses": [600]"#,
        r#""retry_statuses": 409"#,
        r#""compresion": "gzip""#,
    ];
    let all = |some: &[&str]| some.iter().map(|fields| config(fields)).collect::<Vec<_>>();
    let mut wrong = all(&invalid);
    wrong.extend(["{}", "[]", r#"{"url": 1}"#].map(str::to_owned));
    schema_agrees::<Webhook>(include_str!("../config.schema.json"), &all(&valid), &wrong);
}

#[test]
fn what_the_schema_cannot_say_is_refused_by_name() {
    for (fields, named) in [
        (r#""headers": {"host": "a"}"#, "config.headers.host: "),
        (r#""headers": {"a": "b\nc"}"#, "config.headers.a: "),
        (
            r#""retry_statuses": [409], "refuse_statuses": [409]"#,
            "config.refuse_statuses: 409",
        ),
    ] {
        let failure = open::<Webhook>(&config(fields)).err().unwrap();
        assert!(failure.reason().starts_with(named), "{failure:?}");
    }
    let failure = open::<Webhook>(r#"{"url": "http://u:p@a/"}"#)
        .err()
        .unwrap();
    assert!(failure.reason().starts_with("config.url: "), "{failure:?}");
}
