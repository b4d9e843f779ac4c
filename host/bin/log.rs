//! What the host says about itself on stderr: lines for people, or a JSON object a line. Each line of a call carries the fields of its spans.

mod json;
mod text;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::{FilterExt as _, LevelFilter, filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry};

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// For people.
    Text {
        /// With colours.
        colour: bool,
    },
    /// For machines.
    Json,
}

/// Starts the log, and hands spans to whoever traces them.
pub(crate) fn start(form: Form, filter: &str, traces: Option<&SdkTracerProvider>) {
    let events = events(filter);
    // A line at any level tells of the call that it is about.
    let lines = events.or(filter_fn(is_span).with_max_level_hint(LevelFilter::INFO));
    let log: Box<dyn Layer<Registry> + Send + Sync> = match form {
        Form::Text { colour } => Box::new(text::lines(colour).with_filter(lines)),
        Form::Json => Box::new(json::Lines::new(std::io::stderr).with_filter(lines)),
    };
    let spans = traces.map(|provider| {
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("fusebox"))
            .with_context_activation(false)
            .with_location(false)
            .with_threads(false)
            .with_level(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(is_span).with_max_level_hint(LevelFilter::INFO))
    });
    tracing_subscriber::registry().with(log).with(spans).init();
}

/// What is logged. The library that speaks MCP complains at every level of clients that hang up or talk nonsense, which is answered to them:
/// they shall not fill the log. Whoever looks for that names it in the filter.
fn events(filter: &str) -> EnvFilter {
    let events = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("warn"));
    if filter.contains("rmcp") {
        return events;
    }
    match "rmcp=off".parse() {
        Ok(silent) => events.add_directive(silent),
        Err(_) => events,
    }
}

/// The spans that docs/metrics.md lists. What is logged stays in the log.
fn is_span(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.target().starts_with("fusebox") && *metadata.level() <= Level::INFO
}

/// The name of a field in a line: what is Fusebox's own goes without saying so; `None` for what only viewers of traces need.
fn short(name: &'static str) -> Option<&'static str> {
    match name.strip_prefix("fusebox.") {
        Some(own) => Some(own),
        None => (!name.starts_with("otel.")).then_some(name),
    }
}
