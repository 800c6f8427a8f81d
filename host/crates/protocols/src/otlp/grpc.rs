//! The method `Export` over gRPC, as plain data: what follows the headers of
//! HTTP/2 in either direction.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;

use super::partial;
use super::refusal::Refusal;
use super::wire::{put_bytes, put_varint};
use crate::answer::Verdict;
use crate::encoding::Encoding;
use crate::error::DecodeError;
use sluice_types::excerpt::excerpt;

/// The path of the method.
pub const PATH: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
/// The value of `grpc-accept-encoding`, which an answer with status 12 should
/// have.
pub const ACCEPTED_ENCODINGS: &str = "identity,gzip,zstd";

/// A flag for the compression, and four bytes of length.
const PREFIX_BYTES: usize = 5;
/// The most characters of an unknown encoding's name in an answer.
const NAME_CHARS: usize = 40;
/// The type of the detail that says when to send again.
const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";
/// `RetryInfo` with a `retry_delay` of 1 s.
const IN_A_SECOND: &[u8] = b"\x0a\x02\x08\x01";

/// What a call is answered with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrpcAnswer {
    /// The response in its frame; empty if there is none.
    pub body: Vec<u8>,
    /// `grpc-status`
    pub status: u8,
    /// `grpc-message`, percent-encoded; empty for an answer without one.
    pub message: String,
    /// `grpc-status-details-bin`, in base64; empty for an answer without one.
    pub details: String,
}

/// The message of a call as it came, and how it is packed if its flag says that it
/// is, by the call's `grpc-encoding`, which is empty if there is none.
///
/// # Errors
/// It is not one message, or the encoding is unknown.
pub fn unframe(body: &Bytes, encoding: &str) -> Result<(Bytes, Option<Encoding>), DecodeError> {
    let malformed = |reason: &str| DecodeError::Malformed(reason.to_owned());
    let Some(([flag, length @ ..], message)) = body.split_first_chunk::<PREFIX_BYTES>() else {
        return Err(malformed("the call ends before its message"));
    };
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
    match message.len() {
        there if there < length => return Err(malformed("the call ends within its message")),
        there if there > length => {
            return Err(malformed("there is more than one message in the call"));
        }
        _ => {}
    }
    let packing = match flag {
        0 => None,
        1 => Some(packing(encoding)?),
        _ => return Err(malformed("the flag of the message is neither 0 nor 1")),
    };
    Ok((body.slice_ref(message), packing))
}

fn packing(name: &str) -> Result<Encoding, DecodeError> {
    match Encoding::of(name.as_bytes()) {
        Ok(Some(encoding)) => Ok(encoding),
        Ok(None) => Err(DecodeError::Malformed(
            "the message is compressed, but grpc-encoding does not say how".to_owned(),
        )),
        Err(_) => Err(DecodeError::Unsupported(format!(
            "the grpc-encoding {:?} is not understood; use gzip, zstd or identity",
            excerpt(name, NAME_CHARS)
        ))),
    }
}

/// The answer to a call.
#[must_use]
pub fn answer(verdict: Verdict<'_>) -> GrpcAnswer {
    match Refusal::of(verdict) {
        Ok(refusal) => GrpcAnswer {
            body: Vec::new(),
            status: refusal.grpc,
            details: STANDARD_NO_PAD.encode(status(&refusal)),
            message: percent_encoded(&refusal.message),
        },
        Err((total, rejections)) => GrpcAnswer {
            body: frame(&partial::protobuf(total, rejections)),
            ..GrpcAnswer::default()
        },
    }
}

/// A message that is not compressed, in its frame.
fn frame(message: &[u8]) -> Vec<u8> {
    // A response has at most 64 KiB.
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut frame = Vec::with_capacity(PREFIX_BYTES + message.len());
    frame.push(0);
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(message);
    frame
}

/// `google.rpc.Status`
fn status(refusal: &Refusal) -> Vec<u8> {
    let mut status = Vec::new();
    put_varint(&mut status, 1, refusal.grpc.into());
    put_bytes(&mut status, 2, refusal.message.as_bytes());
    if refusal.is_temporary() {
        let mut detail = Vec::new();
        put_bytes(&mut detail, 1, RETRY_INFO.as_bytes());
        put_bytes(&mut detail, 2, IN_A_SECOND);
        put_bytes(&mut status, 3, &detail);
    }
    status
}

/// The text as `grpc-message` has it: printable ASCII without the percent sign is
/// as it is.
fn percent_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'%' | ..b' ' | 0x7f.. => encoded += &format!("%{byte:02X}"),
            plain => encoded.push(char::from(plain)),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rejected::Rejections;
    use prost::Message;

    /// `google.rpc.Status`, and what it holds.
    #[derive(Clone, PartialEq, Message)]
    struct Status {
        #[prost(int32, tag = "1")]
        code: i32,
        #[prost(string, tag = "2")]
        message: String,
        #[prost(message, repeated, tag = "3")]
        details: Vec<Any>,
    }

    #[derive(Clone, PartialEq, Message)]
    struct Any {
        #[prost(string, tag = "1")]
        type_url: String,
        #[prost(bytes = "vec", tag = "2")]
        value: Vec<u8>,
    }

    #[derive(Clone, PartialEq, Message)]
    struct RetryInfo {
        #[prost(message, optional, tag = "1")]
        retry_delay: Option<Duration>,
    }

    #[derive(Clone, PartialEq, Message)]
    struct Duration {
        #[prost(int64, tag = "1")]
        seconds: i64,
        #[prost(int32, tag = "2")]
        nanos: i32,
    }

    fn framed(flag: u8, message: &[u8]) -> Bytes {
        let mut frame = frame(message);
        frame[0] = flag;
        frame.into()
    }

    #[test]
    fn a_message_is_packed_if_its_flag_says_so() {
        let text = Bytes::from_static(b"a message");
        for (flag, encoding, packing) in [
            (0, "", None),
            (0, "gzip", None),
            (0, "br", None),
            (1, "gzip", Some(Encoding::Gzip)),
            (1, "zstd", Some(Encoding::Zstd)),
        ] {
            let read = unframe(&framed(flag, &text), encoding).unwrap();
            assert_eq!(read, (text.clone(), packing), "{flag} {encoding}");
        }
        assert_eq!(unframe(&framed(0, b""), ""), Ok((Bytes::new(), None)));
    }

    #[test]
    fn what_is_not_one_message_is_refused() {
        for (body, encoding) in [
            (Bytes::new(), ""),
            (Bytes::from_static(b"\0\0\0\0"), ""),
            (Bytes::from_static(b"\0\0\0\0\x02a"), ""),
            (Bytes::from_static(b"\0\0\0\0\x01ab"), ""),
            (Bytes::from_static(b"\0\0\0\0\0\0\0\0\0\0"), ""),
            (framed(2, b"a"), "gzip"),
            (framed(1, b"a"), ""),
            (framed(1, b"a"), "identity"),
        ] {
            let refused = unframe(&body, encoding);
            assert!(
                matches!(refused, Err(DecodeError::Malformed(_))),
                "{body:?}"
            );
        }
        let unknown = unframe(&framed(1, b"a"), "br");
        assert!(matches!(unknown, Err(DecodeError::Unsupported(_))));
    }

    #[test]
    fn a_success_is_a_frame() {
        let rejections = &Rejections::default();
        let settled = answer(Verdict::Settled {
            total: 1,
            rejections,
        });
        let expected = GrpcAnswer {
            body: b"\0\0\0\0\0".to_vec(),
            ..GrpcAnswer::default()
        };
        assert_eq!(settled, expected);
    }

    #[test]
    fn only_what_may_be_sent_again_is_unavailable_with_a_delay() {
        for (verdict, code) in [
            (Verdict::Busy("the queue is full"), 14),
            (Verdict::Stopping, 14),
            (Verdict::Unknown("the sink is silent"), 14),
            (Verdict::NoToken, 16),
            (Verdict::WrongToken, 16),
            (Verdict::Malformed("nonsense"), 3),
            (Verdict::Unsupported("brotli"), 12),
            (Verdict::TooLarge("more than 16 MiB"), 3),
        ] {
            let answer = answer(verdict);
            assert!(answer.body.is_empty());
            assert_eq!(answer.status, code);
            assert!(!answer.details.contains('='));
            let details = STANDARD_NO_PAD.decode(&answer.details).unwrap();
            let status = Status::decode(&details[..]).unwrap();
            assert_eq!(status.code, i32::from(code));
            assert_eq!(percent_encoded(&status.message), answer.message);
            assert!(!status.message.is_empty());
            if code != 14 {
                assert!(status.details.is_empty(), "{verdict:?}");
                continue;
            }
            let [detail] = &status.details[..] else {
                panic!("{status:?}");
            };
            assert_eq!(detail.type_url, RETRY_INFO);
            let retry = RetryInfo::decode(&detail.value[..]).unwrap();
            let delay = retry.retry_delay.unwrap();
            assert_eq!((delay.seconds, delay.nanos), (1, 0));
        }
    }

    #[test]
    fn a_message_is_short_printable_ascii() {
        assert_eq!(
            percent_encoded("a b~100%\n\u{7f}é"),
            "a b~100%25%0A%7F%C3%A9"
        );
        let long = "é".repeat(1 << 20);
        let answer = answer(Verdict::Malformed(&long));
        assert!(answer.message.len() < 4000 && answer.details.len() < 4000);
    }
}
