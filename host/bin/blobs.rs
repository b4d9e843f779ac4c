//! Where components and pages are that are not in the database.

use crate::config::{BLOB_SECRETS, Config, Environment};
use fusebox_faces::cli::Failed;
use fusebox_store::{Blobs, S3};
use std::fs;

/// The place that the settings name.
///
/// # Errors
/// A setting or a variable that cannot be used, or a file that cannot be read.
pub(crate) fn open(config: &Config, environment: &Environment) -> Result<Option<Blobs>, Failed> {
    let Some(settings) = &config.host.blobs else {
        return Ok(None);
    };
    let roots = config.extra_roots.as_ref().map(fs::read).transpose();
    let roots = roots.map_err(|error| {
        Failed::file(
            format!("the certificates of further authorities cannot be read: {error}"),
            "mend `network.extra-roots` in the operator's file",
        )
    })?;
    // Somebody else may have chosen the same one before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let blobs = Blobs::s3(S3 {
        place: settings.to_string(),
        bucket: settings.bucket.clone(),
        prefix: settings.prefix.clone(),
        endpoint: settings.endpoint.clone(),
        region: settings.region.clone(),
        variables: environment.aws.clone(),
        roots,
    });
    let help = "mend `[blobs]` in the operator's file, or the variables AWS_…";
    blobs.map(Some).map_err(|error| Failed::file(error.to_string(), help))
}

/// Variables that hold what opens the place, where there is one.
pub(crate) fn private_variables(config: &Config) -> impl Iterator<Item = String> {
    let set = config.host.blobs.is_some();
    BLOB_SECRETS.into_iter().filter(move |_| set).map(str::to_owned)
}
