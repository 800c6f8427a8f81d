//! Texts and the values of attributes.

/// Text that may share its memory with the request body it came from.
pub type Text = bytestring::ByteString;

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Text.
    Text(Text),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// True or false.
    Boolean(bool),
    /// Bytes that are not text.
    Bytes(bytes::Bytes),
    /// An object, an array, null, or a number beyond the types above, as JSON.
    Json(Text),
}

impl Value {
    pub(crate) fn text_bytes(&self) -> usize {
        match self {
            Self::Text(text) | Self::Json(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::Integer(_) | Self::Float(_) | Self::Boolean(_) => 0,
        }
    }
}
