//! What follows a message through a node and beyond: the contexts of traces, as W3C's
//! Trace Context defines them, and spans that have ended. Who exports them is not
//! known here.

mod context;
mod id;
mod outcome;
mod span;
mod state;
mod tracer;

pub use context::{TRACEPARENT, TRACESTATE, TraceContext};
pub use id::{Id, SpanId, TraceId};
pub use outcome::SpanOutcome;
pub use span::{BatchWork, OutgoingWork, Parent, RequestWork, Span, SpanFailure, Work, WriteWork};
pub use state::{MAX_STATE, TraceState};
pub use tracer::{Scope, Tracer};
