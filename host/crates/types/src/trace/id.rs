//! The ids of traces and spans.

use std::fmt;

/// The id of a trace: 32 digits.
pub type TraceId = Id<16>;

/// The id of a span: 16 digits.
pub type SpanId = Id<8>;

/// An id of so many bytes. It is never zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Id<const N: usize>([u8; N]);

impl<const N: usize> Id<N> {
    /// A new id.
    #[must_use]
    pub fn random() -> Self {
        Self(random())
    }

    /// The id in two digits in lower case per byte; `None` in any other form, or if it is
    /// zero.
    #[must_use]
    pub fn from_hex(text: &[u8]) -> Option<Self> {
        bytes(text).map(Self)
    }

    /// Its bytes, the most significant first.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; N] {
        self.0
    }
}

impl<const N: usize> fmt::Display for Id<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl<const N: usize> fmt::Debug for Id<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Random bytes that are not all zero.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    while bytes == [0; N] {
        rand::fill(&mut bytes[..]);
    }
    bytes
}

/// The value of a digit in lower case.
pub(super) const fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

/// The bytes of so many digits, if they are not all zero.
fn bytes<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_chunks::<2>().0) {
        let [high, low] = *pair;
        *byte = (digit(high)? << 4) | digit(low)?;
    }
    (bytes != [0; N]).then_some(bytes)
}
