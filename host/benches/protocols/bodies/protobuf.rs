//! The wire format of protobuf.

/// A message whose fields are appended one after the other.
#[derive(Default)]
pub(super) struct Message(pub(super) Vec<u8>);

impl Message {
    /// A field with a number of variable length.
    pub(super) fn number(mut self, field: u8, number: u64) -> Self {
        self.0.push(field << 3);
        self.varint(number);
        self
    }

    /// A field with a number of eight bytes.
    pub(super) fn fixed(mut self, field: u8, number: u64) -> Self {
        self.0.push(field << 3 | 1);
        self.0.extend(number.to_le_bytes());
        self
    }

    /// A field with bytes, a text or a message.
    pub(super) fn bytes(mut self, field: u8, content: impl AsRef<[u8]>) -> Self {
        self.0.push(field << 3 | 2);
        self.varint(content.as_ref().len() as u64);
        self.0.extend(content.as_ref());
        self
    }

    fn varint(&mut self, mut number: u64) {
        while number > 0x7f {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
    }
}

impl AsRef<[u8]> for Message {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}
