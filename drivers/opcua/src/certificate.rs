//! Certificates: our own, made once and kept, and whom we trust.
//!
//! ```text
//! pki/own/cert.der        our application certificate, to be trusted by the servers
//! pki/private/private.pem its key, readable by its owner alone
//! pki/trusted/            servers that we trust, and authorities: what they issued is trusted with them
//! pki/trusted/crl/        what those authorities have revoked
//! pki/issuer/, issuer/crl authorities that stand between, trusted only through one above them
//! pki/rejected/           those that we were shown and did not trust
//! ```

mod shape;
mod signature;
mod revocation;
mod chain;
mod folder;
mod own;

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use driver_core::FarCertificate;

use crate::config::{KeyPair, OpcUaEndpoint, Revocation};
use chain::Broken;
use shape::{Shape, date, spaced};

/// Most certificates that are kept in the rejected folder: whoever answers at an address can send one.
const REJECTED_MAX: usize = 64;

const COMPARE: &str = "Compare the thumbprint with the one that the server shows, then `forebay trust URL`";
const ISSUER: &str = "Copy the authority's certificate to the folder pki/trusted, or where it only stands between to \
                      pki/issuer; or trust this server alone: `forebay trust URL`";
const REPAIR: &str = "Have the server's certificate issued anew, or trust this server alone: `forebay trust URL`";
const LIST: &str = "Copy the authority's newest list to pki/trusted/crl, or do without one: ?revocation=if-present";
const CLOCKS: &str = "Check the clocks of both sides";
const RENEW: &str = "Renew it in the server, then trust the new one: `forebay trust URL`";
const NAME: &str = "Use one of its names in the URL; where this address is right all the same, say which name counts, \
                    ?server_name=NAME, or pin this certificate, ?pin=THUMBPRINT";
const URI: &str = "Have the server make its certificate anew, or pin this one: ?pin=THUMBPRINT";

/// The folder of certificates, and what a line demands of its server's.
#[derive(Debug, Clone)]
pub(crate) struct Pki {
    folder: PathBuf,
    application: Option<KeyPair>,
    pin: Option<String>,
    /// The host that the server's certificate has to name.
    host: String,
    revocation: Revocation,
}

/// A server's certificate, as the server shows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown<'a> {
    /// The certificate, and behind it perhaps those of its issuers (DER).
    pub(crate) der: &'a [u8],
    /// The application that the server says it is.
    pub(crate) application_uri: &'a str,
}

impl Shown<'_> {
    /// How many certificates of issuers came with it.
    pub(crate) fn issuers(&self) -> usize {
        Shape::all(self.der).len().saturating_sub(1)
    }

    /// The certificate alone, where others came with it.
    pub(crate) fn alone(&self) -> Option<Vec<u8>> {
        (self.issuers() > 0).then(|| Shape::first(self.der).map(|shape| shape.der)).flatten()
    }
}

/// Why a certificate is not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) cause: String,
    /// The next step.
    pub(crate) advice: &'static str,
}

impl Refused {
    fn new(cause: impl Into<String>, advice: &'static str) -> Refused {
        Refused { cause: format!("we refuse the server's certificate: {}", cause.into()), advice }
    }
}

impl Pki {
    /// The one that an endpoint names, or the usual one: `pki` in the state folder.
    pub(crate) fn of(endpoint: &OpcUaEndpoint) -> Pki {
        Pki {
            folder: endpoint.pki.clone().unwrap_or_else(usual_folder),
            application: endpoint.application.clone(),
            pin: endpoint.pin.clone(),
            host: endpoint.server_name.clone().unwrap_or_else(|| endpoint.host.clone()),
            revocation: endpoint.revocation,
        }
    }

    /// Where the library keeps its own copies.
    pub(crate) fn accepted(&self) -> PathBuf {
        self.folder.join("accepted")
    }

    /// Whether a server's certificate is accepted (Part 4, 6.1.3). A pin is a person's word for this one certificate, under
    /// whatever name; only its dates count besides.
    pub(crate) fn judge(&self, shown: Shown<'_>, now_s: i64) -> Result<(), Refused> {
        let all = Shape::all(shown.der);
        let Some((certificate, sent)) = all.split_first() else {
            return Err(Refused::new("it cannot be read", REPAIR));
        };
        if let Some(pin) = &self.pin {
            return match certificate.thumbprint() {
                thumbprint if thumbprint == *pin => in_its_time(certificate, now_s),
                other => {
                    let other = spaced(&other);
                    Err(Refused::new(format!("it is not the pinned one: its thumbprint is {other}"), COMPARE))
                }
            };
        }
        self.trusted(certificate, sent, now_s)?;
        in_its_time(certificate, now_s)?;
        self.right_host(certificate)?;
        right_application(certificate, shown.application_uri)
    }

    fn trusted(&self, certificate: &Shape, sent: &[Shape], now_s: i64) -> Result<(), Refused> {
        let known = folder::known(&self.folder);
        if known.trusts(certificate) {
            return match known.revoked(certificate, now_s) {
                None => Ok(()),
                Some(when) => Err(Refused::new(format!("{} was revoked on {when}", certificate.subject()), REPAIR)),
            };
        }
        let Err(broken) = chain::verify(certificate, sent, &known, now_s, self.revocation) else { return Ok(()) };
        let kept = self.reject(certificate);
        let (cause, advice) = match broken {
            Broken::Alone => (certificate.subject(), COMPARE),
            Broken::Untrusted(cause) => (cause, ISSUER),
            Broken::Invalid(cause) => (cause, REPAIR),
            Broken::Revocation(cause) => (cause, LIST),
        };
        let thumbprint = spaced(&certificate.thumbprint());
        let not_kept = kept.err().map(|cause| format!("; it was not kept: {cause}")).unwrap_or_default();
        let cause =
            format!("we do not trust the server's certificate: {cause}; its thumbprint is {thumbprint}{not_kept}");
        Err(Refused { cause, advice })
    }

    fn right_host(&self, certificate: &Shape) -> Result<(), Refused> {
        let hosts = certificate.hosts();
        if hosts.iter().any(|name| name.eq_ignore_ascii_case(&self.host)) {
            return Ok(());
        }
        let (host, thumbprint) = (&self.host, spaced(&certificate.thumbprint()));
        let names = if hosts.is_empty() { "no host at all".into() } else { hosts.join(", ") };
        Err(Refused::new(format!("it is for {names}, not for {host}; its thumbprint is {thumbprint}"), NAME))
    }

    /// Keeps what was refused, so that a person can look at it.
    fn reject(&self, certificate: &Shape) -> Result<(), String> {
        let folder = self.folder.join("rejected");
        let kept = || -> std::io::Result<()> {
            fs::create_dir_all(&folder)?;
            let path = folder.join(file_name(certificate));
            if path.exists() || fs::read_dir(&folder)?.count() >= REJECTED_MAX {
                return Ok(());
            }
            fs::write(path, &certificate.der)
        };
        kept().map_err(|cause| told(&folder, &cause.to_string()))
    }

    /// Trusts a certificate from now on; returns where it is kept.
    ///
    /// # Errors
    /// Why it cannot be kept.
    pub(crate) fn trust(&self, der: &[u8]) -> Result<PathBuf, String> {
        let certificate = Shape::first(der).ok_or("the certificate cannot be read")?;
        let folder = self.folder.join("trusted");
        fs::create_dir_all(&folder).map_err(|cause| told(&folder, &cause.to_string()))?;
        let path = folder.join(file_name(&certificate));
        fs::write(&path, &certificate.der).map_err(|cause| told(&path, &cause.to_string()))?;
        let rejected = self.folder.join("rejected").join(file_name(&certificate));
        match fs::remove_file(&rejected) {
            Err(cause) if cause.kind() != ErrorKind::NotFound => {
                let file = rejected.display();
                tracing::warn!(%file, "the certificate is trusted, and still lies among the rejected: {cause}");
            }
            _ => {}
        }
        Ok(path)
    }

    /// A certificate as it is shown to a person.
    pub(crate) fn describe(&self, shown: Shown<'_>, now_s: i64) -> Option<FarCertificate> {
        let certificate = Shape::first(shown.der)?;
        let (from, to) = certificate.validity();
        let verdict = self.judge(shown, now_s).map_err(|Refused { cause, advice }| format!("{cause}. {advice}"));
        Some(FarCertificate {
            subject: certificate.subject(),
            issuer: certificate.issuer(),
            thumbprint: spaced(&certificate.thumbprint()),
            valid_from: date(from),
            valid_to: date(to),
            names: certificate.names(),
            verdict,
            der: certificate.der,
        })
    }
}

fn in_its_time(certificate: &Shape, now_s: i64) -> Result<(), Refused> {
    let (from, to) = certificate.validity();
    if now_s < from {
        return Err(Refused::new(format!("it is valid from {} on", date(from)), CLOCKS));
    }
    if now_s > to {
        return Err(Refused::new(format!("it expired on {}", date(to)), RENEW));
    }
    Ok(())
}

/// Whether the certificate was made for the application that the server says it is.
fn right_application(certificate: &Shape, stated: &str) -> Result<(), Refused> {
    match certificate.application_uri() {
        Some(uri) if uri == stated => Ok(()),
        Some(uri) => {
            Err(Refused::new(format!("it is for the application {uri}, and the server says that it is {stated}"), URI))
        }
        None => Err(Refused::new(format!("it names no application, and the server says that it is {stated}"), URI)),
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

fn told(path: &Path, cause: &str) -> String {
    format!("{}: {cause}", path.display())
}

fn file_name(certificate: &Shape) -> String {
    format!("{}.der", certificate.thumbprint())
}

#[cfg(test)]
mod tests;
