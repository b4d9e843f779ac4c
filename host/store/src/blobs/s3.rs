//! How a store that speaks S3's protocol is reached.

use super::Blobs;
use fusebox_engine::ports::store::StoreError;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey as Key};
use object_store::client::ClientOptions;
use object_store::{Certificate, RetryConfig};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long the store may say nothing.
const SILENCE: Duration = Duration::from_secs(20);
/// How long one request may take: a component is put in one.
const REQUEST: Duration = Duration::from_secs(300);
/// Further tries of a request that failed in a way that passes.
const RETRIES: usize = 4;
/// How long is tried.
const TRYING: Duration = Duration::from_secs(20);

/// Where objects are, and who asks for them.
pub struct S3 {
    /// What all that is called in messages.
    pub place: String,
    /// The name of the bucket.
    pub bucket: String,
    /// What the keys of all objects begin with; may be empty.
    pub prefix: String,
    /// The address of a store that is not Amazon's.
    pub endpoint: Option<String>,
    /// The region of the bucket, where no variable names it.
    pub region: Option<String>,
    /// Variables of the process whose names begin with `AWS_`, which have credentials among them.
    pub variables: BTreeMap<String, String>,
    /// Authorities besides the system's, in PEM.
    pub roots: Option<Vec<u8>>,
}

impl Blobs {
    /// A bucket. Nothing is asked of it yet.
    ///
    /// # Errors
    /// `Unavailable`, with what is wrong with a setting or a variable.
    pub fn s3(at: S3) -> Result<Self, StoreError> {
        let unusable = |reason: String| StoreError::Unavailable {
            reason: format!("{}: {reason}", at.place),
        };
        let mut builder = AmazonS3Builder::new();
        for (name, value) in &at.variables {
            match name.to_ascii_lowercase().parse() {
                // Where objects are is said by the settings, and nowhere else. Programs of Amazon's know more variables than there are here.
                Ok(Key::Bucket | Key::Endpoint | Key::S3Endpoint | Key::Client(_)) | Err(_) => {}
                Ok(key) => builder = builder.with_config(key, value),
            }
        }
        let mut client = ClientOptions::new()
            .with_connect_timeout(CONNECT)
            .with_read_timeout(SILENCE)
            .with_timeout(REQUEST);
        for root in roots(at.roots.as_deref()).map_err(|error| unusable(error.to_string()))? {
            client = client.with_root_certificate(root);
        }
        // Whether that is wanted was asked when the settings were read.
        client = client.with_allow_http(at.endpoint.as_ref().is_some_and(|url| url.starts_with("http://")));
        builder = builder
            .with_client_options(client)
            .with_retry(RetryConfig {
                max_retries: RETRIES,
                retry_timeout: TRYING,
                ..RetryConfig::default()
            })
            .with_bucket_name(&at.bucket);
        if let Some(region) = &at.region {
            builder = builder.with_region(region);
        }
        if let Some(endpoint) = &at.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        let store = builder.build().map_err(|error| unusable(error.to_string()))?;
        Ok(Self::new(Arc::new(store), &at.prefix, &at.place))
    }
}

fn roots(pem: Option<&[u8]>) -> Result<Vec<Certificate>, object_store::Error> {
    pem.map_or_else(|| Ok(Vec::new()), Certificate::from_pem_bundle)
}
