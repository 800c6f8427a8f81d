//! The border between what makes spans and what exports them.

use std::fmt::Debug;
use std::sync::Arc;

use super::context::TraceContext;
use super::span::Span;

/// Decides which traces are recorded, and takes their spans. Without one, a node
/// makes no spans.
pub trait Tracer: Debug + Send + Sync {
    /// The context of a span that begins a trace.
    fn root(&self) -> TraceContext;

    /// The context of the span of a request below this one, which is of another
    /// process.
    fn below(&self, parent: &TraceContext) -> TraceContext;

    /// Takes a span that has ended and is sampled. Never waits; it may be dropped.
    fn ended(&self, span: Span);
}

/// A span that has not ended, for those below it.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Takes the spans.
    pub tracer: Arc<dyn Tracer>,
    /// The span.
    pub context: TraceContext,
}
