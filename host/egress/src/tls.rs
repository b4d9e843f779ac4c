//! TLS: rustls with ring, the system's roots and the operator's, verified against the name, never weakened.

use crate::settings::EgressError;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;
use tokio_rustls::TlsConnector;

/// ALPN: HTTP/2 where the upstream speaks it.
pub(crate) const H2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// A connector that trusts the system's roots and those of the PEM file.
///
/// # Errors
/// [`EgressError`] when the file gives no certificate.
pub(crate) fn connector(extra_roots: Option<&Path>) -> Result<TlsConnector, EgressError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots(extra_roots)?)
        .with_no_client_auth();
    config.alpn_protocols = vec![H2.to_vec(), HTTP1.to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

fn roots(extra: Option<&Path>) -> Result<RootCertStore, EgressError> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    for error in &system.errors {
        tracing::warn!(%error, "some of the system's root certificates cannot be read");
    }
    let (trusted, _) = roots.add_parsable_certificates(system.certs);
    if let Some(path) = extra {
        add_file(&mut roots, path).map_err(|reason| EgressError::Roots {
            path: path.to_owned(),
            reason,
        })?;
    } else if trusted == 0 {
        tracing::warn!(
            "the system has no root certificates: every https upstream will be refused; install ca-certificates"
        );
    }
    Ok(roots)
}

/// A certificate of the operator that cannot be used is an error: it was meant.
fn add_file(roots: &mut RootCertStore, path: &Path) -> Result<(), String> {
    let found = CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())?;
    let before = roots.len();
    for certificate in found {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.len() == before {
        return Err("there is none in it".to_owned());
    }
    Ok(())
}
