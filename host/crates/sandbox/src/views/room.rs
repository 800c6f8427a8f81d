//! How large a view may become.

use thiserror::Error;

/// A view would have more bytes than it may have.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("it takes more than {} MiB, which is all the memory that the sink may have", .0 >> 20)]
pub struct TooLarge(usize);

/// Fails if a view of `bytes` is larger than `most`.
pub(super) const fn check(bytes: usize, most: usize) -> Result<(), TooLarge> {
    if bytes > most {
        return Err(TooLarge(most));
    }
    Ok(())
}
