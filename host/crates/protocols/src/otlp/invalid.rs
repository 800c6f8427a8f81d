//! Why a record, or what it shares with others, cannot be decoded.

use thiserror::Error;

use super::wire::WireError;

/// The most attributes of a record, with those of its resource and scope.
pub(super) const ATTRIBUTES_MAX: usize = 1024;
/// How deep values may be nested. The value of an attribute is on level 1.
pub(super) const DEPTH_MAX: usize = 32;

/// What is wrong, worded for the producer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum Invalid {
    #[error("not valid protobuf: {0}")]
    Wire(#[from] WireError),
    #[error("{0}")]
    Json(String),
    #[error("values are nested deeper than {DEPTH_MAX} levels")]
    TooDeep,
    #[error(
        "more than {ATTRIBUTES_MAX} attributes with those of resource and scope; send fewer, or \
         nest them"
    )]
    TooManyAttributes,
    /// The meter ended the work; nobody reads this.
    #[error("decoding was stopped")]
    Stopped,
}

/// Charges bytes that are about to be allocated.
pub(super) fn charge(meter: &mut crate::meter::Meter, bytes: usize) -> Result<(), Invalid> {
    match meter.charge(bytes) {
        true => Ok(()),
        false => Err(Invalid::Stopped),
    }
}
