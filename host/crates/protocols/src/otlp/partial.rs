//! `ExportLogsServiceResponse`: which records were refused.

use serde::Serialize;

use super::wire::{put_bytes, put_varint};
use crate::rejected::Rejections;
use sluice_types::rejection::Rejection;

/// The most bytes of reasons: the Collector reads 64 KiB of an answer.
const REASONS_BYTES: usize = 63 << 10;
/// What the end of the reasons needs of that, in bytes.
const END_BYTES: usize = 64;

/// The response in JSON. Nothing is said if no record was refused.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    #[serde(skip_serializing_if = "Option::is_none")]
    partial_success: Option<PartialSuccess>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PartialSuccess {
    /// 64 bits, so it is a text.
    rejected_log_records: String,
    error_message: String,
}

/// The response in protobuf, to a request of this many records.
pub(super) fn protobuf(total: usize, rejections: &Rejections) -> Vec<u8> {
    let mut response = Vec::new();
    if rejections.total > 0 {
        let mut partial = Vec::new();
        put_varint(&mut partial, 1, rejections.total as u64);
        let reasons = reasons(total, rejections, str::len);
        put_bytes(&mut partial, 2, reasons.as_bytes());
        put_bytes(&mut response, 1, &partial);
    }
    response
}

/// The response in JSON, to a request of this many records.
pub(super) fn json(total: usize, rejections: &Rejections) -> Vec<u8> {
    let partial = || PartialSuccess {
        rejected_log_records: rejections.total.to_string(),
        error_message: reasons(total, rejections, escaped_len),
    };
    let response = Response {
        partial_success: (rejections.total > 0).then(partial),
    };
    serde_json::to_vec(&response).unwrap_or_default()
}

/// How many were refused, and the first reasons. `len` says how many bytes a text
/// takes in the response.
fn reasons(total: usize, rejections: &Rejections, len: impl Fn(&str) -> usize) -> String {
    let mut text = format!("{} of {total} records refused", rejections.total);
    let mut left = REASONS_BYTES - text.len() - END_BYTES;
    let mut said = 0;
    for rejection in &rejections.listed {
        let reason = reason(rejection, said == 0);
        let Some(rest) = left.checked_sub(len(&reason)) else {
            break;
        };
        text += &reason;
        left = rest;
        said += 1;
    }
    match rejections.total.saturating_sub(said) {
        0 => text,
        more => format!("{text}; and {more} more"),
    }
}

fn reason(rejection: &Rejection, is_first: bool) -> String {
    let Rejection {
        index,
        reason,
        is_kept,
    } = rejection;
    let separator = if is_first { ": " } else { "; " };
    let kept = if *is_kept {
        " (kept as a dead letter)"
    } else {
        ""
    };
    format!("{separator}record {index}: {reason}{kept}")
}

/// The length in a text of JSON.
fn escaped_len(text: &str) -> usize {
    serde_json::to_vec(text).map_or(usize::MAX, |json| json.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
    use prost::Message as _;
    use serde_json::{Value, json};

    fn rejection(index: usize, reason: &str) -> Rejection {
        Rejection {
            index,
            reason: reason.to_owned(),
            is_kept: false,
        }
    }

    fn both(total: usize, rejections: &Rejections) -> [(i64, String); 2] {
        let binary = protobuf(total, rejections);
        let text = json(total, rejections);
        assert!(binary.len() <= 64 << 10 && text.len() <= 64 << 10);
        let binary = ExportLogsServiceResponse::decode(&binary[..]).unwrap();
        let partial = binary.partial_success.unwrap();
        let json: Value = serde_json::from_slice(&text).unwrap();
        let said = &json["partialSuccess"];
        let count = said["rejectedLogRecords"].as_str().unwrap();
        let message = said["errorMessage"].as_str().unwrap();
        [
            (partial.rejected_log_records, partial.error_message),
            (count.parse().unwrap(), message.to_owned()),
        ]
    }

    #[test]
    fn nothing_is_said_of_a_request_without_refused_records() {
        let none = Rejections::default();
        assert_eq!(protobuf(3, &none), b"");
        assert_eq!(json(3, &none), b"{}");
    }

    #[test]
    fn refused_records_are_counted_and_named() {
        let mut listed = vec![rejection(1, "too \"big\""), rejection(3, "late")];
        listed[1].is_kept = true;
        let said = both(5, &Rejections { listed, total: 4 });
        let message = "4 of 5 records refused: record 1: too \"big\"; record 3: late (kept as a \
                       dead letter); and 2 more";
        for said in said {
            assert_eq!(said, (4, message.to_owned()));
        }
        let one = json(
            1,
            &Rejections {
                listed: vec![rejection(0, "no")],
                total: 1,
            },
        );
        let expected = json!({"partialSuccess": {
            "rejectedLogRecords": "1",
            "errorMessage": "1 of 1 records refused: record 0: no",
        }});
        assert_eq!(serde_json::from_slice::<Value>(&one).unwrap(), expected);
    }

    #[test]
    fn reasons_end_before_the_answer_is_too_long() {
        for reason in ["x".repeat(200), "\u{1}".repeat(200), "é\"".repeat(100)] {
            let listed: Vec<_> = (0..1000).map(|at| rejection(at, &reason)).collect();
            let total = usize::MAX >> 1;
            for (count, message) in both(total, &Rejections { listed, total }) {
                assert_eq!(count, i64::MAX);
                let named = message.matches("; record ").count() + 1;
                assert!(message.ends_with(&format!("; and {} more", total - named)));
                assert!(message.len() > 10_000 && named < 1000);
            }
        }
    }
}
