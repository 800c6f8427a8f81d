//! One request of each standard protocol over HTTP, as its clients send them.

use std::io::Write;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use reqwest::{Client, Method, Response};

/// A request with records, each of which has the mark that it is made with.
pub(super) struct Request {
    pub(super) name: &'static str,
    method: Method,
    path: &'static str,
    headers: Vec<(&'static str, &'static str)>,
    body: Vec<u8>,
    /// The status of the answer once the records are acknowledged.
    pub(super) taken: u16,
    /// How many records it has.
    pub(super) records: usize,
}

impl Request {
    pub(super) async fn send(&self, http: &Client, node: &str) -> Response {
        self.try_send(http, node, None).await.unwrap()
    }

    pub(super) async fn try_send(
        &self,
        http: &Client,
        node: &str,
        header: Option<(&str, &str)>,
    ) -> reqwest::Result<Response> {
        let url = format!("http://{node}{}", self.path);
        let mut request = http.request(self.method.clone(), url);
        for (name, value) in self.headers.iter().copied().chain(header) {
            request = request.header(name, value);
        }
        request.body(self.body.clone()).send().await
    }
}

/// A request of each protocol, with records that have this mark.
pub(super) fn requests(mark: &str) -> Vec<Request> {
    let mut all = texts(mark);
    all.extend(packed(mark));
    all
}

/// A request with these headers, and no others.
fn request(
    (name, path): (&'static str, &'static str),
    headers: &[(&'static str, &'static str)],
    body: impl Into<Vec<u8>>,
    (taken, records): (u16, usize),
) -> Request {
    Request {
        name,
        method: Method::POST,
        path,
        headers: headers.to_vec(),
        body: body.into(),
        taken,
        records,
    }
}

fn texts(mark: &str) -> Vec<Request> {
    let json = &[("content-type", "application/json")];
    let ndjson = &[("content-type", "application/x-ndjson")];
    let target = &[("x-amz-target", "Logs_20140328.PutLogEvents")];
    let logplex = &[("content-type", "application/logplex-1")];
    let otlp = format!(
        r#"{{"resourceLogs":[{{"resource":{{"attributes":[{{"key":"service.name",
        "value":{{"stringValue":"shop"}}}}]}},"scopeLogs":[{{"scope":{{"name":"s"}},"logRecords":[
        {{"timeUnixNano":"1795256454000000000","body":{{"stringValue":"{mark} otlp json"}}}},
        {{"timeUnixNano":1795256454000000000,"body":{{"stringValue":"{mark} otlp json"}},
        "traceId":"5b8efff798038103d269b633813fc60c"}}]}}]}}]}}"#
    );
    let bulk = format!(
        "{{\"create\":{{\"_index\":\"logs\"}}}}\n\
         {{\"@timestamp\":\"2026-11-20T09:00:00Z\",\"message\":\"{mark} bulk\"}}\n\
         {{\"index\":{{}}}}\n{{\"message\":\"{mark} bulk\",\"level\":\"warn\"}}\n"
    );
    let document = format!(r#"{{"message":"{mark} document"}}"#);
    let loki = format!(
        r#"{{"streams":[{{"stream":{{"app":"shop"}},"values":[["1795256454000000000",
        "{mark} loki"],["1795256454000000001","{mark} loki",{{"trace_id":"a"}}]]}}]}}"#
    );
    let hec = format!(
        r#"{{"event":"{mark} hec","time":"1795256454.5"}}{{"event":{{"message":"{mark} hec"}}}}"#
    );
    let raw = format!("{mark} raw\n{mark} raw\n");
    let datadog = format!(r#"[{{"message":"{mark} datadog"}},{{"message":"{mark} datadog"}}]"#);
    let aws = format!(
        r#"{{"logGroupName":"g","logStreamName":"s","logEvents":[
        {{"timestamp":1795256454000,"message":"{mark} aws"}}]}}"#
    );
    let frame = format!("<40>1 2026-11-20T09:00:00+00:00 host app web.1 - {mark} heroku");
    let heroku = format!("{} {frame}{} {frame}", frame.len(), frame.len());
    vec![
        request(("OTLP, JSON", "/v1/logs"), json, otlp, (200, 2)),
        request(("_bulk", "/_bulk"), ndjson, bulk.clone(), (200, 2)),
        request(
            ("_bulk, index", "/logs/_bulk?refresh=true"),
            json,
            bulk,
            (200, 2),
        ),
        request(("a document", "/logs/_doc"), json, document, (201, 1)),
        request(("Loki, JSON", "/loki/api/v1/push"), json, loki, (204, 2)),
        request(("HEC", "/services/collector/event"), json, hec, (200, 2)),
        request(("HEC, raw", "/services/collector/raw"), &[], raw, (200, 2)),
        request(("Datadog", "/api/v2/logs"), json, datadog, (202, 2)),
        request(("CloudWatch Logs", "/"), target, aws, (200, 1)),
        request(("Logplex", "/heroku/logplex"), logplex, heroku, (204, 2)),
    ]
}

fn packed(mark: &str) -> Vec<Request> {
    let protobuf = &[("content-type", "application/x-protobuf")];
    let in_gzip = &[protobuf[0], ("content-encoding", "gzip")];
    // What it says is not what it is.
    let wrong = &[("content-encoding", "gzip,deflate")];
    let gelf = format!(r#"{{"version":"1.1","host":"web","short_message":"{mark} gelf"}}"#);
    let gelf = zlib(gelf.as_bytes());
    let cloudflare = gzip(format!("{{\"message\":\"{mark} cloudflare\"}}\n").as_bytes());
    let loki = snappy(&loki_protobuf(mark));
    let otlp = gzip(&otlp_protobuf(mark));
    vec![
        request(("GELF in zlib", "/gelf"), wrong, gelf, (202, 1)),
        request(
            ("Logpush", "/cloudflare/logpush"),
            &[],
            cloudflare,
            (200, 1),
        ),
        request(
            ("Loki, protobuf", "/loki/api/v1/push"),
            protobuf,
            loki,
            (204, 1),
        ),
        request(("OTLP, protobuf", "/v1/logs"), in_gzip, otlp, (200, 1)),
    ]
}

pub(super) fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn zlib(body: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// One literal of a raw block.
fn snappy(body: &[u8]) -> Vec<u8> {
    let length = u8::try_from(body.len()).unwrap();
    assert!(length < 128);
    [&[length, 60 << 2, length - 1], body].concat()
}

/// A field of protobuf with bytes.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).unwrap();
    assert!(length < 128);
    [&[number << 3 | 2, length], content].concat()
}

fn loki_protobuf(mark: &str) -> Vec<u8> {
    let entry = field(2, format!("{mark} loki protobuf").as_bytes());
    let labels = field(1, br#"{app="shop"}"#);
    field(1, &[labels, field(2, &entry)].concat())
}

/// A request of OTLP with one record.
pub(super) fn otlp_protobuf(mark: &str) -> Vec<u8> {
    let text = field(1, format!("{mark} otlp protobuf").as_bytes());
    let record = field(5, &text);
    field(1, &field(2, &field(2, &record)))
}
