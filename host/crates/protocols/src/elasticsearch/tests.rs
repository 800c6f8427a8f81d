//! Requests as clients send them, and what is wrong with others.

use bytes::Bytes;
use sluice_types::record::{LogRecord, Severity, Value};

use super::bulk::{self, Bulk};
use super::document;
use super::items::Action;
use crate::error::DecodeError;
use crate::memory_budget::{MemoryBudget, Reservation};
use crate::meter::{Client, Meter};

pub(super) const MEMORY: usize = 64 << 20;
/// When the requests come.
const OBSERVED: u64 = 5;

pub(super) fn decode(
    memory: usize,
    most: usize,
    body: impl Into<Bytes>,
) -> Result<(Bulk, Reservation), DecodeError> {
    let meter = Meter::new(MemoryBudget::new(memory).reserve(), Client::default());
    meter.measure(|meter| bulk::decode(&body.into(), Some("path"), OBSERVED, most, meter))
}

pub(super) fn decoded(body: impl Into<Bytes>) -> Bulk {
    decode(MEMORY, 100, body).unwrap().0
}

/// The record of a document that is created in the index `logs`.
pub(super) fn record(document: &str) -> LogRecord {
    let mut bulk = decoded(format!(
        "{{\"create\":{{\"_index\":\"logs\"}}}}\n{document}\n"
    ));
    assert!(bulk.decoded.rejected.is_empty(), "{:?}", reasons(bulk));
    let record = bulk.decoded.records.remove(0);
    let index = attribute(&record, "elasticsearch.index");
    assert_eq!(index, Some(&Value::Text("logs".into())), "{document}");
    record
}

fn attribute<'r>(record: &'r LogRecord, name: &str) -> Option<&'r Value> {
    let mut found = record.attributes.iter().filter(|(n, _)| **n == *name);
    let value = found.next().map(|(_, value)| value);
    assert!(found.next().is_none(), "{name} is there twice");
    value
}

/// The names of the attributes without the index, in order.
pub(super) fn names(record: &LogRecord) -> Vec<&str> {
    let names = record.attributes.iter().map(|(name, _)| &**name);
    names
        .filter(|name| *name != "elasticsearch.index")
        .collect()
}

pub(super) fn reasons(bulk: Bulk) -> Vec<(usize, String)> {
    let rejections = bulk.decoded.rejected.merge(Vec::new());
    let listed = rejections.listed.into_iter();
    listed.map(|r| (r.index, r.reason)).collect()
}

fn text(text: &'static str) -> Value {
    Value::Text(text.into())
}

#[test]
fn a_request_of_fluent_bit() {
    let bulk = decoded(
        r#"{"create":{"_index":"logs-app","_id":"efdee74c-a434-7a6f-0fe7-ab9eddeb4b30"}}
{"@timestamp":"2026-11-21T10:05:15.758Z","message":"hello","level":"info","n":7}
{"create":{"_index":"logs-app","_id":"910d869a-6a1a-9009-1938-84400ca90c40"}}
{"@timestamp":"2026-11-21T10:05:15.767Z","message":"hello","level":"info","n":7}
"#,
    );
    assert!(bulk.items.iter().eq([(Action::Create, false); 2]));
    let record = &bulk.decoded.records[0];
    assert_eq!(
        record.key.as_deref(),
        Some("efdee74c-a434-7a6f-0fe7-ab9eddeb4b30")
    );
    assert_eq!((&*record.body, record.severity), ("hello", Severity::Info));
    assert_eq!(record.timestamp, 1_795_255_515_758_000_000);
    assert_eq!(record.observed, OBSERVED);
    let expected = [
        ("elasticsearch.index".into(), text("logs-app")),
        ("n".into(), Value::Integer(7)),
    ];
    assert!(record.attributes.iter().eq(&expected));
}

#[test]
fn requests_of_other_clients() {
    let pino = record(
        r#"{"level":30,"time":"2026-11-21T10:03:44.709Z","pid":31310,"hostname":"vm","user":7,"msg":"hello pino"}"#,
    );
    assert_eq!((&*pino.body, pino.severity), ("hello pino", Severity::Info));
    assert_eq!(names(&pino), ["pid", "hostname", "user"]);
    let winston = record(
        r#"{"@timestamp":"2026-11-21T10:03:11.139Z","message":"second","severity":"warn","fields":{}}"#,
    );
    assert_eq!(
        (&*winston.body, winston.severity),
        ("second", Severity::Warn)
    );
    assert_eq!(
        attribute(&winston, "fields"),
        Some(&Value::Json("{}".into()))
    );
    let syslog_ng = record(
        r#"{"PRIORITY":"notice","MESSAGE":"one","ISODATE":"2026-11-21T10:31:26+00:00","HOST":"vm","FACILITY":"user","@timestamp":"2026-11-21T10:31:26+00:00"}"#,
    );
    assert_eq!(
        (&*syslog_ng.body, syslog_ng.severity),
        ("one", Severity::Info)
    );
    assert_eq!(syslog_ng.timestamp, 1_795_257_086_000_000_000);
    assert_eq!(names(&syslog_ng), ["ISODATE", "HOST", "FACILITY"]);
    let rsyslog = record(r#"{"@timestamp":"2026-11-21T10:27:55.261294+00:00","message":"one"}"#);
    assert_eq!(
        (&*rsyslog.body, rsyslog.timestamp),
        ("one", 1_795_256_875_261_294_000)
    );
    // The collector's exporter, which maps to OpenTelemetry's fields.
    let collector = record(
        r#"{"@timestamp":"1795256875261.294001","severity_text":"WARN","severity_number":13,"body":{"text":"hi"},"attributes":{"a":1},"data_stream":{"type":"logs"}}"#,
    );
    assert_eq!(
        (&*collector.body, collector.severity),
        ("hi", Severity::Warn)
    );
    assert_eq!(collector.timestamp, 1_795_256_875_261_294_001);
    assert_eq!(
        names(&collector),
        ["severity_number", "attributes", "data_stream"]
    );
    // Filebeat, by the common schema.
    let filebeat = record(
        r#"{"@timestamp":"2026-11-21T10:05:15.758Z","log":{"offset":0,"level":"error"},"message":"m","ecs":{"version":"8"}}"#,
    );
    assert_eq!((&*filebeat.body, filebeat.severity), ("m", Severity::Error));
    assert_eq!(names(&filebeat), ["log", "ecs"]);
}

#[test]
fn a_document_without_a_text_is_its_own_text() {
    let document = r#"{"a":1,"@timestamp":"2026-11-21","log":{"file":"x"},"message":null}"#;
    let record = record(&format!("  {document} \r"));
    assert_eq!(&*record.body, document);
    assert_eq!(names(&record), ["a", "log"]);
    assert_eq!(&*self::record("{}").body, "{}");
    let bulk = decoded("{\"update\":{\"_id\":\"1\"}}\n{\"doc\": {\"a\":1} ,\"upsert\":{}}\n");
    assert_eq!(&*bulk.decoded.records[0].body, "{\"a\":1}");
}

#[test]
fn of_fields_with_the_same_meaning_the_first_known_one_counts() {
    for (document, body, names) in [
        (
            r#"{"msg":"d","log":"c","body":"b","message":"a"}"#,
            "a",
            vec!["msg", "log", "body"],
        ),
        (
            r#"{"msg":"d","log":"c","body":"b"}"#,
            "b",
            vec!["msg", "log"],
        ),
        (r#"{"msg":"d","log":"c"}"#, "c", vec!["msg"]),
        (r#"{"message":{"a":1},"msg":"d"}"#, "d", vec!["message"]),
        (r#"{"message":null,"msg":7.5}"#, "7.5", vec![]),
        (r#"{"message":"","msg":"d"}"#, "", vec!["msg"]),
        (r#"{"body":{"text":"b","x":1}}"#, "b", vec!["body"]),
        (r#"{"body":{"structured":{}},"msg":"d"}"#, "d", vec!["body"]),
        (r#"{"message":"a","message":"b"}"#, "b", vec![]),
        (r#"{"body":{"text":"b"},"body":"c"}"#, "c", vec![]),
        (r#"{"body":"c","body":{"text":"b"}}"#, "b", vec![]),
    ] {
        let record = record(document);
        assert_eq!(
            (&*record.body, self::names(&record)),
            (body, names),
            "{document}"
        );
    }
    for (document, severity, names) in [
        (
            r#"{"log.level":"error","level":"info"}"#,
            Severity::Error,
            vec!["level"],
        ),
        (
            r#"{"log":{"level":"error"},"level":"info"}"#,
            Severity::Error,
            vec!["log", "level"],
        ),
        (
            r#"{"log":{"level":"unknown"},"level":"info"}"#,
            Severity::Info,
            vec!["log"],
        ),
        (
            r#"{"log":{"level":"error"},"log":{}}"#,
            Severity::Unspecified,
            vec!["log"],
        ),
        (
            r#"{"level":35,"severity":"warn"}"#,
            Severity::Warn,
            vec!["level"],
        ),
        (r#"{"level":10}"#, Severity::Trace, vec![]),
        (r#"{"level":60}"#, Severity::Fatal, vec![]),
        (r#"{"severity":17}"#, Severity::Error, vec![]),
        (r#"{"PRIORITY":3}"#, Severity::Error, vec![]),
        (r#"{"level":null}"#, Severity::Unspecified, vec![]),
    ] {
        let record = record(document);
        assert_eq!(
            (record.severity, self::names(&record)),
            (severity, names),
            "{document}"
        );
    }
    for (document, time, names) in [
        (
            r#"{"time":"noon","date":"1970-01-01T00:00:01Z"}"#,
            1_000_000_000,
            vec!["time"],
        ),
        (r#"{"time":2,"@timestamp":1}"#, 1_000_000_000, vec!["time"]),
        (r#"{"@timestamp":null}"#, OBSERVED, vec![]),
    ] {
        let record = record(document);
        assert_eq!(
            (record.timestamp, self::names(&record)),
            (time, names),
            "{document}"
        );
    }
}

#[test]
fn a_document_cannot_say_that_it_is_in_another_index() {
    let own = record(r#"{"elasticsearch.index":"other","message":"m","a":1}"#);
    assert_eq!(names(&own), ["a"]);
}

#[test]
fn each_document_is_an_item_in_its_place() {
    let bulk = decoded(
        "{\"index\":{}}\n{\"message\":\"a\"}\n\n{\"delete\":{\"_id\":\"1\"}}\r\n\
         {\"create\":{}}\r\n{oops\r\n \n{\"update\":{}}\n{\"doc\":{\"message\":\"b\"}}\n\
         {\"update\":{}}\n{\"script\":{}}\n{\"index\":{}}\n\n{\"index\":{}}\n\
         {\"@timestamp\":\"noon\"}\n{\"create\":{}}",
    );
    let expected = [
        (Action::Index, false),
        (Action::Delete, true),
        (Action::Create, true),
        (Action::Update, false),
        (Action::Update, true),
        (Action::Index, true),
        (Action::Index, true),
        (Action::Create, true),
    ];
    let items: Vec<_> = bulk.items.iter().collect();
    assert_eq!(items, expected);
    let bodies: Vec<_> = bulk.decoded.records.iter().map(|r| &*r.body).collect();
    assert_eq!(bodies, ["a", "b"]);
    let reasons = reasons(bulk);
    let places: Vec<_> = reasons.iter().map(|(place, _)| *place).collect();
    assert_eq!(places, [1, 2, 4, 5, 6, 7]);
    for ((_, reason), part) in reasons.iter().zip([
        "deleted",
        "name",
        "`doc`",
        "expected an object",
        "noon",
        "missing",
    ]) {
        assert!(reason.contains(part), "{reason}");
    }
}

#[test]
fn a_request_that_is_not_in_lines_of_actions_is_refused() {
    for (body, part) in [
        ("", "no documents"),
        ("\n\r\n \n", "no documents"),
        ("{\"message\":\"a\"}\n", "line 1"),
        ("{\"index\":{}}\n{}\n{\"index\":{}", "line 3"),
        ("{\"index\":{}}\n{\"message\":\"a\nb\"}\n", "line 3"),
        ("[{\"index\":{}}]", "line 1"),
    ] {
        match decode(MEMORY, 100, body) {
            Err(DecodeError::Malformed(reason)) => assert!(reason.contains(part), "{reason}"),
            other => panic!("{other:?}"),
        }
    }
    let long = "x".repeat(1 << 20);
    let Err(DecodeError::Malformed(reason)) = decode(MEMORY, 100, long) else {
        panic!("decoded");
    };
    assert!(reason.len() < 1000);
}

#[test]
fn a_line_that_is_not_utf8_is_rejected_alone() {
    let body = b"{\"index\":{}}\n{\"message\":\"\xff\"}\n{\"index\":{\"_id\":\"2\"}}\n{\"message\":\"b\"}\n";
    let bulk = decoded(&body[..]);
    assert_eq!(&*bulk.decoded.records[0].body, "b");
    assert_eq!(bulk.decoded.records[0].key.as_deref(), Some("2"));
    assert!(
        bulk.items
            .iter()
            .map(|(_, is_refused)| is_refused)
            .eq([true, false])
    );
    assert!(reasons(bulk)[0].1.contains("UTF-8"));
}

#[test]
fn a_single_document_is_decoded_as_one_of_many() {
    let decode = |body: &'static str, id| {
        let meter = Meter::new(MemoryBudget::new(MEMORY).reserve(), Client::default());
        let body = Bytes::from_static(body.as_bytes());
        let decode = |meter: &mut Meter| {
            Ok::<_, DecodeError>(document::decode(&body, "logs", id, OBSERVED, meter))
        };
        meter.measure(decode).unwrap().0
    };
    let decoded = decode("{\n \"message\": \"one\",\n \"n\": 1\n}\n", Some("7"));
    let record = &decoded.records[0];
    assert_eq!((&*record.body, record.key.as_deref()), ("one", Some("7")));
    assert_eq!(
        attribute(record, "elasticsearch.index"),
        Some(&text("logs"))
    );
    assert_eq!(decode("{}", None).records[0].key, None);
    for body in ["", "[]", "{} {}", "{\"@timestamp\":\"noon\"}"] {
        let decoded = decode(body, None);
        assert_eq!(
            (decoded.records.len(), decoded.rejected.len()),
            (0, 1),
            "{body}"
        );
    }
}

#[test]
fn a_document_that_is_rejected_is_shown() {
    let bulk = decoded(
        "{\"index\":{}}\n{\"a\":1}\n{\"index\":{}}\n[broken\n{\"delete\":{\"_id\":\"1\"}}\n",
    );
    let expected: [&[u8]; 2] = [b"[broken", b"{\"delete\":{\"_id\":\"1\"}}"];
    assert_eq!(crate::fuzzing::shown(&bulk.decoded), expected);
}
