//! Lists of revoked certificates (RFC 5280, 5), without I/O.

use x509_cert::crl::CertificateList;
use x509_cert::der::Decode;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::ext::pkix::KeyUsage;

use super::shape::{Shape, date, seconds, signed_part};
use super::signature;

/// `id-ce-cRLNumber` and `id-ce-authorityKeyIdentifier`: the extensions of a list that change nothing in what it says. One
/// that stands for a part only (a delta, a distribution point) is critical, and such a list is not taken.
const HARMLESS: [ObjectIdentifier; 2] =
    [ObjectIdentifier::new_unwrap("2.5.29.20"), ObjectIdentifier::new_unwrap("2.5.29.35")];

/// What an authority revoked.
#[derive(Debug, Clone)]
pub(super) struct RevocationList {
    der: Vec<u8>,
    parsed: CertificateList,
}

/// What the lists say of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// A list that still counts does not name it.
    Good,
    /// Revoked, and when.
    Revoked(String),
    /// Its issuer's newest list ought to have been replaced by then.
    Stale(String),
    /// Its issuer's newest list is of the future: the time of its making.
    Early(String),
    /// There is no list of its issuer.
    Unknown,
}

impl RevocationList {
    pub(super) fn parse(der: &[u8]) -> Option<RevocationList> {
        Some(RevocationList { der: der.to_vec(), parsed: CertificateList::from_der(der).ok()? })
    }

    /// Whether this authority made it, for all of its certificates.
    fn is_of(&self, issuer: &Shape) -> bool {
        let list = &self.parsed.tbs_cert_list;
        let key = &issuer.parsed.tbs_certificate;
        let is_whole = list
            .crl_extensions
            .iter()
            .flatten()
            .all(|extension| !extension.critical || HARMLESS.contains(&extension.extn_id));
        list.issuer == key.subject
            && is_whole
            && issuer.extension::<KeyUsage>().is_none_or(|usage| usage.crl_sign())
            && signed_part(&self.der).is_some_and(|signed| {
                let (signature, method) = (&self.parsed.signature, &self.parsed.signature_algorithm);
                signature::verify(signed, signature, method, &key.subject_public_key_info).is_ok()
            })
    }
}

/// What the newest list of its issuer says of a certificate.
pub(super) fn standing(certificate: &Shape, issuer: &Shape, lists: &[RevocationList], now_s: i64) -> Standing {
    let made = |list: &&RevocationList| seconds(&list.parsed.tbs_cert_list.this_update);
    let Some(list) = lists.iter().filter(|list| list.is_of(issuer)).max_by_key(made) else { return Standing::Unknown };
    let told = &list.parsed.tbs_cert_list;
    let number = &certificate.parsed.tbs_certificate.serial_number;
    let revoked = told.revoked_certificates.iter().flatten().find(|revoked| revoked.serial_number == *number);
    if let Some(revoked) = revoked {
        return Standing::Revoked(date(seconds(&revoked.revocation_date)));
    }
    if made(&list) > now_s {
        return Standing::Early(date(made(&list)));
    }
    match told.next_update.as_ref().map(seconds) {
        Some(until) if until < now_s => Standing::Stale(date(until)),
        _ => Standing::Good,
    }
}
