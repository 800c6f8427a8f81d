//! Cloudflare Logpush to an HTTP destination: NDJSON, usually gzip, under a
//! content type that says nothing.
//!
//! Before a job begins, Cloudflare sends a test file, and starts the job only if
//! that is answered with 2xx. A batch that is answered with anything else is
//! sent again for some minutes.

use bytes::Bytes;

use crate::answer::{Answer, Verdict};
use crate::decoded::Decoded;
use crate::meter::Meter;
use crate::native;

/// The test file has one of these, without white space.
const TEST_FILES: [&[u8]; 2] = [br#"{"content":"tests"}"#, br#"{"content":"test"}"#];
/// No test file is longer, in bytes.
const TEST_FILE_BYTES_MAX: usize = 64;

/// One JSON object per line, as [`native::decode::ndjson`] reads them; no record
/// for the test file.
pub fn decode(body: &Bytes, observed: u64, most: usize, meter: &mut Meter) -> Decoded {
    if is_test_file(body) {
        return Decoded::default();
    }
    native::decode::ndjson(body, observed, most, meter)
}

/// The answer to a batch or to the test file. The text of a failure appears
/// in the job's last error.
#[must_use]
pub fn answer(verdict: &Verdict<'_>) -> Answer {
    crate::plain::answer(verdict, "line")
}

fn is_test_file(body: &[u8]) -> bool {
    if body.len() > TEST_FILE_BYTES_MAX {
        return false;
    }
    let spaceless = body.iter().filter(|byte| !byte.is_ascii_whitespace());
    TEST_FILES
        .iter()
        .any(|file| spaceless.clone().eq(file.iter()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory_budget::MemoryBudget;
    use crate::meter::Client;
    use crate::rejected::Rejections;
    use sluice_types::record::Value;

    fn decoded(body: &'static str) -> Decoded {
        let meter = Meter::new(MemoryBudget::new(1 << 20).reserve(), Client::default());
        let body = Bytes::from_static(body.as_bytes());
        let measured =
            meter.measure(|meter| Ok::<_, crate::error::DecodeError>(decode(&body, 1, 10, meter)));
        measured.unwrap().0
    }

    #[test]
    fn the_test_file_is_acknowledged_and_makes_no_record() {
        for body in [
            "{\"content\":\"tests\"}",
            "{ \"content\": \"tests\" }\r\n",
            "{\"content\":\"test\"}\n",
        ] {
            let decoded = decoded(body);
            assert_eq!((decoded.records.len(), decoded.rejected.len()), (0, 0));
        }
        let rejections = Rejections::default();
        let settled = Verdict::Settled {
            total: 0,
            rejections: &rejections,
        };
        assert_eq!(answer(&settled).status, 200);
    }

    #[test]
    fn a_line_that_only_resembles_it_is_a_record() {
        for (body, records) in [
            ("{\"content\":\"tests\",\"a\":1}", 1),
            ("{\"content\":\"tests\"}\n{\"content\":\"tests\"}", 2),
            ("{\"content\":\"other\"}", 1),
        ] {
            assert_eq!(decoded(body).records.len(), records, "{body}");
        }
    }

    #[test]
    fn fields_of_a_batch_become_attributes_and_a_bad_line_is_rejected_alone() {
        let decoded = decoded(
            "{\"ClientIP\":\"192.0.2.1\",\"EdgeResponseStatus\":200}\noops\n{\"ClientIP\":\"::1\"}\n",
        );
        assert_eq!((decoded.records.len(), decoded.rejected.len()), (2, 1));
        let attributes: Vec<_> = decoded.records[0].attributes.iter().cloned().collect();
        let expected = [
            ("ClientIP".into(), Value::Text("192.0.2.1".into())),
            ("EdgeResponseStatus".into(), Value::Integer(200)),
        ];
        assert_eq!(attributes, expected);
    }
}
