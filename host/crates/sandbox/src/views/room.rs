//! How large a view may become.

use thiserror::Error;

/// A view would have more bytes than it may have.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("it takes more memory than the sink may have")]
pub struct TooLarge;

/// Fails if a view of `bytes` is larger than `most`.
pub(super) const fn check(bytes: usize, most: usize) -> Result<(), TooLarge> {
    if bytes > most {
        return Err(TooLarge);
    }
    Ok(())
}
