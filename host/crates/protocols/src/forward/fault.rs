//! Why a MessagePack value does not become part of a record.

use thiserror::Error;

/// The most maps and arrays within each other in a field of a record.
pub(super) const DEPTH_MAX: u8 = 32;

/// What is wrong with a value, worded for the producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum Fault {
    /// The bytes end before the value does.
    #[error("its end is missing")]
    Ended,
    /// The first byte of a value is one that the format does not use.
    #[error("the byte 0xc1 is no MessagePack")]
    Unused,
    /// There are more maps and arrays within each other than are taken.
    #[error("nested more than {DEPTH_MAX} deep")]
    TooDeep,
    /// A key is a map or an array.
    #[error("a key is a map or an array")]
    NestedKey,
    /// There is no memory for it, or nobody waits for it.
    #[error("stopped")]
    Stopped,
}

/// The reason why a record is rejected.
pub(super) fn in_record(fault: Fault) -> String {
    format!("the record: {fault}")
}
