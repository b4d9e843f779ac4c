//! The recorder of what a serving host counts and measures, read by Prometheus.

use fusebox_engine::meters::{HISTOGRAMS, describe};
use fusebox_engine::ports::clock::Clock;
use fusebox_faces::cli::Failed;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use std::sync::Arc;
use std::time::Duration;

/// How often measured values are put into their buckets when nobody reads them, so that they do not pile up.
const UPKEEP: Duration = Duration::from_secs(5);

/// Installs the recorder; what is made from now on counts.
///
/// # Errors
/// That one is installed already: a defect.
pub(crate) fn install(clock: Arc<dyn Clock>) -> Result<PrometheusHandle, Failed> {
    let handle = recorder().map_err(|error| Failed::file(format!("nothing can be counted: {error}"), "report it"))?;
    describe();
    let upkeep = handle.clone();
    tokio::spawn(async move {
        loop {
            clock.sleep(UPKEEP).await;
            upkeep.run_upkeep();
        }
    });
    Ok(handle)
}

fn recorder() -> Result<PrometheusHandle, BuildError> {
    let mut builder = PrometheusBuilder::new();
    for (name, bounds) in HISTOGRAMS {
        builder = builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), bounds)?;
    }
    builder.install_recorder()
}
