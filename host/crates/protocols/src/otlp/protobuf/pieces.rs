//! Messages that a body may hold in several pieces.

use bytes::Bytes;

use crate::meter::Meter;
use crate::otlp::invalid::{Invalid, charge};

/// A part of a body, or of a message that was joined of several pieces.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part<'a> {
    /// What the texts of the part share the memory of.
    pub(super) whole: &'a Bytes,
    /// The part itself.
    pub(super) bytes: &'a [u8],
}

/// The message in a field that is not repeated. If there are several, protobuf
/// wants them merged, which is the same as reading them as one.
#[derive(Debug, Default)]
pub(super) enum Pieces<'a> {
    #[default]
    None,
    One(&'a [u8]),
    /// Several, one behind the other.
    Joined(Vec<u8>),
}

impl<'a> Part<'a> {
    /// A part of this one.
    pub(super) const fn part(self, bytes: &'a [u8]) -> Self {
        Self { bytes, ..self }
    }
}

impl<'a> Pieces<'a> {
    /// Adds the next piece. Joining is charged.
    #[inline(always)]
    pub(super) fn push(&mut self, piece: &'a [u8], meter: &mut Meter) -> Result<(), Invalid> {
        if let Self::None = self {
            *self = Self::One(piece);
            return Ok(());
        }
        self.join(piece, meter)
    }

    #[cold]
    fn join(&mut self, piece: &[u8], meter: &mut Meter) -> Result<(), Invalid> {
        if let Self::One(first) = self {
            let mut joined = Vec::new();
            join(&mut joined, first, meter)?;
            *self = Self::Joined(joined);
        }
        match self {
            Self::Joined(joined) => join(joined, piece, meter),
            Self::None | Self::One(_) => Ok(()),
        }
    }

    /// Whether they are a copy of what is in the body.
    pub(super) const fn are_joined(&self) -> bool {
        matches!(self, Self::Joined(_))
    }

    /// The message; `None` if there is no piece.
    pub(super) fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::None => None,
            Self::One(piece) => Some(piece),
            Self::Joined(joined) => Some(joined),
        }
    }

    /// Calls a function with the message, a part of `whole` if it is not joined;
    /// `None` if there is no piece.
    pub(super) fn read<T>(self, whole: &Bytes, read: impl FnOnce(Part<'_>) -> T) -> Option<T> {
        match self {
            Self::None => None,
            Self::One(bytes) => Some(read(Part { whole, bytes })),
            Self::Joined(joined) => {
                let whole = &Bytes::from(joined);
                let bytes = &whole[..];
                Some(read(Part { whole, bytes }))
            }
        }
    }
}

/// A list that grows by doubling takes at most twice what it holds.
fn join(joined: &mut Vec<u8>, piece: &[u8], meter: &mut Meter) -> Result<(), Invalid> {
    charge(meter, piece.len().saturating_mul(2))?;
    joined.extend_from_slice(piece);
    Ok(())
}
