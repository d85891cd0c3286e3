//! Our application certificate: made once, kept, and made anew when somebody says so.

use std::fs;
use std::io::Write;
use std::path::Path;

use opcua::crypto::{CertificateStore, X509, X509Data};
use x509_cert::der::pem::LineEnding;

use super::shape::{Shape, spaced};
use super::{Pki, folder, told};
use crate::config::KeyPair;

/// Our application's name in certificates.
const APPLICATION: &str = "Forebay";
/// Bits of our key: what every policy but the legacy ones takes.
const KEY_BITS: u32 = 2_048;
/// How long our certificate is valid: as long as a plant is run.
const VALID_DAYS: u32 = 20 * 365;

impl Pki {
    /// Our application's identity for the certificate and for the session: they have to be the same (Part 4, 5.6.2).
    pub(crate) fn application_uri(&self) -> String {
        let own = self.own_paths().and_then(|pair| folder::bytes(&pair.cert).ok());
        let named = own.and_then(|der| Shape::first(&der)?.application_uri());
        named.unwrap_or_else(|| format!("urn:{}:forebay", host_name()))
    }

    /// Our certificate and key, where there are any.
    fn own_paths(&self) -> Option<KeyPair> {
        self.application.clone().or_else(|| Some(self.kept()).filter(|pair| pair.cert.exists() && pair.key.exists()))
    }

    fn kept(&self) -> KeyPair {
        KeyPair { cert: self.folder.join("own/cert.der"), key: self.folder.join("private/private.pem") }
    }

    /// Our certificate and key; made at the first call, which takes a second or two of computing.
    ///
    /// # Errors
    /// Why they cannot be read or made.
    pub(crate) fn own(&self) -> Result<KeyPair, String> {
        if let Some(pair) = self.own_paths() {
            CertificateStore::read_cert(&pair.cert).map_err(|cause| told(&pair.cert, &cause))?;
            CertificateStore::read_pkey(&pair.key).map_err(|cause| told(&pair.key, &cause))?;
            return Ok(pair);
        }
        let pair = self.kept();
        let uri = self.make(&pair)?;
        tracing::info!(certificate = %pair.cert.display(), uri, "made our application certificate: servers have to trust it");
        Ok(pair)
    }

    /// When our certificate ends, in seconds since 1970; `None` where there is none that can be read.
    pub(crate) fn own_expires_s(&self) -> Option<i64> {
        let der = folder::bytes(&self.own_paths()?.cert).ok()?;
        Shape::first(&der).map(|shape| shape.validity().1)
    }

    /// A new certificate and key in the place of ours, for the same application; says what is to be done with it.
    ///
    /// # Errors
    /// Why they cannot be made.
    pub(crate) fn renew(&self) -> Result<String, String> {
        if let Some(pair) = &self.application {
            let cert = pair.cert.display();
            return Err(format!(
                "our application certificate is {cert}, which was not made here: renew it where it was"
            ));
        }
        let pair = self.kept();
        self.make(&pair)?;
        let der = folder::bytes(&pair.cert).map_err(|cause| told(&pair.cert, &cause))?;
        let thumbprint = Shape::first(&der).map(|shape| spaced(&shape.thumbprint())).unwrap_or_default();
        Ok(format!(
            "made our application certificate anew: {}, thumbprint {thumbprint}. It counts from the next connect on; the \
             servers have to trust it",
            pair.cert.display()
        ))
    }

    /// Makes certificate and key, and returns the application that they are for. What was there stays until both are
    /// written.
    fn make(&self, pair: &KeyPair) -> Result<String, String> {
        let uri = self.application_uri();
        let data = X509Data {
            key_size: KEY_BITS,
            common_name: format!("{APPLICATION} on {}", host_name()),
            organization: APPLICATION.into(),
            organizational_unit: "Gateway".into(),
            country: "EU".into(),
            state: "-".into(),
            alt_host_names: X509Data::alt_host_names(&uri, None, false, true, false),
            certificate_duration_days: VALID_DAYS,
        };
        let (cert, key) = X509::cert_and_pkey(&data)?;
        let der = cert.to_der().map_err(|_| "our certificate cannot be encoded".to_owned())?;
        let pem = key.to_der().and_then(|key| key.to_pem("PRIVATE KEY", LineEnding::LF).map_err(Into::into));
        let pem = pem.map_err(|cause| format!("our key cannot be encoded: {cause}"))?;
        replace(&pair.key, pem.as_bytes())?;
        replace(&pair.cert, &der)?;
        Ok(uri)
    }
}

/// Writes a file that only its owner may read from its first byte on, then puts it in its place.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), String> {
    let told = |cause: std::io::Error| told(path, &cause.to_string());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(told)?;
    }
    let new = path.with_extension("new");
    // Left behind where the last try was cut off: its permissions might be another's.
    match fs::remove_file(&new) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => return Err(told(cause)),
        _ => {}
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    private(&mut options);
    let mut file = options.open(&new).map_err(told)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(told)?;
    fs::rename(&new, path).map_err(told)
}

#[cfg(unix)]
fn private(options: &mut fs::OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600);
}

#[cfg(not(unix))]
fn private(_: &mut fs::OpenOptions) {}

/// The name of this computer.
fn host_name() -> String {
    X509Data::computer_hostnames().into_iter().next().unwrap_or_else(|| "localhost".into())
}
