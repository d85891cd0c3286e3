//! TLS for those who come from elsewhere: a certificate of the operator's, or one that the gateway makes for itself.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ring::digest::{SHA256, digest};
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tracing::info;

/// Where the certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Certificate {
    /// These files, PEM.
    Files {
        /// The certificate with its chain.
        cert: PathBuf,
        /// Its key.
        key: PathBuf,
    },
    /// One that the gateway makes, once, beside its buffer.
    Own,
}

/// The folder of an own certificate, in that of the buffer.
const FOLDER: &str = "http";

/// What a server shows. Waits for the disk.
///
/// # Errors
/// What cannot be read, written or used, and what to do.
pub(super) fn server(
    certificate: &Certificate,
    buffer: &Path,
    listen: SocketAddr,
) -> Result<Arc<ServerConfig>, String> {
    let (cert, key) = match certificate {
        Certificate::Files { cert, key } => (cert.clone(), key.clone()),
        Certificate::Own => own(&buffer.join(FOLDER), listen)?,
    };
    let wrong = |path: &Path, cause: &dyn std::fmt::Display| format!("cannot use {}: {cause}", path.display());
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(&cert).map_err(|cause| wrong(&cert, &cause))?.collect();
    let chain = chain.map_err(|cause| wrong(&cert, &cause))?;
    let Some(first) = chain.first() else { return Err(wrong(&cert, &"there is no certificate in it; it must be PEM")) };
    info!("the certificate of the HTTP server has the SHA-256 fingerprint {}", fingerprint(first));
    let key_der = PrivateKeyDer::from_pem_file(&key).map_err(|cause| wrong(&key, &cause))?;
    let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|cause| cause.to_string())?
        .with_no_client_auth()
        .with_single_cert(chain, key_der)
        .map_err(|cause| wrong(&cert, &cause))?;
    Ok(Arc::new(config))
}

/// The files of the own certificate; they are made where they are not there.
fn own(folder: &Path, listen: SocketAddr) -> Result<(PathBuf, PathBuf), String> {
    let (cert, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    if cert.is_file() && key.is_file() {
        return Ok((cert, key));
    }
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    names.extend(hostname());
    if !listen.ip().is_unspecified() {
        names.push(listen.ip().to_string());
    }
    let made =
        rcgen::generate_simple_self_signed(names).map_err(|cause| format!("cannot make a certificate: {cause}"))?;
    let written = fs::create_dir_all(folder)
        .and_then(|()| write(&key, &made.signing_key.serialize_pem()))
        .and_then(|()| write(&cert, &made.cert.pem()));
    written.map_err(|cause| format!("cannot keep the certificate in {}: {cause}", folder.display()))?;
    Ok((cert, key))
}

/// A name of this machine that a certificate can bear.
fn hostname() -> Option<String> {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok()?.trim().to_owned();
    let plain = name.chars().all(|character| character.is_ascii_alphanumeric() || matches!(character, '-' | '.'));
    (plain && !name.is_empty()).then_some(name)
}

/// The whole file or none, for nobody else to read.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let half = path.with_extension("half");
    let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&half)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&half, path)
}

fn fingerprint(certificate: &CertificateDer<'_>) -> String {
    let bytes = digest(&SHA256, certificate);
    bytes.as_ref().iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn an_own_certificate_is_made_once_and_its_key_is_nobody_elses() {
        let buffer = tempfile::tempdir().expect("a folder");
        let listen = SocketAddr::from(([0, 0, 0, 0], 9470));
        server(&Certificate::Own, buffer.path(), listen).expect("a server");
        let key = buffer.path().join("http/key.pem");
        let text = fs::read_to_string(&key).expect("a key");
        assert_eq!(fs::metadata(&key).expect("a key").permissions().mode() & 0o777, 0o600);
        server(&Certificate::Own, buffer.path(), listen).expect("a server");
        assert_eq!(fs::read_to_string(&key).expect("a key"), text);
        fs::write(buffer.path().join("http/cert.pem"), "none").expect("written");
        let wrong = server(&Certificate::Own, buffer.path(), listen).expect_err("no certificate");
        assert!(wrong.contains("cert.pem"), "{wrong}");
    }
}
