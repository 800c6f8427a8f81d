//! Which sink runs, and where its bytes come from.

mod source;

pub use source::{Source, SourceError};
