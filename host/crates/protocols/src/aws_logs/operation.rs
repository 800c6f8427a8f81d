//! What a request asks for, and the answers that need no delivery.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::CONTENT_TYPE;
use super::answer;
use crate::answer::Answer;

/// The service and version in front of an operation's name.
const SERVICE: &str = "Logs_20140328.";
/// The longest body that is looked at for a name, in bytes. The names of groups
/// and streams have at most 512 characters.
const BODY_BYTES_MAX: usize = 16 << 10;

/// An operation by its name in `X-Amz-Target`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Events to be delivered: for [`super::decode::put_log_events`].
    PutLogEvents,
    /// Anything that prepares a group or a stream, which all exist.
    Prepare,
    /// Asks for groups.
    DescribeLogGroups,
    /// Asks for the streams of a group.
    DescribeLogStreams,
    /// Anything else.
    Unknown,
}

/// The groups or streams that are asked for.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked<'a> {
    #[serde(borrow)]
    log_group_name_prefix: Option<Cow<'a, str>>,
    #[serde(borrow)]
    log_stream_name_prefix: Option<Cow<'a, str>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Groups<'a> {
    log_groups: Vec<Group<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Group<'a> {
    log_group_name: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Streams<'a> {
    log_streams: Vec<Stream<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Stream<'a> {
    log_stream_name: &'a str,
    upload_sequence_token: &'static str,
}

impl Operation {
    /// The operation that an `X-Amz-Target` names.
    #[must_use]
    pub fn of_target(target: &str) -> Self {
        match target.strip_prefix(SERVICE) {
            Some("PutLogEvents") => Self::PutLogEvents,
            Some(
                "CreateLogGroup" | "CreateLogStream" | "PutRetentionPolicy" | "TagLogGroup"
                | "TagResource",
            ) => Self::Prepare,
            Some("DescribeLogGroups") => Self::DescribeLogGroups,
            Some("DescribeLogStreams") => Self::DescribeLogStreams,
            _ => Self::Unknown,
        }
    }

    /// The answer that any node can give; `None` for events.
    ///
    /// The group or stream that is asked for is there. Vector looks for its stream
    /// in the list, and creates and asks again for as long as it is missing.
    #[must_use]
    pub fn handshake(self, body: &[u8]) -> Option<Answer> {
        Some(match self {
            Self::PutLogEvents => return None,
            Self::Prepare => Answer::new(200, CONTENT_TYPE, "{}"),
            Self::DescribeLogGroups => {
                let asked = asked(body).log_group_name_prefix;
                let name = asked.as_deref();
                let groups = name.map(|log_group_name| Group { log_group_name });
                answer::success(&Groups {
                    log_groups: groups.into_iter().collect(),
                })
            }
            Self::DescribeLogStreams => {
                let asked = asked(body).log_stream_name_prefix;
                let streams = asked.as_deref().map(|log_stream_name| Stream {
                    log_stream_name,
                    upload_sequence_token: answer::SEQUENCE_TOKEN,
                });
                answer::success(&Streams {
                    log_streams: streams.into_iter().collect(),
                })
            }
            Self::Unknown => answer::error(
                400,
                "UnknownOperationException",
                "only logs can be sent here: PutLogEvents",
            ),
        })
    }
}

/// What a body asks for; nothing if it cannot be read.
fn asked(body: &[u8]) -> Asked<'_> {
    if body.len() > BODY_BYTES_MAX {
        return Asked::default();
    }
    serde_json::from_slice(body).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handshake(operation: &str, body: &str) -> Option<(u16, String)> {
        let operation = Operation::of_target(&format!("Logs_20140328.{operation}"));
        let answer = operation.handshake(body.as_bytes())?;
        assert_eq!(answer.content_type, "application/x-amz-json-1.1");
        Some((answer.status, String::from_utf8(answer.body).unwrap()))
    }

    #[test]
    fn groups_and_streams_are_always_there() {
        // As Docker and Vector send them.
        let stream = r#"{"logGroupName":"g","logStreamName":"s1"}"#;
        let asked = r#"{"logGroupName":"g","logStreamNamePrefix":"s\"1"}"#;
        let group = r#"{"logGroupNamePrefix":"g","limit":1}"#;
        for (operation, body, expected) in [
            ("CreateLogStream", stream, "{}"),
            ("CreateLogGroup", r#"{"logGroupName":"g"}"#, "{}"),
            ("PutRetentionPolicy", "", "{}"),
            (
                "DescribeLogStreams",
                asked,
                r#"{"logStreams":[{"logStreamName":"s\"1","uploadSequenceToken":"1"}]}"#,
            ),
            ("DescribeLogStreams", "oops", r#"{"logStreams":[]}"#),
            (
                "DescribeLogGroups",
                group,
                r#"{"logGroups":[{"logGroupName":"g"}]}"#,
            ),
            ("DescribeLogGroups", "{}", r#"{"logGroups":[]}"#),
        ] {
            let expected = Some((200, expected.to_owned()));
            assert_eq!(handshake(operation, body), expected, "{operation}");
        }
        assert_eq!(handshake("PutLogEvents", "{}"), None);
    }

    #[test]
    fn other_operations_are_refused_and_no_long_name_is_repeated() {
        let (status, body) = handshake("GetLogEvents", "{}").unwrap();
        assert_eq!(status, 400);
        assert!(body.starts_with(r#"{"__type":"UnknownOperationException","message":"#));
        for target in ["", "PutLogEvents", "DynamoDB_20120810.PutLogEvents"] {
            assert_eq!(Operation::of_target(target), Operation::Unknown);
        }
        let long = format!(r#"{{"logStreamNamePrefix":"{}"}}"#, "x".repeat(1 << 20));
        let (_, body) = handshake("DescribeLogStreams", &long).unwrap();
        assert_eq!(body, r#"{"logStreams":[]}"#);
    }
}
