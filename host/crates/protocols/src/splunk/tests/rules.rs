//! What is accepted, and what is not.

use bytes::Bytes;

use super::{OBSERVED, attributes, bodies, events, lines, malformed, one, rejections, text};
use sluice_types::record::Value;

#[test]
fn white_space_arrays_and_a_byte_order_mark_may_be_around_events() {
    for body in [
        "{\"event\":\"a\"}{\"event\":\"b\"}",
        "\u{feff} {\"event\":\"a\"}\r\n\n\t{\"event\":\"b\"} ",
        "[{\"event\":\"a\"},{\"event\":\"b\"}]",
        "[{\"event\":\"a\"}]{\"event\":\"b\"}",
        "[{\"event\":\"a\"}][]\n[ {\"event\":\"b\"} , ]",
    ] {
        assert_eq!(bodies(&events(body).unwrap()), ["a", "b"], "{body}");
    }
}

#[test]
fn an_event_that_is_not_accepted_leaves_its_neighbours() {
    for (event, expected) in [
        (r#"{"time":1}"#, "Event field is required"),
        (r#"{"event":null}"#, "Event field is required"),
        (r#"{"event":""}"#, "Event field cannot be blank"),
        (r#"{"event":"x","fields":[]}"#, "fields is not an object"),
        (r#"{"event":"x","time":"noon"}"#, "the time \"noon\""),
        (r#"{"event":"x","time":-1}"#, "the time"),
        (r#"{"event":"x","time":{}}"#, "the time"),
        ("7", "not a JSON object"),
        ("\"text\"", "not a JSON object"),
    ] {
        let decoded = events(format!("{{\"event\":\"a\"}}{event}{{\"event\":\"b\"}}")).unwrap();
        assert_eq!(bodies(&decoded), ["a", "b"]);
        let rejections = rejections(decoded);
        assert!(rejections[0].1.starts_with(expected), "{rejections:?}");
        assert_eq!((rejections.len(), rejections[0].0), (1, 1));
    }
}

#[test]
fn what_is_nested_too_deep_is_a_text() {
    // Docker sends what a container wrote, and would send it again for ever.
    let deep = format!("{}1{}", "{\"a\":[".repeat(40), "]}".repeat(40));
    let record = one(format!(
        "{{\"event\":{{\"line\":{deep},\"attrs\":{deep}}}}}"
    ));
    assert_eq!(record.body, deep);
    let attrs = Value::Text(deep.clone().into());
    assert_eq!(attributes(&record), [("attrs", &attrs)]);
    assert_eq!(one(format!("{{\"event\":{deep}}}")).body, deep);
}

#[test]
fn where_the_body_breaks_off_one_rejection_stands_for_the_rest() {
    for broken in [
        "{\"event\":\"b\"",
        "oops",
        "{\"event\"}",
        "]",
        "[{}{}]",
        "{\"event\":\"b",
    ] {
        let body = format!("{{\"event\":\"a\"}}[{{\"event\":\"c\"}}]{broken}");
        let decoded = events(body).unwrap();
        assert_eq!(bodies(&decoded), ["a", "c"], "{broken}");
        let rejections = rejections(decoded);
        let (place, reason) = rejections.last().unwrap();
        assert!(reason.contains("not JSON: expected"), "{reason}");
        assert!(reason.contains("nothing from here on was read"), "{reason}");
        assert_eq!(*place, 2 + usize::from(broken == "[{}{}]"));
    }
}

#[test]
fn a_body_without_any_accepted_event_is_an_error_about_the_first() {
    for (body, expected) in [
        ("", "No data"),
        (" \n", "No data"),
        ("[]", "No data"),
        // What Fluent Bit sends with `splunk_send_raw`, which Splunk refuses.
        (
            "{\"message\":\"hello\"}\n{\"message\":\"hello\"}\n",
            "Event field is required",
        ),
        (
            "{\"event\":\"\"}{\"time\":1}",
            "Event field cannot be blank",
        ),
        ("oops", "not JSON: expected a value at byte 0"),
    ] {
        let reason = malformed(events(body));
        assert!(reason.starts_with(expected), "{reason}");
    }
}

#[test]
fn bytes_that_are_no_text_are_kept() {
    let record = one(Bytes::from_static(
        b"{\"event\":{\"msg\":\"a\xffb\",\"k\":\"\xfe\",\"o\":[\"\xfe\"]}}",
    ));
    assert_eq!(&*record.body, "a\u{fffd}b");
    assert_eq!(
        attributes(&record),
        [
            ("k", &Value::Bytes(Bytes::from_static(b"\xfe"))),
            ("o", &Value::Bytes(Bytes::from_static(b"[\"\xfe\"]"))),
            (
                "log.record.original",
                &Value::Bytes(Bytes::from_static(b"a\xffb"))
            )
        ]
    );
}

#[test]
fn raw_lines_share_what_the_query_says() {
    let query = "channel=c&source=%2Fvar%2Flog&host=vm&sourcetype=&index=main&time=1.5&token=t";
    let decoded = lines(query, &b"one\r\n\n two\nthree \xff"[..]).unwrap();
    assert_eq!(bodies(&decoded), ["one", " two", "three \u{fffd}"]);
    let shared = [
        ("host.name", &text("vm")),
        ("splunk.source", &text("/var/log")),
        ("splunk.index", &text("main")),
    ];
    for record in &decoded.records {
        assert_eq!(attributes(record)[..3], shared);
        assert_eq!(
            (record.timestamp, record.observed),
            (1_500_000_000, OBSERVED)
        );
    }
    let lengths: Vec<_> = decoded
        .records
        .iter()
        .map(|r| r.attributes.own_len())
        .collect();
    assert_eq!(lengths, [0, 0, 1]);
    assert_eq!(lines("", "x").unwrap().records[0].timestamp, OBSERVED);
    assert_eq!(malformed(lines("", "\n\r\n")), "No data");
    assert!(malformed(lines("time=noon", "x")).contains("noon"));
}

#[test]
fn an_event_or_a_line_that_is_rejected_is_shown() {
    let decoded = events(r#"{"event":"good"} {"time":"x","event":1}{"event":"" }"#).unwrap();
    for shown in crate::fuzzing::shown(&decoded) {
        let shown = str::from_utf8(shown).unwrap();
        assert!(shown.starts_with('{') && shown.ends_with('}'), "{shown}");
        assert!(!shown.contains("good"), "{shown}");
    }
    assert!(!decoded.rejected.is_empty());
}
