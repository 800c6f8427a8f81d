//! Shows records as they pass, with what became of them, to those that watch.
//!
//! The delivery [publishes](Tail) what it has decided and goes on. It pays one
//! relaxed load per decision while nobody watches, and otherwise a reference to
//! the records per [`Watcher`], which reads them in its own time.

mod handle;
mod passed;
mod waiting;
mod watcher;
mod watchers;

pub use handle::Tail;
pub use passed::{Fate, Passed};
pub use watcher::Watcher;
