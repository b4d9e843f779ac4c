//! Whom a client trusts: the system's roots, and those of `--ca`.

use crate::cli::Failed;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::Arc;

/// TLS as rustls with ring does it.
///
/// # Errors
/// A file that gives no certificate.
pub(super) fn config(ca: Option<&Path>) -> Result<ClientConfig, Failed> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let versions = versions.map_err(|error| Failed::file(format!("TLS cannot be set up: {error}"), "report it"))?;
    let mut config = versions.with_root_certificates(roots(ca)?).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn roots(ca: Option<&Path>) -> Result<RootCertStore, Failed> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    for error in &system.errors {
        tracing::warn!(%error, "some of the system's root certificates cannot be read");
    }
    roots.add_parsable_certificates(system.certs);
    if let Some(path) = ca {
        add_file(&mut roots, path).map_err(|reason| {
            Failed::file(
                format!("{} gives no certificate: {reason}", path.display()),
                "--ca names a PEM file with the certificate of the authority that signed the host's",
            )
        })?;
    }
    Ok(roots)
}

/// A certificate that was named and cannot be used is an error: it was meant.
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
