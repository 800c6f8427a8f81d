//! Decodes messages to records, one for each.

use bytes::Bytes;
use sluice_types::record::Text;

use super::batch::Batch;
use super::framer::trimmed;
use super::record::RecordReader;
use crate::decoded::{Decoded, Decoding};
use crate::meter::Meter;

/// The messages of a batch; `body` is exactly its bytes. The records share their
/// memory, so a short batch should not be a part of a large buffer.
pub fn stream(
    batch: Batch,
    body: &Bytes,
    observed: u64,
    most: usize,
    meter: &mut Meter,
) -> Decoded {
    let mut reader = RecordReader::new(observed);
    let text = Text::try_from(body.clone()).ok();
    let mut decoding = Decoding::new(meter, most);
    decoding.expect(batch.messages);
    for message in batch.messages(body) {
        if decoding.is_stopped() {
            break;
        }
        let source = body.get(message.range.clone()).unwrap_or_default();
        decoding.add(source, |meter| {
            let (range, is_truncated) = (message.range, message.is_truncated);
            reader.read(body, text.as_ref(), range, is_truncated, meter)
        });
    }
    decoding.finish(body.len())
}

/// One message of each datagram, without those that are empty.
pub fn datagrams(datagrams: &[Bytes], observed: u64, most: usize, meter: &mut Meter) -> Decoded {
    let mut reader = RecordReader::new(observed);
    let mut decoding = Decoding::new(meter, most);
    decoding.expect(datagrams.len());
    for datagram in datagrams {
        if decoding.is_stopped() {
            break;
        }
        let length = trimmed(datagram).len();
        if length > 0 {
            decoding.add(datagram, |meter| {
                reader.read(datagram, None, 0..length, false, meter)
            });
        }
    }
    decoding.finish(datagrams.iter().map(Bytes::len).sum())
}
