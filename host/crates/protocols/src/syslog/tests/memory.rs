//! What messages may cost.

use super::*;
use sluice_types::record::overhead;

/// Decodes the lines of a body with this much memory.
fn lines(body: &Bytes, most: usize, memory: usize) -> Result<(Decoded, usize), DecodeError> {
    let batch = Framer::new(1 << 20).batch(body, usize::MAX);
    let body = body.slice(..batch.bytes);
    metered(memory, |meter| {
        decode::stream(batch, &body, OBSERVED, most, meter)
    })
}

#[test]
fn every_record_is_charged_with_its_attributes() {
    let line = "<12>1 - vm app 7 ID [a x=\"1\" y=\"\\\"\"] text\n";
    let body = Bytes::from(line.repeat(1000));
    let (decoded, charged) = lines(&body, 1000, 64 << 20).unwrap();
    assert_eq!(decoded.records.len(), 1000);
    assert!(charged >= 1000 * (overhead(7) + 2), "{charged}");
    assert!(lines(&body, 1000, charged).is_ok());
    for memory in [charged - 1, charged / 2, 1000] {
        assert!(matches!(
            lines(&body, 1000, memory),
            Err(DecodeError::Stopped(_))
        ));
    }
    assert!(matches!(
        lines(&body, 999, 64 << 20),
        Err(DecodeError::Stopped(_))
    ));
}

#[test]
fn texts_share_the_memory_of_the_body() {
    let body = Bytes::from("<12>1 - vm app - ID [a x=\"1\"] text\n");
    let (decoded, _) = lines(&body, 1, 1 << 20).unwrap();
    let range = body.as_ptr_range();
    let record = &decoded.records[0];
    assert!(range.contains(&record.body.as_bytes().as_ptr()));
    let shared = record.attributes.iter().filter(|(_, value)| match value {
        Value::Text(text) => range.contains(&text.as_bytes().as_ptr()),
        _ => false,
    });
    assert_eq!(shared.count(), 4);
}

#[test]
fn what_is_replaced_is_charged_before() {
    let body = Bytes::from(vec![0xff; 100_000]);
    let datagrams = [body];
    let decode = |memory| {
        metered(memory, |meter| {
            decode::datagrams(&datagrams, OBSERVED, 1, meter)
        })
    };
    let (decoded, charged) = decode(1 << 20).unwrap();
    assert_eq!(decoded.records[0].body.len(), 300_000);
    assert!(charged >= 300_000 + overhead(1));
    assert!(matches!(decode(299_999), Err(DecodeError::Stopped(_))));
}

#[test]
fn too_many_parameters_stay_in_the_text() {
    let message = |count: usize| {
        let names: String = (0..count).map(|n| format!(" p{n}=\"\"")).collect();
        format!("<12>1 - - - - - [a{names}] text")
    };
    let few = record(message(1000));
    assert_eq!((few.attributes.len(), &*few.body), (1001, "text"));
    let many = record(message(1001));
    assert_eq!(many.attributes.len(), 1);
    assert!(many.body.starts_with("[a p0=\"\" p1"));
}

#[test]
fn hostile_messages_take_time_in_proportion() {
    let size = 4 << 20;
    for piece in [
        "<", "[", "\"", "\\", " ", "-", ":", "[a", "[a x=\"", "]", "\u{e9}", "9",
    ] {
        for start in [
            "",
            "<12>",
            "<12>1 - - - - - ",
            "<12>1 - - - - - [a x=\"",
            "Nov 21 10:21:12 ",
        ] {
            let message = format!("{start}{}", piece.repeat(size / piece.len()));
            let datagrams = [Bytes::from(message)];
            let decode = |meter: &mut Meter| decode::datagrams(&datagrams, OBSERVED, 1, meter);
            let (decoded, charged) = metered(64 << 20, decode).unwrap();
            assert_eq!(decoded.records.len(), 1);
            assert!(charged <= 2 * size);
        }
    }
}

#[test]
fn empty_lines_cost_nothing() {
    let body = Bytes::from(vec![b'\n'; 16 << 20]);
    let mut framer = Framer::new(100);
    let batch = framer.batch(&body, 1);
    assert_eq!((batch.bytes, batch.messages), (body.len(), 0));
}
