//! Certificates: our own, made once and kept, and whom we trust.
//!
//! ```text
//! pki/own/cert.der        our application certificate, to be trusted by the servers
//! pki/private/private.pem its key
//! pki/trusted/            certificates of servers that we trust, DER
//! pki/rejected/           those that we were shown and did not trust
//! ```

use std::fs;
use std::path::{Path, PathBuf};

use driver_core::{FarCertificate, Timestamp};
use opcua::crypto::{CertificateStore, X509, X509Data};
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use crate::config::{KeyPair, OpcUaEndpoint};

/// Our application's name in certificates.
const APPLICATION: &str = "Forebay";
/// Bits of our key: what every policy but the legacy ones takes.
const KEY_BITS: u32 = 2_048;
/// How long our certificate is valid: as long as a plant is run.
const VALID_DAYS: u32 = 20 * 365;
/// Most certificates that are kept in the rejected folder: whoever answers at an address can send one.
const REJECTED_MAX: usize = 64;

/// The folder of certificates.
#[derive(Debug, Clone)]
pub(crate) struct Pki {
    folder: PathBuf,
    application: Option<KeyPair>,
    pin: Option<String>,
}

/// Why a certificate is not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused(pub(crate) String);

impl Pki {
    /// The one that an endpoint names, or the usual one: `pki` in the state folder.
    pub(crate) fn of(endpoint: &OpcUaEndpoint) -> Pki {
        Pki {
            folder: endpoint.pki.clone().unwrap_or_else(usual_folder),
            application: endpoint.application.clone(),
            pin: endpoint.pin.clone(),
        }
    }

    /// Where the library keeps its own copies.
    pub(crate) fn accepted(&self) -> PathBuf {
        self.folder.join("accepted")
    }

    /// Our application's identity for the certificate and for the session: they have to be the same.
    pub(crate) fn application_uri(&self) -> String {
        let own = self.own_paths().map(|pair| CertificateStore::read_cert(&pair.cert));
        let named = match own {
            Some(Ok(cert)) => {
                names(&cert.to_der().unwrap_or_default()).into_iter().find(|name| name.starts_with("urn:"))
            }
            _ => None,
        };
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
        for file in [&pair.cert, &pair.key] {
            let folder = file.parent().unwrap_or(&self.folder);
            fs::create_dir_all(folder).map_err(|cause| told(folder, &cause.to_string()))?;
        }
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
        CertificateStore::create_certificate_and_key(&data, true, &pair.cert, &pair.key)?;
        private(&pair.key).map_err(|cause| told(&pair.key, &cause.to_string()))?;
        tracing::info!(certificate = %pair.cert.display(), uri, "made our application certificate: servers have to trust it");
        Ok(pair)
    }

    /// Whether a server's certificate is accepted.
    pub(crate) fn judge(&self, der: &[u8], host: &str, now_s: i64) -> Result<(), Refused> {
        let cert = X509::from_der(der).map_err(|_| Refused("the server's certificate cannot be read".into()))?;
        let thumbprint = thumbprint(&cert);
        match &self.pin {
            Some(pin) if *pin != thumbprint => {
                let shown = spaced(&thumbprint);
                return Err(Refused(format!(
                    "the server's certificate is not the pinned one: its thumbprint is {shown}"
                )));
            }
            Some(_) => {}
            None if self.is_trusted(&cert) => {}
            None => return Err(self.untrusted(&cert)),
        }
        let (from, to) =
            shape(der).map(|cert| validity(&cert)).ok_or_else(|| Refused("its validity cannot be read".into()))?;
        if now_s < from {
            let text = date(from);
            return Err(Refused(format!(
                "the server's certificate is valid from {text} on: check the clocks of both sides"
            )));
        }
        if now_s > to {
            let text = date(to);
            return Err(Refused(format!(
                "the server's certificate expired on {text}: renew it in the server, then trust the new one"
            )));
        }
        let names = names(der);
        if !names.iter().any(|name| name.eq_ignore_ascii_case(host)) {
            tracing::debug!(host, ?names, "the server's certificate is trusted, though it does not name this host");
        }
        Ok(())
    }

    fn untrusted(&self, cert: &X509) -> Refused {
        self.reject(cert);
        let (subject, thumbprint) = (cert.subject_name(), spaced(&thumbprint(cert)));
        Refused(format!("we do not trust the server's certificate: {subject}, thumbprint {thumbprint}"))
    }

    fn is_trusted(&self, cert: &X509) -> bool {
        let wanted = thumbprint(cert);
        let Ok(files) = fs::read_dir(self.folder.join("trusted")) else { return false };
        files
            .flatten()
            .any(|file| CertificateStore::read_cert(&file.path()).is_ok_and(|known| thumbprint(&known) == wanted))
    }

    /// Keeps what was refused, so that a person can look at it.
    fn reject(&self, cert: &X509) {
        let folder = self.folder.join("rejected");
        let kept = || -> std::io::Result<()> {
            fs::create_dir_all(&folder)?;
            let path = folder.join(file_name(cert));
            let der = cert.to_der().unwrap_or_default();
            if path.exists() || fs::read_dir(&folder)?.count() >= REJECTED_MAX {
                return Ok(());
            }
            fs::write(path, der)
        };
        if let Err(cause) = kept() {
            tracing::debug!(folder = %folder.display(), "a rejected certificate was not kept: {cause}");
        }
    }

    /// Trusts a certificate from now on; returns where it is kept.
    ///
    /// # Errors
    /// Why it cannot be kept.
    pub(crate) fn trust(&self, der: &[u8]) -> Result<PathBuf, String> {
        let cert = X509::from_der(der).map_err(|_| "the certificate cannot be read".to_owned())?;
        let folder = self.folder.join("trusted");
        fs::create_dir_all(&folder).map_err(|cause| told(&folder, &cause.to_string()))?;
        let path = folder.join(file_name(&cert));
        fs::write(&path, der).map_err(|cause| told(&path, &cause.to_string()))?;
        // It is no longer among the rejected; that there was none is no fault.
        let _ = fs::remove_file(self.folder.join("rejected").join(file_name(&cert)));
        Ok(path)
    }

    /// A certificate as it is shown to a person.
    pub(crate) fn shown(&self, der: &[u8], host: &str, now_s: i64) -> Option<FarCertificate> {
        let cert = X509::from_der(der).ok()?;
        let shape = shape(der)?;
        let (from, to) = validity(&shape);
        Some(FarCertificate {
            subject: cert.subject_name(),
            issuer: shape.tbs_certificate.issuer.to_string(),
            thumbprint: spaced(&thumbprint(&cert)),
            valid_from: date(from),
            valid_to: date(to),
            names: names(der),
            verdict: self.judge(der, host, now_s).map_err(|Refused(cause)| cause),
            der: der.to_vec(),
        })
    }
}

/// `pki` in the state folder: that of the service, or of the user.
fn usual_folder() -> PathBuf {
    let env = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = env("STATE_DIRECTORY")
        .or_else(|| env("XDG_STATE_HOME").map(|state| state.join("forebay")))
        .or_else(|| env("HOME").map(|home| home.join(".local/state/forebay")))
        .unwrap_or_else(|| PathBuf::from("."));
    state.join("pki")
}

/// The name of this computer.
fn host_name() -> String {
    X509Data::computer_hostnames().into_iter().next().unwrap_or_else(|| "localhost".into())
}

fn told(path: &Path, cause: &str) -> String {
    format!("{}: {cause}", path.display())
}

#[cfg(unix)]
fn private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
fn private(_: &Path) -> std::io::Result<()> {
    Ok(())
}

/// SHA-1 as 40 hexadecimal digits in lower case.
fn thumbprint(cert: &X509) -> String {
    cert.thumbprint().value().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// As configuration tools show it.
fn spaced(thumbprint: &str) -> String {
    let pairs: Vec<&str> = (0..thumbprint.len()).step_by(2).filter_map(|at| thumbprint.get(at..at + 2)).collect();
    pairs.join(":").to_ascii_uppercase()
}

fn file_name(cert: &X509) -> String {
    format!("{}.der", thumbprint(cert))
}

/// The parts of a certificate. What follows the first of a chain is left away.
fn shape(der: &[u8]) -> Option<Certificate> {
    let mut reader = x509_cert::der::SliceReader::new(der).ok()?;
    Certificate::decode(&mut reader).ok()
}

/// From when to when, in seconds since 1970.
fn validity(cert: &Certificate) -> (i64, i64) {
    let seconds = |time: &x509_cert::time::Time| i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX);
    let validity = &cert.tbs_certificate.validity;
    (seconds(&validity.not_before), seconds(&validity.not_after))
}

fn date(seconds: i64) -> String {
    Timestamp(seconds.saturating_mul(1_000_000_000)).to_string()
}

/// The application, hosts and addresses that a certificate stands for.
fn names(der: &[u8]) -> Vec<String> {
    let Some(cert) = shape(der) else { return Vec::new() };
    let Ok(Some((_, names))) = cert.tbs_certificate.get::<SubjectAltName>() else { return Vec::new() };
    let text = |name: &GeneralName| match name {
        GeneralName::UniformResourceIdentifier(uri) => Some(uri.to_string()),
        GeneralName::DnsName(host) => Some(host.to_string()),
        GeneralName::IpAddress(address) => match address.as_bytes() {
            [a, b, c, d] => Some(std::net::Ipv4Addr::new(*a, *b, *c, *d).to_string()),
            bytes => <[u8; 16]>::try_from(bytes).ok().map(|bytes| std::net::Ipv6Addr::from(bytes).to_string()),
        },
        _ => None,
    };
    names.0.iter().filter_map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    fn pki(folder: &Path, options: &str) -> Pki {
        let url = format!("opc.tcp://h?pki={}{options}", folder.display());
        Pki::of(&OpcUaEndpoint::parse(&url.parse().expect("a URL"), None).expect("an endpoint"))
    }

    fn now_s() -> i64 {
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_secs() as i64
    }

    #[test]
    fn our_certificate_is_made_once_and_names_our_application() {
        let folder = tempfile::tempdir().expect("a folder");
        let pki = pki(folder.path(), "");
        let own = pki.own().expect("a certificate");
        let der = fs::read(&own.cert).expect("a certificate");
        let uri = pki.application_uri();
        assert!(uri.starts_with("urn:") && uri.ends_with(":forebay"), "{uri}");
        assert!(names(&der).contains(&uri), "{:?}", names(&der));
        assert_eq!(pki.own(), Ok(own.clone()));
        assert_eq!(fs::read(&own.cert).expect("a certificate"), der);

        // A stranger is rejected and kept, then trusted by a person; expired or too early is refused all the same.
        let far = der;
        let Refused(cause) = pki.judge(&far, "plc", now_s()).expect_err("nobody trusts it");
        assert!(cause.contains("do not trust") && cause.contains("CN="), "{cause}");
        let files = |name: &str| fs::read_dir(folder.path().join(name)).map_or(0, Iterator::count);
        assert_eq!((files("rejected"), files("trusted")), (1, 0));
        let shown = pki.shown(&far, "plc", now_s()).expect("a certificate");
        assert!(shown.verdict.is_err() && shown.thumbprint.len() == 59, "{shown:?}");
        pki.trust(&far).expect("to be kept");
        assert_eq!((files("rejected"), files("trusted")), (0, 1));
        assert_eq!(pki.judge(&far, "plc", now_s()), Ok(()));
        let Refused(late) = pki.judge(&far, "plc", now_s() + 30 * 365 * DAY).expect_err("expired");
        assert!(late.contains("expired on 20"), "{late}");
        let Refused(early) = pki.judge(&far, "plc", now_s() - 2 * DAY).expect_err("not yet");
        assert!(early.contains("clocks"), "{early}");

        // A pin is trust enough, for that one certificate alone.
        let other = tempfile::tempdir().expect("a folder");
        let pinned = |pin: &str| super::tests::pki(other.path(), &format!("&pin={pin}"));
        assert_eq!(pinned(&shown.thumbprint).judge(&far, "plc", now_s()), Ok(()));
        let Refused(cause) = pinned(&"0".repeat(40)).judge(&far, "plc", now_s()).expect_err("another");
        assert!(cause.contains("not the pinned one"), "{cause}");
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(pki(folder.path(), "").judge(&[1, 2, 3], "h", 0).is_err());
        assert!(names(&[0x30, 0x82]).is_empty());
    }
}
