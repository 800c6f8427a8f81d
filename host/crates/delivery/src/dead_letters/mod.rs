//! Records that no sink takes, on disk: each with the time, the reason and
//! the sink. Their size is bounded: when it is reached, new ones are refused
//! and the old ones stay.

mod error;
mod handle;
mod letter;
mod store;
mod writer;

pub use error::DeadLetterError;
pub use handle::DeadLetters;
pub use letter::{Cause, Letter};
