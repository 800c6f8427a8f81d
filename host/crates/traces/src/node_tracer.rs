//! The tracer of a node.

use std::fmt;
use std::sync::Arc;

use sluice_types::trace::{Span, TraceContext, TraceId, Tracer};

use crate::buffer::Buffer;
use crate::exporting::{Count, Counted};
use crate::sampler::Sampler;

/// Samples traces, and keeps their spans until they are exported.
pub struct NodeTracer {
    sampler: Sampler,
    buffer: Arc<Buffer>,
    count: Count,
}

impl fmt::Debug for NodeTracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeTracer").finish_non_exhaustive()
    }
}

impl NodeTracer {
    pub(crate) const fn new(sampler: Sampler, buffer: Arc<Buffer>, count: Count) -> Self {
        Self {
            sampler,
            buffer,
            count,
        }
    }
}

impl Tracer for NodeTracer {
    fn root(&self) -> TraceContext {
        let trace = TraceId::random();
        TraceContext::root(trace, self.sampler.records(trace))
    }

    fn below(&self, parent: &TraceContext) -> TraceContext {
        parent.child().sampled(self.sampler.records_below(parent))
    }

    fn ended(&self, span: Span) {
        if !self.buffer.add(span) {
            (self.count)(Counted::Dropped, 1);
        }
    }
}
