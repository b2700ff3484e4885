//! TLS for the HTTP client: rustls, with ring for its cryptography and the system's root certificates.
//!
//! `reqwest` would choose aws-lc-rs, whose C library takes several times as long to build. Speed does not decide: both
//! decrypt faster than a network brings images. The configuration is given to each client, so no process-wide default is
//! set.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};

use crate::Error;

pub(crate) fn config() -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    // A bare container has no certificates; plain `http` has to work there, and `https` fails with an error whose hint
    // says what is missing. One certificate that cannot be read is no reason to distrust the others.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|source| Error::Tls { source })?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}
