//! OpenTelemetry's protocol for logs: `POST /v1/logs` over HTTP, in protobuf and
//! in JSON, and the method `Export` of the logs service over gRPC.
//!
//! Both forms decode to the same records:
//!
//! | field | where it goes |
//! |---|---|
//! | `time_unix_nano`, else `observed_time_unix_nano` | `timestamp` |
//! | `severity_number`, else a known `severity_text` | `severity` |
//! | `severity_text` if it says more than that | attribute `severity_text` |
//! | `body` | `body`; as JSON text if it is not a string |
//! | `attributes` | attributes of the same names |
//! | `trace_id`, `span_id`, as lower-case hex | attributes of the same names |
//! | `flags`, the lower 8 bits, unless 0 | attribute `trace_flags` |
//! | `event_name` | attribute `event.name` |
//! | attributes of the resource | shared attributes `resource.<name>` |
//! | `name`, `version` and attributes of the scope | shared attributes `scope.<name>` |
//!
//! Values that are arrays or lists become JSON text, in which bytes are base64.
//! An id of the wrong length or of zeros is none, as the protocol says. Schema
//! URLs and counts of dropped attributes are not kept.

pub mod answer;
mod common;
mod draft;
pub mod grpc;
mod invalid;
pub mod json;
mod json_text;
mod partial;
pub mod protobuf;
mod refusal;
#[cfg(test)]
mod tests;
mod wire;
