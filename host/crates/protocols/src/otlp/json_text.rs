//! JSON text of nested values, charged as it grows.

use std::io::{self, Write};

use base64::engine::general_purpose::STANDARD;
use base64::write::EncoderWriter;
use bytes::Bytes;
use serde::Serialize;

use super::invalid::{Invalid, charge};
use crate::meter::Meter;
use sluice_types::record::Text;

/// The least memory that is allocated for a text, in bytes.
const CAPACITY_MIN: usize = 64;

/// A text that is being written.
#[derive(Debug)]
pub(super) struct JsonText<'m> {
    text: Vec<u8>,
    meter: &'m mut Meter,
}

impl<'m> JsonText<'m> {
    pub(super) const fn new(meter: &'m mut Meter) -> Self {
        let text = Vec::new();
        Self { text, meter }
    }

    pub(super) const fn meter(&mut self) -> &mut Meter {
        self.meter
    }

    pub(super) const fn len(&self) -> usize {
        self.text.len()
    }

    /// Removes what was written behind the first bytes, to write something else.
    pub(super) fn replace(&mut self, start: usize) -> &mut Self {
        self.text.truncate(start);
        self
    }

    /// Moves what was written behind the first `middle` bytes to between the first
    /// `start` bytes and the others.
    pub(super) fn move_end(&mut self, start: usize, middle: usize) {
        if let Some(moved) = self.text.get_mut(start..)
            && middle - start <= moved.len()
        {
            moved.rotate_left(middle - start);
        }
    }

    /// What is JSON already.
    pub(super) fn raw(&mut self, json: &str) -> Result<(), Invalid> {
        self.reserve(json.len())?;
        self.text.extend_from_slice(json.as_bytes());
        Ok(())
    }

    /// A comma, unless what was written so far has this length.
    pub(super) fn separate(&mut self, start: usize) -> Result<(), Invalid> {
        match self.text.len() > start {
            true => self.raw(","),
            false => Ok(()),
        }
    }

    /// A text, a whole number or a truth value.
    pub(super) fn value(&mut self, value: impl Serialize) -> Result<(), Invalid> {
        serde_json::to_writer(self, &value).map_err(|_| Invalid::Stopped)
    }

    /// A number; as a text if JSON has none like it, as protobuf's own form has it.
    pub(super) fn float(&mut self, float: f64) -> Result<(), Invalid> {
        match float {
            float if float.is_finite() => self.value(float),
            float if float.is_nan() => self.raw("\"NaN\""),
            float if float > 0.0 => self.raw("\"Infinity\""),
            _ => self.raw("\"-Infinity\""),
        }
    }

    /// Bytes in base64, as protobuf's own form has them.
    pub(super) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Invalid> {
        self.raw("\"")?;
        let mut encoder = EncoderWriter::new(&mut *self, &STANDARD);
        let written = encoder.write_all(bytes);
        let finished = written.and_then(|()| encoder.finish().map(|_| ()));
        drop(encoder);
        finished.map_err(|_| Invalid::Stopped)?;
        self.raw("\"")
    }

    /// The text, in no more memory than it needs.
    pub(super) fn finish(mut self) -> Text {
        let excess = self.text.capacity() - self.text.len();
        self.text.shrink_to_fit();
        self.meter
            .reduce(self.meter.charged().saturating_sub(excess));
        // It is UTF-8: everything that is written is.
        Text::try_from(Bytes::from(self.text)).unwrap_or_default()
    }

    fn reserve(&mut self, more: usize) -> Result<(), Invalid> {
        let (length, capacity) = (self.text.len(), self.text.capacity());
        if capacity - length < more {
            let needed = length.saturating_add(more).max(2 * capacity);
            let grown = needed.max(CAPACITY_MIN);
            charge(self.meter, grown - capacity)?;
            self.text.reserve_exact(grown - length);
        }
        Ok(())
    }
}

impl Write for JsonText<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.reserve(bytes.len()).map_err(io::Error::other)?;
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory_budget::MemoryBudget;
    use crate::meter::Client;

    fn write(
        memory: usize,
        work: impl FnOnce(&mut JsonText<'_>) -> Result<(), Invalid>,
    ) -> (Result<Text, Invalid>, usize) {
        let reservation = MemoryBudget::new(memory).reserve();
        let mut meter = Meter::new(reservation, Client::default());
        let mut json = JsonText::new(&mut meter);
        let written = work(&mut json).map(|()| json.finish());
        (written, meter.charged())
    }

    #[test]
    fn values_have_the_form_of_protobufs_json() {
        let (text, charged) = write(1 << 20, |json| {
            json.raw("[")?;
            json.value("a\"\n\u{1}é")?;
            json.separate(0)?;
            json.value(-7)?;
            for float in [1.0, 1e300, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                json.separate(0)?;
                json.float(float)?;
            }
            json.separate(0)?;
            json.bytes(&[1, 2])?;
            json.raw("]")
        });
        let expected = concat!(
            r#"["a\"\n\u0001é",-7,1.0,1e+300,"NaN","Infinity","-Infinity","#,
            r#""AQI="]"#
        );
        assert_eq!(text.unwrap(), expected);
        assert_eq!(charged, expected.len());
    }

    #[test]
    fn what_is_written_is_charged_before() {
        for work in [
            (|json| json.value("\u{1}".repeat(1000))) as fn(&mut JsonText<'_>) -> _,
            |json| json.bytes(&[0; 6000]),
            |json| (0..6000).try_for_each(|_| json.raw("x")),
        ] {
            let (text, charged) = write(1 << 20, work);
            assert_eq!(text.unwrap().len(), charged);
            let (text, charged) = write(5999, work);
            assert_eq!(text, Err(Invalid::Stopped));
            assert!(charged < 6000);
        }
    }
}
