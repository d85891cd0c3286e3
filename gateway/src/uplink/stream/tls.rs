//! TLS: certificates read anew at each connect, so that a renewed one is used without a restart.

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::client::ClientConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use tokio_rustls::TlsConnector;

use super::Failure;
use crate::uplink::TlsFiles;

const FILES: &str = "Put right the files under `tls` of the uplink";

/// Whom to trust and what to show. Reads files.
///
/// # Errors
/// A file cannot be used.
pub fn connector(files: &TlsFiles) -> Result<TlsConnector, Failure> {
    let roots = match &files.ca {
        Some(path) => roots_of(path)?,
        None => roots_of_the_system()?,
    };
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|cause| failure("TLS cannot be used", cause))?
        .with_root_certificates(roots);
    let config = match (&files.cert, &files.key) {
        (Some(cert), Some(key)) => {
            let key = PrivateKeyDer::from_pem_file(key).map_err(|cause| unreadable(key, cause))?;
            builder.with_client_auth_cert(certificates(cert)?, key).map_err(|cause| {
                failure(format_args!("the certificate {} and its key cannot be used", cert.display()), cause)
            })?
        }
        _ => builder.with_no_client_auth(),
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

/// The name that the broker's certificate must bear.
///
/// # Errors
/// No certificate can bear it.
pub fn server_name(host: &str) -> Result<ServerName<'static>, Failure> {
    ServerName::try_from(host.to_string()).map_err(|cause| Failure {
        cause: format!("`{host}` is no name that a certificate can bear: {cause}"),
        advice: "Write the broker's host name in the uplink's URL",
    })
}

/// What went wrong in the handshake, and who has to act.
pub fn handshake_failure(cause: &std::io::Error) -> Failure {
    let text = cause.to_string();
    let advice = match () {
        () if text.contains("UnknownIssuer") => {
            "The broker's certificate is signed by someone whom the gateway does not trust: set `ca` of the uplink's `tls`"
        }
        () if text.contains("not valid for") => {
            "The broker's certificate bears another name: use that name in the URL, or give the broker another certificate"
        }
        () if text.contains("expired") || text.contains("Expired") => {
            "The certificate has expired: renew it on the broker, and check this machine's clock"
        }
        () if text.contains("NotValidYet") || text.contains("not valid yet") => {
            "The certificate is not valid yet: check this machine's clock"
        }
        () if text.contains("CertificateRequired") || text.contains("HandshakeFailure") => {
            "The broker wants a certificate from the gateway: set `cert` and `key` of the uplink's `tls`"
        }
        () if text.contains("received fatal alert") => {
            "The broker does not accept the gateway's certificate: its authority must be known to the broker"
        }
        () if text.contains("InvalidContentType") => {
            "The port does not speak TLS: write the scheme without TLS in the URL, or another port"
        }
        () => "Look into the broker's log",
    };
    Failure { cause: format!("TLS: {text}"), advice }
}

fn roots_of(path: &Path) -> Result<RootCertStore, Failure> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|cause| unreadable(path, cause))?;
    }
    Ok(roots)
}

fn roots_of_the_system() -> Result<RootCertStore, Failure> {
    let mut roots = RootCertStore::empty();
    // Systems carry certificates that rustls does not take; those that it takes are enough.
    let (added, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if added == 0 {
        return Err(Failure {
            cause: "this machine has no list of certificate authorities".into(),
            advice: "Install ca-certificates, or set `ca` of the uplink's `tls`",
        });
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let certificates = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(unreadable(path, "it holds no certificate")),
        Ok(certificates) => Ok(certificates),
        Err(cause) => Err(unreadable(path, cause)),
    }
}

fn unreadable(path: &Path, cause: impl Display) -> Failure {
    failure(format_args!("cannot use {}", path.display()), cause)
}

fn failure(what: impl Display, cause: impl Display) -> Failure {
    Failure { cause: format!("{what}: {cause}"), advice: FILES }
}
