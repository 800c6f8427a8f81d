//! Why a body yields no records at all.

use thiserror::Error;

use crate::meter::Stop;

/// Why nothing of a body was decoded. The texts are worded for the producer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// It is not in the form that it should be in.
    #[error("{0}")]
    Malformed(String),
    /// What it says can be accepted by nobody, so sending it again does not help.
    #[error("{0}")]
    Refused(String),
    /// It is in a form that is not known here.
    #[error("{0}")]
    Unsupported(String),
    /// The work was stopped before its end.
    #[error("decoding was stopped")]
    Stopped(Stop),
}

impl From<Stop> for DecodeError {
    fn from(stop: Stop) -> Self {
        Self::Stopped(stop)
    }
}
