//! What an author of a sink writes.

use serde::de::DeserializeOwned;

use crate::{Batch, Delivery, Failure, Refusals};

/// A destination for batches of log records. An instance gets one call at a time.
pub trait Sink: Sized {
    /// The manifest's `config`. No config at all is parsed like `{}`, so give
    /// optional fields a `#[serde(default)]`, and use
    /// `#[serde(deny_unknown_fields)]` so that a misspelt one is reported.
    /// [`NoConfig`](crate::NoConfig) is for sinks without any.
    type Config: DeserializeOwned;

    /// Makes the sink, before its first write. It may run while another instance
    /// still writes, so take nothing exclusively.
    ///
    /// # Errors
    /// [`Failure::Retryable`] makes the host try again later; any other failure
    /// means that the sink cannot run with this config, and its reason is shown
    /// to its author.
    fn open(config: Self::Config) -> Result<Self, Failure>;

    /// Puts the records somewhere safe. Every record that is not refused is
    /// acknowledged to its producer when this returns, so keep nothing back.
    ///
    /// A record may be offered more than once, always with the same id.
    ///
    /// # Errors
    /// About the whole batch: see [`Failure`]. What concerns single records is a
    /// refusal.
    fn write(&mut self, batch: &Batch, delivery: Delivery) -> Result<Refusals, Failure>;

    /// Ends the sink after its last write. Never called after a crash or a missed
    /// deadline, so nothing may depend on it.
    fn close(self) {}
}
