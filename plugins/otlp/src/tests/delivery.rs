//! What becomes of the records.

use sluice_sink::testing::{Destination, Reply, batch, deliver, open, record, schema_agrees};
use sluice_sink::{Batch, Failure, Refusals};

use super::{ORIGIN, bodies, config, partial};
use crate::Otlp;

/// Records whose bodies are their numbers.
fn numbered(count: usize) -> Batch {
    batch((0..count).map(|n| record(n.to_string())))
}

#[test]
fn the_url_names_the_path_or_gets_the_usual_one() {
    for (url, path) in [
        ("https://collector.example.com", "/v1/logs"),
        ("https://collector.example.com/", "/v1/logs"),
        ("https://collector.example.com/otlp?a=b", "/otlp?a=b"),
    ] {
        let destination = Destination::script(ORIGIN, []);
        let config = format!(r#"{{"url": "{url}", "headers": {{"x-tenant": "a"}}}}"#);
        let mut sink = open::<Otlp>(&config).unwrap();
        assert_eq!(sink.write(&numbered(1)), Ok(Refusals::none()));
        let request = destination.requests().remove(0);
        assert_eq!(request.path, path);
        assert_eq!(request.method, "POST");
        assert_eq!(request.header("x-tenant"), Some("a"));
    }
}

/// A collector that refuses the records whose bodies end with 3, and keeps the rest.
fn picky(names_them: bool) -> Destination {
    Destination::new(ORIGIN, move |request| {
        let all = bodies(request);
        let is_bad = |(_, body): &(usize, &String)| body.ends_with('3');
        let bad: Vec<_> = all.iter().enumerate().filter(is_bad).collect();
        let reason = |(place, _): &(usize, &String)| format!("record {place}: no {place}");
        let named: Vec<_> = bad.iter().map(reason).collect();
        let message = match (names_them, bad.len()) {
            (_, 0) => return partial(0, ""),
            (false, _) => "some are bad".to_owned(),
            (true, count) => format!(
                "{count} of {} records refused: {}",
                all.len(),
                named.join("; ")
            ),
        };
        partial(i64::try_from(bad.len()).unwrap(), &message)
    })
}

#[test]
fn exactly_the_refused_records_are_refused() {
    for names_them in [true, false] {
        let destination = picky(names_them);
        let mut sink = open::<Otlp>(&config(r#""max_records": 40, "concurrency": 3"#)).unwrap();
        let refusals = sink.write(&numbered(100)).unwrap();
        let expected: Vec<_> = (0..10).map(|n| n * 10 + 3).collect();
        assert_eq!(refusals.permanent_indices(), expected);
        assert!(refusals.retryable_indices().is_empty());
        let count = destination.requests().len();
        assert_eq!(count == 3, names_them, "{count} requests");
        for (index, failure) in refusals.iter() {
            let said = match names_them {
                true => format!("no {}", index % 40),
                false => "some are bad".to_owned(),
            };
            assert!(failure.reason().ends_with(&said), "{failure:?}");
        }
    }
}

#[test]
fn all_of_a_request_can_be_refused() {
    let destination = Destination::script(ORIGIN, [partial(3, "never")]);
    let mut sink = open::<Otlp>(&config("")).unwrap();
    let refusals = sink.write(&numbered(3)).unwrap();
    assert_eq!(refusals.permanent_indices(), [0, 1, 2]);
    assert_eq!(destination.requests().len(), 1);
}

#[test]
fn a_partial_success_can_be_accepted() {
    let destination = picky(false);
    let mut sink = open::<Otlp>(&config(r#""partial_success": "accept""#)).unwrap();
    assert_eq!(sink.write(&numbered(100)), Ok(Refusals::none()));
    assert_eq!(destination.requests().len(), 1);
    // What is told anyway is used.
    let _named = picky(true);
    drop(destination);
    let refusals = sink.write(&numbered(5)).unwrap();
    assert_eq!(refusals.permanent_indices(), [3]);
}

#[test]
fn a_search_that_breaks_off_keeps_what_is_known() {
    let mut asked = 0;
    let destination = Destination::new(ORIGIN, move |request| {
        asked += 1;
        let has_bad = bodies(request).iter().any(|body| body == "3");
        match asked {
            1..=3 => partial(has_bad.into(), "?"),
            _ => Reply::status(503).header("retry-after", "2"),
        }
    });
    let mut sink = open::<Otlp>(&config("")).unwrap();
    // All, then both halves, of which the second is taken, then a quarter.
    let refusals = sink.write(&numbered(8)).unwrap();
    assert_eq!(refusals.retryable_indices(), [0, 1, 2, 3]);
    assert_eq!(refusals.len(), 4);
    assert_eq!(destination.requests().len(), 4);
    for (_, failure) in refusals.iter() {
        let Failure::Retryable(retry) = failure else {
            panic!("{failure:?}");
        };
        assert_eq!(retry.after_ms, Some(2000));
    }
}

#[test]
fn an_answer_that_is_none_of_otlp_acknowledges_nothing() {
    for reply in [
        Reply::status(200)
            .header("content-type", "text/html")
            .body("<html>"),
        Reply::status(200).body("ok"),
        Reply::status(200)
            .header("content-type", "application/json")
            .body("ok"),
        Reply::status(200)
            .header("content-type", "application/x-protobuf")
            .body("ok"),
        partial(-1, ""),
    ] {
        let _destination = Destination::script(ORIGIN, [reply]);
        let mut sink = open::<Otlp>(&config("")).unwrap();
        let failure = sink.write(&numbered(2)).unwrap_err();
        assert!(failure.is_retryable(), "{failure:?}");
        assert!(failure.reason().contains("is the URL right"), "{failure:?}");
    }
    let json = Reply::status(200).header("content-type", "application/json; charset=utf-8");
    let json = json.body(r#"{"partialSuccess": {}}"#);
    for reply in [json, Reply::status(204), partial(0, "a warning")] {
        let _destination = Destination::script(ORIGIN, [reply]);
        let mut sink = open::<Otlp>(&config("")).unwrap();
        assert_eq!(sink.write(&numbered(2)), Ok(Refusals::none()));
    }
}

#[test]
fn statuses_decide_what_comes_again() {
    for (status, is_retryable) in [
        (429, true),
        (503, true),
        (500, true),
        (401, true),
        (400, false),
        (413, false),
        (501, false),
    ] {
        let _destination = Destination::new(ORIGIN, move |_| Reply::status(status));
        let mut sink = open::<Otlp>(&config(r#""refuse_statuses": [501]"#)).unwrap();
        let failure = sink.write(&numbered(2)).unwrap_err();
        assert_eq!(failure.is_retryable(), is_retryable, "{status}");
    }
}

#[test]
fn a_destination_with_many_faults_gets_all_but_the_bad_records() {
    for concurrency in [1, 4] {
        let mut asked = 0_u32;
        let destination = Destination::new(ORIGIN, move |request| {
            asked += 1;
            let all = bodies(request);
            let bad = all.iter().filter(|body| *body == "13" || *body == "14");
            match asked % 7 {
                1 => Reply::status(500),
                3 => Reply::hang(),
                5 => Reply::status(429),
                6 => Reply::close(),
                _ if all.contains(&"21".to_owned()) => Reply::status(400).body("unlucky"),
                _ => partial(i64::try_from(bad.count()).unwrap(), "bad"),
            }
        });
        let fields = format!(r#""max_records": 5, "concurrency": {concurrency}"#);
        let mut sink = open::<Otlp>(&config(&fields)).unwrap();
        let delivered = deliver(&mut sink, &numbered(40), 1000);
        let rejected: Vec<_> = delivered.rejected.iter().map(|(index, _)| *index).collect();
        assert_eq!(rejected, [13, 14, 21]);
        assert!(delivered.waiting.is_empty());
        assert_eq!(delivered.acknowledged.len(), 37);
        let got: Vec<_> = destination.requests().iter().flat_map(bodies).collect();
        for index in delivered.acknowledged {
            assert!(got.contains(&index.to_string()), "{index}");
        }
    }
}

#[test]
fn the_schema_agrees_with_the_sink() {
    let valid = [
        "",
        r#""compression": "gzip", "headers": {"x-a": "b"}"#,
        r#""max_body_kib": 1, "max_records": 1, "concurrency": 16, "timeout_ms": 300000"#,
        r#""refuse_statuses": [500, 599, 300], "resource": ["a"]"#,
        r#""resource": [], "record_id": false, "partial_success": "accept""#,
    ];
    let invalid = [
        r#""compression": "zstd""#,
        r#""headers": {"a": 1}"#,
        r#""max_body_kib": 0"#,
        r#""max_records": 0"#,
        r#""concurrency": 17"#,
        r#""timeout_ms": 300001"#,
        r#""refuse_statuses": [200]"#,
        r#""resource": [""]"#,
        r#""resource": "a""#,
        r#""record_id": 1"#,
        r#""partial_success": "ignore""#,
        r#""protocol": "grpc""#,
    ];
    let all = |some: &[&str]| some.iter().map(|fields| config(fields)).collect::<Vec<_>>();
    let mut wrong = all(&invalid);
    wrong.extend(["{}", "[]", r#"{"url": 1}"#].map(str::to_owned));
    schema_agrees::<Otlp>(
        include_str!("../../config.schema.json"),
        &all(&valid),
        &wrong,
    );
}
