//! Requests of the protocols whose bodies are JSON or text.

use super::shapes::{BODY, Route, filled};
use crate::hostile::requests::attack::{Attack, JSON, NDJSON};

/// A body between these.
fn body(before: &str, unit: &str, after: &str) -> Vec<u8> {
    filled(before.as_bytes(), unit.as_bytes(), after.as_bytes())
}

pub(super) fn otlp() -> Vec<Attack> {
    let route = Route::new("/v1/logs", JSON);
    let record = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"#;
    let end = r#""flags":0}]}]}]}"#;
    let attribute = r#"{"key":"","value":{}},"#;
    let in_record = |name, before: &str, unit, after: &str| {
        let (before, after) = (format!("{record}{before}"), format!("{after}{end}"));
        route.attack(name, &body(&before, unit, &after))
    };
    let mut attacks = route.members(record, end);
    attacks.extend([
        in_record("empty attributes", "\"attributes\":[", attribute, "{}],"),
        in_record(
            "empty values",
            "\"body\":{\"arrayValue\":{\"values\":[",
            "{},",
            "{}]}},",
        ),
        in_record("bytes", "\"body\":{\"bytesValue\":\"", "AQID", "\"},"),
        in_record("a time", "\"timeUnixNano\":\"", "1", "\","),
        in_record("an id of a trace", "\"traceId\":\"", "a", "\","),
        in_record("empty records", "}", ",{}", ",{"),
        route.attack(
            "empty resources",
            &body(r#"{"resourceLogs":["#, "{},", "{}]}"),
        ),
        route.attack(
            "attributes of a resource",
            &body(
                r#"{"resourceLogs":[{"resource":{"attributes":["#,
                attribute,
                r#"{}]},"scopeLogs":[{"logRecords":[{},{},{},{}]}]}]}"#,
            ),
        ),
    ]);
    attacks
}

pub(super) fn bulk() -> Vec<Attack> {
    let route = Route::new("/_bulk", NDJSON);
    let mut attacks = route.members("{\"index\":{}}\n{", "\"message\":1}\n");
    attacks.extend(route.bombs());
    attacks.extend([
        route.attack("empty documents", &body("", "{\"index\":{}}\n{}\n", "")),
        route.attack(
            "documents that are none",
            &body("", "{\"index\":{}}\n1\n", ""),
        ),
        route.attack(
            "actions that are refused",
            &body("", "{\"delete\":{}}\n", ""),
        ),
        route.attack("actions that are none", &body("", "{}\n", "")),
        route.attack("empty lines", &body("", "\n", "{\"index\":{}}\n{}\n")),
        route.attack(
            "a long index",
            &body("{\"index\":{\"_index\":\"", "i", "\"}}\n{}\n"),
        ),
        route.attack(
            "a long id",
            &body("{\"index\":{\"_id\":\"", "\\u0001", "\"}}\n{}\n"),
        ),
        route.attack(
            "a long time",
            &body("{\"index\":{}}\n{\"@timestamp\":\"", "1", "\"}\n"),
        ),
    ]);
    attacks
}

pub(super) fn documents() -> Vec<Attack> {
    let route = Route::new("/logs/_doc", JSON);
    route.members("{", "\"message\":1}")
}

pub(super) fn loki() -> Vec<Attack> {
    let route = Route::new("/loki/api/v1/push", JSON);
    let streams = "{\"streams\":[";
    let entries = "{\"streams\":[{\"stream\":{\"a\":\"b\"},\"values\":[";
    let mut attacks = route.members(
        "{\"streams\":[{\"stream\":{",
        "\"z\":\"\"},\"values\":[[\"1\",\"a\"],[\"2\",\"b\"]]}]}",
    );
    let metadata = "{\"streams\":[{\"stream\":{},\"values\":[[\"1\",\"a\",{";
    attacks.extend(route.members(metadata, "\"z\":\"\"}]]}]}"));
    attacks.extend([
        route.attack("empty streams", &body(streams, "{},", "{}]}")),
        route.attack("empty entries", &body(entries, "[],", "[]]}]}")),
        route.attack(
            "short entries",
            &body(entries, "[\"1\",\"\"],", "[\"1\",\"\"]]}]}"),
        ),
        route.attack("a long time", &body(entries, "[\"1", "\",\"\"]]}]}")),
    ]);
    attacks
}

pub(super) fn splunk() -> Vec<Attack> {
    let route = Route::new("/services/collector/event", JSON);
    let raw = Route::new("/services/collector/raw", "text/plain");
    let acks = Route {
        headers: "x-splunk-request-channel: c\r\n",
        ..Route::new("/services/collector/ack", JSON)
    };
    let mut attacks = route.members("{\"event\":{", "\"a\":1}}");
    attacks.extend(route.members("{\"event\":1,\"fields\":{", "\"a\":1}}"));
    attacks.extend([
        route.attack("short events", &body("", "{\"event\":1}", "")),
        route.attack("empty events", &body("", "{}", "")),
        route.attack("white space", &body("", " ", "{\"event\":1}")),
        route.attack("a long time", &body("{\"event\":1,\"time\":\"", "1", "\"}")),
        raw.attack("short lines", &body("", "a\n", "")),
        raw.attack("empty lines", &body("", "\n", "a")),
        acks.attack(
            "ids to ask for",
            &[&b"{\"acks\":["[..], &b"0,".repeat(500_000), b"0]}"].concat(),
        ),
    ]);
    attacks
}

pub(super) fn gelf() -> Vec<Attack> {
    let route = Route::new("/gelf", JSON);
    let mut attacks = route.members("{\"host\":\"h\",\"short_message\":\"m\",", "\"level\":1}");
    attacks.extend(route.bombs());
    attacks.push(route.attack(
        "a long level",
        &body("{\"short_message\":\"m\",\"level\":", "1", "}"),
    ));
    attacks
}

pub(super) fn datadog() -> Vec<Attack> {
    let route = Route::new("/api/v2/logs", JSON);
    let mut attacks = route.members("[{", "\"message\":\"m\"}]");
    attacks.extend([
        route.attack("empty objects", &body("[", "{},", "{}]")),
        route.attack("no objects", &body("[", "1,", "1]")),
        route.attack("tags", &body("{\"ddtags\":\"", "a:b,", "\"}")),
        route.attack("open arrays", &body("", "[", "")),
    ]);
    attacks
}

pub(super) fn aws() -> Vec<Attack> {
    let route = Route {
        headers: "x-amz-target: Logs_20140328.PutLogEvents\r\n",
        ..Route::new("/", "application/x-amz-json-1.1")
    };
    let events = "{\"logGroupName\":\"g\",\"logStreamName\":\"s\",\"logEvents\":[";
    let mut attacks = route.members(&format!("{events}{{"), "\"message\":\"m\"}]}");
    attacks.extend([
        route.attack("empty events", &body(events, "{},", "{}]}")),
        route.attack("a long group", &body("{\"logGroupName\":\"", "\\u0001", "\",\"logStreamName\":\"s\",\"logEvents\":[{\"timestamp\":1,\"message\":\"\"},{\"timestamp\":1,\"message\":\"\"}]}")),
    ]);
    attacks
}

pub(super) fn lines() -> Vec<Attack> {
    let heroku = Route::new("/heroku/logplex", "application/logplex-1");
    let cloudflare = Route::new("/cloudflare/logpush", NDJSON);
    let mut attacks = cloudflare.members("{", "\"a\":1}\n");
    attacks.extend([
        cloudflare.attack("empty objects", &body("", "{}\n", "")),
        cloudflare.attack("no objects", &body("", "1\n", "")),
        heroku.attack("short frames", &body("", "1 x", "")),
        heroku.attack("empty frames", &body("", "0 ", "")),
        heroku.attack("a huge count", &body("", "9", " x")),
        heroku.attack("a frame without its end", &body("99999999999 ", "x", "")),
        heroku.attack(
            "structured data",
            &[
                format!("{} <14>1 - - - - - [a", BODY - 40).into_bytes(),
                b" b=\"\"".repeat(BODY / 5 - 20),
            ]
            .concat(),
        ),
        heroku.attack("elements", &{
            let message = [
                &b"<14>1 - - - - - "[..],
                &b"[a b=\"\"]".repeat(BODY / 8 - 20),
            ]
            .concat();
            [format!("{} ", message.len()).into_bytes(), message].concat()
        }),
    ]);
    attacks
}

/// Uploads of journals, which are not packed.
pub(super) fn journal() -> Vec<Attack> {
    let route = Route::new("/upload", "application/vnd.fdo.journal");
    let plain = |name, body: Vec<u8>| route.encoded(name, "", body);
    vec![
        plain("fields of an entry", body("MESSAGE=a\n", "A=\n", "\n")),
        // So few that they find room in the queue: others are told when it is full.
        plain("short entries", b"MESSAGE=\n\n".repeat(20_000)),
        plain("empty entries", body("", "\n", "")),
        plain("a long name", body("", "A", "=\n\n")),
        plain("a field without an end", body("MESSAGE=", "x", "")),
        plain(
            "a huge length",
            [
                &b"MESSAGE\n\xff\xff\xff\xff\xff\xff\xff\x7f"[..],
                &vec![b'x'; BODY],
            ]
            .concat(),
        ),
        plain("control characters", body("A=", "\u{1}", "\n\n")),
    ]
}
