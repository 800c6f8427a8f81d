//! What a request may cost at most.

use bytes::Bytes;
use sluice_types::record::overhead;

use super::tests::{MEMORY, decode, decoded, names, reasons, record};
use crate::error::DecodeError;

#[test]
fn as_many_attributes_as_may_be_are_kept() {
    let document = |count: usize| {
        let fields: Vec<_> = (0..count).map(|n| format!("\"k{n}\":{n}")).collect();
        let fields = fields.join(",");
        format!("{{\"message\":\"m\",\"@timestamp\":1,\"level\":\"info\",{fields}}}")
    };
    assert_eq!(names(&record(&document(1024))).len(), 1024);
    for count in [1025, 100_000] {
        let bulk = decoded(format!("{{\"index\":{{}}}}\n{}\n", document(count)));
        assert!(reasons(bulk)[0].1.contains("1024 attributes"));
    }
}

#[test]
fn memory_is_charged_before_it_is_spent() {
    let many = |line: &str| Bytes::from(line.repeat(1000));
    let texts = format!("{{\"message\":\"m\",\"a\":\"{}\"}}", "\\t".repeat(100));
    let index = |number: usize| format!("{{\"index\":{{\"_index\":\"i{number}\"}}}}\n{{}}\n");
    for (body, charged) in [
        (
            many("{\"index\":{}}\n{\"message\":\"m\",\"a\":1}\n"),
            1000 * (1 + overhead(1)),
        ),
        // Escapes.
        (
            many(&format!("{{\"index\":{{}}}}\n{texts}\n")),
            1000 * (overhead(1) + 200),
        ),
        (
            many("{\"index\":{\"_id\":\"\\u0061\"}}\n{}\n"),
            1000 * (overhead(0) + 8),
        ),
        // Rejections, and no more than these.
        (many("{\"delete\":{}}\n"), 1000 * 97),
        // Attributes of indexes.
        (
            (0..1000).map(index).collect::<String>().into(),
            1000 * (overhead(0) + 256),
        ),
    ] {
        let (bulk, reservation) = decode(MEMORY, 1000, body.clone()).unwrap();
        assert_eq!(bulk.items.len(), 1000);
        let spent = reservation.spent();
        assert!(
            (charged..charged + 70_000).contains(&spent),
            "{spent}, {charged}"
        );
        assert!(decode(spent, 1000, body.clone()).is_ok());
        for (memory, most) in [(charged - 1, 1000), (MEMORY, 999), (1000, 1000)] {
            let refused = decode(memory, most, body.clone());
            assert!(matches!(refused, Err(DecodeError::Stopped(_))));
        }
    }
}

#[test]
fn hostile_requests_cost_no_more_than_others() {
    let fields = |field: &str| field.repeat((16 << 20) / field.len());
    let create = "{\"create\":{}}\n";
    for body in [
        format!("{create}{{{}\"b\":1}}\n", fields("\"a\":1,")),
        format!("{create}{{\"a\":{}", fields("[")),
        format!("{create}{{\"a\":{}", fields("{\"a\":")),
        format!(
            "{create}{{\"log\":{{{}\"b\":1}}}}\n",
            fields("\"level\":1,")
        ),
        format!("{create}{{\"a\":\"{}", fields("\\u0061")),
        format!("{create}{{\"@timestamp\":\"{}\"}}", fields("1")),
        format!("{create}{{\"@timestamp\":{}}}", fields("1")),
        format!(
            "{{{}\"index\":{{}}}}\n{{}}",
            fields("\"create\":{\"_index\":\"a\"},").as_str()
        ),
        fields("\n"),
        fields("{\"create\":{}}\n\n"),
    ] {
        let started = std::time::Instant::now();
        let decoded = decode(64 << 20, 10_000, body);
        assert!(started.elapsed().as_secs() < 20);
        if let Ok((bulk, _)) = decoded {
            assert!(
                reasons(bulk)
                    .iter()
                    .all(|(_, reason)| reason.chars().count() <= 200)
            );
        }
    }
}

#[test]
fn a_short_document_does_not_keep_a_large_request() {
    let lines = "\n".repeat(1 << 20);
    let body = Bytes::from(format!(
        "{lines}{{\"index\":{{\"_id\":\"1\"}}}}\n{{\"message\":\"m\"}}\n"
    ));
    let range = body.as_ptr_range();
    let bulk = decode(MEMORY, 100, body.clone()).unwrap().0;
    let record = &bulk.decoded.records[0];
    assert!(!range.contains(&record.body.as_bytes().as_ptr()));
    let key = record.key.as_ref().unwrap();
    assert!(!range.contains(&key.as_bytes().as_ptr()));
}
