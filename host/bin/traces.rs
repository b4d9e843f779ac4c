//! Traces: spans go to a collector over OTLP, and contexts come from callers and go to upstreams.

use crate::config::Config;
use async_trait::async_trait;
use fusebox_core::trace::TraceContext;
use fusebox_engine::ports::tracer::Tracer;
use fusebox_faces::cli::Failed;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// What OTLP over HTTP adds to the address of a collector.
const PATH: &str = "v1/traces";
/// How long one batch may take.
const EXPORT: Duration = Duration::from_secs(5);
/// How long the end of the process waits for the last batch.
const FLUSH: Duration = Duration::from_secs(3);

/// Where traces go: `otlp.endpoint`, else what OpenTelemetry's own variable says.
pub(crate) fn collector(config: &Config, variable: Option<&str>) -> Option<String> {
    let base = match &config.host.otlp_endpoint {
        Some(url) => {
            let scheme = if url.origin.tls { "https" } else { "http" };
            let host = &url.origin.host;
            let host = if host.contains(':') {
                format!("[{host}]")
            } else {
                host.clone()
            };
            format!("{scheme}://{host}:{}{}", url.origin.port, url.path)
        }
        None => variable?.to_owned(),
    };
    Some(format!("{}/{PATH}", base.trim_end_matches('/')))
}

/// Starts what sends spans there. Batches are sent by a thread of their own from a queue that drops what it has no room for, so that a
/// collector that is slow or gone keeps no call waiting.
///
/// # Errors
/// An address that is none.
pub(crate) fn start(collector: &str, runtime: &Handle) -> Result<SdkTracerProvider, Failed> {
    // Somebody else may have chosen the same one before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(EXPORT)
        .build()
        .map_err(|error| no_traces(&error))?;
    let exporter = SpanExporter::builder()
        .with_http()
        .with_endpoint(collector)
        .with_timeout(EXPORT)
        .with_http_client(OnRuntime {
            client,
            runtime: runtime.clone(),
            failing: Arc::default(),
        })
        .build()
        .map_err(|error| no_traces(&error))?;
    let resource = Resource::builder()
        .with_attribute(KeyValue::new("service.name", "fusebox"))
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource.build())
        .build())
}

fn no_traces(error: &dyn std::error::Error) -> Failed {
    Failed::file(
        format!("traces cannot be sent: {error}"),
        "mend `otlp.endpoint`, or OTEL_EXPORTER_OTLP_ENDPOINT: the address of a collector, such as http://127.0.0.1:4318",
    )
}

/// Sends what is left; a collector that does not take it in time loses it.
pub(crate) async fn flush(provider: SdkTracerProvider) {
    let flushed = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSH)).await;
    if let Ok(Err(error)) = flushed {
        tracing::warn!(%error, "the last spans could not be sent");
    }
}

/// Sends from the process's runtime what the thread of batches hands it.
#[derive(Clone, Debug)]
struct OnRuntime {
    client: reqwest::Client,
    runtime: Handle,
    /// Whether the last batch was lost, so that the log has it once.
    failing: Arc<AtomicBool>,
}

#[async_trait]
impl HttpClient for OnRuntime {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let this = self.clone();
        let sent = self.runtime.spawn(async move {
            let sent = this.client.send_bytes(request).await;
            this.note(&sent);
            sent
        });
        sent.await?
    }
}

impl OnRuntime {
    fn note(&self, sent: &Result<Response<Bytes>, HttpError>) {
        let why = match sent {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(format!("it answered {}", response.status())),
            Err(error) => Some(error.to_string()),
        };
        let failing = self.failing.swap(why.is_some(), Ordering::Relaxed);
        match why {
            Some(why) if !failing => tracing::warn!(why, "the collector takes no spans; they are lost until it does"),
            None if failing => tracing::info!("the collector takes spans again"),
            _ => {}
        }
    }
}

/// Knows spans by what OpenTelemetry keeps with them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OtelTracer;

impl Tracer for OtelTracer {
    fn adopt(&self, span: &Span, parent: &TraceContext) {
        let flags = if parent.sampled {
            TraceFlags::SAMPLED
        } else {
            TraceFlags::default()
        };
        let (trace, span_id) = (TraceId::from(parent.trace), SpanId::from(parent.span));
        let parent = SpanContext::new(trace, span_id, flags, true, TraceState::default());
        if let Err(error) = span.set_parent(Context::new().with_remote_span_context(parent)) {
            tracing::debug!(%error, "a span begins a trace of its own");
        }
    }

    fn context(&self, span: &Span) -> Option<TraceContext> {
        let context = span.context();
        let context = context.span().span_context().clone();
        context.is_valid().then(|| TraceContext {
            trace: u128::from_be_bytes(context.trace_id().to_bytes()),
            span: u64::from_be_bytes(context.span_id().to_bytes()),
            sampled: context.is_sampled(),
            state: None,
        })
    }
}
