//! Ties the host's spans to traces that began elsewhere and go on elsewhere.

use fusebox_core::trace::TraceContext;
use tracing::Span;

/// Knows where spans stand in traces.
pub trait Tracer: Send + Sync {
    /// Makes a span that was not entered yet a child of a span elsewhere.
    fn adopt(&self, span: &Span, parent: &TraceContext);

    /// What a span tells those whom it calls, all but the trace's state; `None` where spans are not traced.
    fn context(&self, span: &Span) -> Option<TraceContext>;
}

/// Traces nothing: the context that a caller brought is handed on as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTracer;

impl Tracer for NoTracer {
    fn adopt(&self, _span: &Span, _parent: &TraceContext) {}

    fn context(&self, _span: &Span) -> Option<TraceContext> {
        None
    }
}
