//! The border of the data path: the sink as the delivery knows it.

use std::fmt::Debug;
use std::num::NonZero;
use std::pin::Pin;
use std::time::Duration;

use crate::outcome::{Refusal, WriteError};
use crate::plugin::Identity;
use crate::records::Records;
use crate::trace::Scope;

/// A future that a trait object returns.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a sink gets in addition to a batch: the WIT's `delivery`.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The leader's epoch.
    pub epoch: u64,
    /// 1 for the first.
    pub number: u32,
    /// The span of this write, for the requests that the sink sends meanwhile. The
    /// sink itself does not see it.
    pub trace: Option<Scope>,
}

/// A sink that is ready to be opened.
pub trait Sink: Debug + Send + Sync {
    /// Which sink this is.
    fn identity(&self) -> &Identity;

    /// How many writes may be under way at a time, each in an instance of its
    /// own.
    fn concurrency(&self) -> NonZero<usize> {
        NonZero::<usize>::MIN
    }

    /// Creates an instance and opens it.
    ///
    /// # Errors
    /// What the sink answered to `open`, or how the instance broke.
    fn open(&self) -> BoxFuture<'_, Result<Box<dyn SinkInstance>, WriteError>>;
}

/// An opened sink. After [`WriteError::Broken`], or after a call whose future
/// was dropped before it ended, the instance must be dropped.
pub trait SinkInstance: Debug + Send {
    /// Offers a batch. `compute` bounds the time that the sink's own code may
    /// run; waiting for its output does not count. Ok means that every record
    /// that is not refused is safe as far as the sink can tell.
    ///
    /// # Errors
    /// What the sink answered for the whole batch, or how the instance broke.
    fn write<'a>(
        &'a mut self,
        attempt: Attempt,
        batch: &'a Records,
        compute: Duration,
    ) -> BoxFuture<'a, Result<Vec<Refusal>, WriteError>>;

    /// Tells the sink that no more writes follow, and ends it.
    ///
    /// # Errors
    /// How the instance broke. Nothing depends on it.
    fn close(self: Box<Self>) -> BoxFuture<'static, Result<(), WriteError>>;
}
