//! Decodes the messages of frames to records.

use bytes::Bytes;
use sluice_types::record::Text;

use super::command::Command;
use super::framer::{Batch, Frame};
use crate::decoded::{Decoded, Decoding};
use crate::meter::Meter;
use crate::syslog::RecordReader;
use crate::syslog::framer::trimmed;

/// One record for each frame of which [`is_message`] is true, in their order;
/// `body` is exactly the bytes of the batch. The records share its memory.
pub fn messages(
    batch: Batch,
    body: &Bytes,
    observed: u64,
    most: usize,
    meter: &mut Meter,
) -> Decoded {
    let mut reader = RecordReader::new(observed);
    let text = Text::try_from(body.clone()).ok();
    let mut decoding = Decoding::new(meter, most);
    decoding.expect(batch.frames);
    for frame in batch.frames(body).filter(|frame| is_message(frame, body)) {
        if decoding.is_stopped() {
            break;
        }
        let source = trimmed(body.get(frame.data.clone()).unwrap_or_default());
        let length = source.len();
        let range = frame.data.start..frame.data.start + length;
        decoding.add(source, |meter| {
            reader.read(body, text.as_ref(), range, frame.is_truncated, meter)
        });
    }
    decoding.finish(body.len())
}

/// Whether a frame of this body has a message. An empty one is answered at once.
#[must_use]
pub fn is_message(frame: &Frame, body: &[u8]) -> bool {
    let data = body.get(frame.data.clone()).unwrap_or_default();
    frame.command == Command::Syslog && !trimmed(data).is_empty()
}
