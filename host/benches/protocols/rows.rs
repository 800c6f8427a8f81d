//! What is measured.

use crate::bodies::{forward, json, loki, otlp, records, syslog};
use crate::common::{Fallible, setting};
use crate::forward::Forward;
use crate::http::Http;
use crate::load::{Load, Row};
use crate::names::{NDJSON, NOTHING};
use crate::syslog::Syslog;

/// The rows with one of these words in their names, or all, and before them those
/// that they are compared with.
///
/// # Errors
/// A word is in no name.
pub(crate) fn chosen(words: &[String]) -> Fallible<Vec<Row>> {
    let all = all()?;
    let words: Vec<_> = words.iter().map(|word| word.to_lowercase()).collect();
    let names: Vec<_> = all.iter().map(|row| row.name.to_lowercase()).collect();
    for word in &words {
        if !names.iter().any(|name| name.contains(word)) {
            return Err(format!("no row has {word:?} in its name: {names:?}").into());
        }
    }
    let is_chosen = |row: &Row| {
        let name = row.name.to_lowercase();
        [NOTHING, NDJSON].contains(&row.name)
            || words.is_empty()
            || words.iter().any(|word| name.contains(word))
    };
    Ok(all.into_iter().filter(is_chosen).collect())
}

fn all() -> Fallible<Vec<Row>> {
    let over_http = setting("SLUICE_BENCH_CONNECTIONS", 8)?;
    let over_tcp = setting("SLUICE_BENCH_CONNECTIONS", 4)?;
    let records = records();
    let ndjson = ("application/x-ndjson", json::lines(&records));
    let json = "application/json";
    let protobuf = "application/x-protobuf";
    let bulk = ("application/x-ndjson", json::bulk(&records));
    let otlp_json = (json, json::otlp(&records));
    let otlp_protobuf = (protobuf, otlp::request(&records));
    let loki = (protobuf, loki::request(&records)?);
    let http = |name, path, status, (content_type, body): (_, Vec<u8>)| Row {
        name,
        connections: over_http,
        bytes: body.len(),
        load: Load::Http(Http::new(path, content_type, &body, status)),
    };
    let forward = forward::message(&records);
    let lines = syslog::lines(&records);
    let counted = syslog::counted(&records);
    let streams = |name, block: Vec<u8>| Row {
        name,
        connections: over_tcp,
        bytes: block.len(),
        load: Load::Syslog(Syslog::new(block)),
    };
    Ok(vec![
        http(NOTHING, "/bench/baseline", 200, ndjson.clone()),
        http(NDJSON, "/api/v1/logs", 200, ndjson),
        http("OTLP protobuf", "/v1/logs", 200, otlp_protobuf),
        http("OTLP JSON", "/v1/logs", 200, otlp_json),
        http("Elasticsearch _bulk", "/_bulk", 200, bulk),
        http("Loki protobuf", "/loki/api/v1/push", 204, loki),
        Row {
            name: "Forward, packed",
            connections: over_tcp,
            bytes: forward.bytes.len(),
            load: Load::Forward(Forward::new(forward)),
        },
        streams("syslog TCP, lines", lines),
        streams("syslog TCP, counted", counted),
    ])
}
