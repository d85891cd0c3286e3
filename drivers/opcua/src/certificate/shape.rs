//! What stands in a certificate, without I/O.

use driver_core::Timestamp;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use x509_cert::Certificate;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::oid::AssociatedOid;
use x509_cert::der::{Decode, Header, Reader, SliceReader};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAltName};
use x509_cert::time::Time;

/// `id-ce-authorityKeyIdentifier` and `id-ce-subjectKeyIdentifier` (RFC 5280, 4.2.1), which restrict nothing.
const KEY_IDENTIFIERS: [ObjectIdentifier; 2] =
    [ObjectIdentifier::new_unwrap("2.5.29.35"), ObjectIdentifier::new_unwrap("2.5.29.14")];

/// One certificate.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    /// Its bytes, without whatever followed.
    pub(super) der: Vec<u8>,
    /// Its parts.
    pub(super) parsed: Certificate,
}

impl Shape {
    /// The first certificate in these bytes.
    pub(super) fn first(bytes: &[u8]) -> Option<Shape> {
        Shape::all(bytes).into_iter().next()
    }

    /// A certificate and its issuers, one behind the other (Part 6, 6.2.6); what is none ends them.
    pub(super) fn all(bytes: &[u8]) -> Vec<Shape> {
        let mut shapes = Vec::new();
        let Ok(mut reader) = SliceReader::new(bytes) else { return shapes };
        while !reader.is_finished()
            && let Ok(der) = reader.tlv_bytes()
            && let Ok(parsed) = Certificate::from_der(der)
        {
            shapes.push(Shape { der: der.to_vec(), parsed });
        }
        shapes
    }

    /// SHA-1 as 40 hexadecimal digits in lower case: what OPC UA calls a certificate by (Part 6, 6.2.2).
    pub(super) fn thumbprint(&self) -> String {
        let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, &self.der);
        digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(super) fn subject(&self) -> String {
        self.parsed.tbs_certificate.subject.to_string()
    }

    pub(super) fn issuer(&self) -> String {
        self.parsed.tbs_certificate.issuer.to_string()
    }

    /// Whether it names itself as its issuer.
    pub(super) fn is_self_issued(&self) -> bool {
        self.parsed.tbs_certificate.subject == self.parsed.tbs_certificate.issuer
    }

    /// From when to when it is valid, in seconds since 1970.
    pub(super) fn validity(&self) -> (i64, i64) {
        let validity = &self.parsed.tbs_certificate.validity;
        (seconds(&validity.not_before), seconds(&validity.not_after))
    }

    /// The application, hosts and addresses that it stands for.
    pub(super) fn names(&self) -> Vec<String> {
        let Some(names) = self.extension::<SubjectAltName>() else { return Vec::new() };
        names.0.iter().filter_map(name_text).collect()
    }

    /// The application that it was made for (Part 6, 6.2.2): the first URI.
    pub(super) fn application_uri(&self) -> Option<String> {
        let names = self.extension::<SubjectAltName>()?;
        names.0.iter().find_map(|name| match name {
            GeneralName::UniformResourceIdentifier(uri) => Some(uri.to_string()),
            _ => None,
        })
    }

    /// The hosts and addresses alone.
    pub(super) fn hosts(&self) -> Vec<String> {
        let Some(names) = self.extension::<SubjectAltName>() else { return Vec::new() };
        let is_host = |name: &&GeneralName| matches!(name, GeneralName::DnsName(_) | GeneralName::IpAddress(_));
        names.0.iter().filter(is_host).filter_map(name_text).collect()
    }

    /// An extension; one that cannot be read is none, and [`Shape::unknown_restriction`] tells of it where it matters.
    pub(super) fn extension<'a, T: Decode<'a> + AssociatedOid>(&'a self) -> Option<T> {
        self.parsed.tbs_certificate.get::<T>().ok().flatten().map(|(_, extension)| extension)
    }

    /// An extension that restricts what the certificate is good for, and that is not understood here (RFC 5280, 4.2).
    pub(super) fn unknown_restriction(&self) -> Option<String> {
        let is_known = |oid: ObjectIdentifier| {
            KEY_IDENTIFIERS.contains(&oid)
                || (oid == BasicConstraints::OID && self.extension::<BasicConstraints>().is_some())
                || (oid == KeyUsage::OID && self.extension::<KeyUsage>().is_some())
                || (oid == ExtendedKeyUsage::OID && self.extension::<ExtendedKeyUsage>().is_some())
                || (oid == SubjectAltName::OID && self.extension::<SubjectAltName>().is_some())
        };
        let extensions = self.parsed.tbs_certificate.extensions.iter().flatten();
        extensions
            .filter(|one| one.critical)
            .map(|one| one.extn_id)
            .find(|oid| !is_known(*oid))
            .map(|oid| oid.to_string())
    }
}

/// The bytes that a signature is over: the first element of the outer sequence, as they came.
pub(super) fn signed_part(der: &[u8]) -> Option<&[u8]> {
    let mut reader = SliceReader::new(der).ok()?;
    Header::decode(&mut reader).ok()?;
    reader.tlv_bytes().ok()
}

/// Seconds since 1970.
pub(super) fn seconds(time: &Time) -> i64 {
    i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX)
}

/// A time as it is told.
pub(super) fn date(seconds: i64) -> String {
    Timestamp(seconds.saturating_mul(1_000_000_000)).to_string()
}

/// A thumbprint as configuration tools show it.
pub(super) fn spaced(thumbprint: &str) -> String {
    let pairs: Vec<&str> = (0..thumbprint.len()).step_by(2).filter_map(|at| thumbprint.get(at..at + 2)).collect();
    pairs.join(":").to_ascii_uppercase()
}

fn name_text(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::UniformResourceIdentifier(uri) => Some(uri.to_string()),
        GeneralName::DnsName(host) => Some(host.to_string()),
        GeneralName::IpAddress(address) => match address.as_bytes() {
            [a, b, c, d] => Some(std::net::Ipv4Addr::new(*a, *b, *c, *d).to_string()),
            bytes => <[u8; 16]>::try_from(bytes).ok().map(|bytes| std::net::Ipv6Addr::from(bytes).to_string()),
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_has_no_shape() {
        for bytes in [&[][..], &[1, 2, 3], &[0x30, 0x82], &[0x30, 0x03, 0x02, 0x01, 0x00]] {
            assert!(Shape::first(bytes).is_none(), "{bytes:?}");
        }
    }

    #[test]
    fn a_thumbprint_is_shown_in_pairs() {
        assert_eq!(spaced("0a1bff"), "0A:1B:FF");
    }
}
