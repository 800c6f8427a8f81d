//! The sink against a destination in the same process, and its bytes against
//! OpenTelemetry's own types.

mod delivery;
mod encoding;

use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use prost::Message as _;
use sluice_sink::testing::{Received, Reply};

const ORIGIN: &str = "https://collector.example.com";

/// A config with the URL and these fields.
fn config(fields: &str) -> String {
    let comma = if fields.is_empty() { "" } else { ", " };
    format!(r#"{{"url": "{ORIGIN}"{comma}{fields}}}"#)
}

fn decode(request: &Received) -> ExportLogsServiceRequest {
    ExportLogsServiceRequest::decode(&*request.content()).unwrap()
}

/// The records of a request in their order.
fn records(request: &Received) -> Vec<LogRecord> {
    let resources = decode(request).resource_logs.into_iter();
    let scopes = resources.flat_map(|resource| resource.scope_logs);
    scopes.flat_map(|scope| scope.log_records).collect()
}

fn body(record: &LogRecord) -> String {
    use opentelemetry_proto::tonic::common::v1::any_value::Value;
    match record.body.clone().and_then(|body| body.value) {
        Some(Value::StringValue(text)) => text,
        other => panic!("{other:?}"),
    }
}

fn bodies(request: &Received) -> Vec<String> {
    records(request).iter().map(body).collect()
}

/// The answer of a collector that refused so many records.
fn partial(rejected: i64, message: &str) -> Reply {
    let partial_success = Some(ExportLogsPartialSuccess {
        rejected_log_records: rejected,
        error_message: message.to_owned(),
    });
    let response = ExportLogsServiceResponse { partial_success };
    Reply::status(200)
        .header("content-type", "application/x-protobuf")
        .body(response.encode_to_vec())
}
