//! The way from a certificate up to an authority that is trusted, without I/O (Part 4, 6.1.3; RFC 5280, 6.1).

use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage};

use super::revocation::{RevocationList, Standing, standing};
use super::shape::{Shape, date, signed_part};
use super::signature::{self, Unsigned};
use crate::config::Revocation;

/// Most authorities between a certificate and the trusted one.
const DEPTH_MAX: usize = 8;

/// `id-kp-serverAuth` and `anyExtendedKeyUsage` (RFC 5280, 4.2.1.12).
const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
const ANY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");

/// What lies in the folders.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Servers and authorities that are trusted.
    pub(super) trusted: Vec<Shape>,
    /// Authorities that only stand between.
    pub(super) issuers: Vec<Shape>,
    /// What authorities revoked.
    pub(super) lists: Vec<RevocationList>,
}

/// Why no trusted authority stands behind a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Broken {
    /// It is its own authority: only a person can trust it.
    Alone,
    /// An authority is missing or is not trusted.
    Untrusted(String),
    /// Something on the way is wrong.
    Invalid(String),
    /// Whether something was revoked is not known.
    Revocation(String),
}

impl Known {
    pub(super) fn trusts(&self, certificate: &Shape) -> bool {
        self.trusted.iter().any(|known| known.der == certificate.der)
    }

    /// When a certificate that is trusted by itself was revoked, if a list at hand says so.
    pub(super) fn revoked(&self, certificate: &Shape, now_s: i64) -> Option<String> {
        self.trusted.iter().chain(&self.issuers).filter(|issuer| has_signed(issuer, certificate) == Ok(())).find_map(
            |issuer| match standing(certificate, issuer, &self.lists, now_s) {
                Standing::Revoked(when) => Some(when),
                _ => None,
            },
        )
    }
}

/// Whether a trusted authority stands behind `leaf`, with every step checked. `sent` came with it and is not trusted.
pub(super) fn verify(
    leaf: &Shape,
    sent: &[Shape],
    known: &Known,
    now_s: i64,
    revocation: Revocation,
) -> Result<(), Broken> {
    let way = way_up(leaf, sent, known)?;
    usage_of_leaf(leaf).map_err(Broken::Invalid)?;
    for (below, authority) in way.iter().enumerate() {
        may_issue(authority, below, now_s).map_err(Broken::Invalid)?;
    }
    let issued = std::iter::once(leaf).chain(way.iter().copied());
    for (certificate, issuer) in issued.zip(&way) {
        is_not_revoked(certificate, issuer, known, now_s, revocation)?;
    }
    Ok(())
}

/// The authorities from the one that signed `leaf` to the trusted one.
fn way_up<'a>(leaf: &'a Shape, sent: &'a [Shape], known: &'a Known) -> Result<Vec<&'a Shape>, Broken> {
    if leaf.is_self_issued() {
        return Err(Broken::Alone);
    }
    let mut way: Vec<&Shape> = Vec::new();
    let mut current = leaf;
    while way.len() < DEPTH_MAX {
        let (subject, issuer) = (current.subject(), current.issuer());
        let namesakes: Vec<&Shape> = known
            .trusted
            .iter()
            .chain(&known.issuers)
            .chain(sent)
            .filter(|one| one.parsed.tbs_certificate.subject == current.parsed.tbs_certificate.issuer)
            .collect();
        if namesakes.is_empty() {
            return Err(Broken::Untrusted(format!("{subject} was issued by {issuer}, whose certificate is not here")));
        }
        let mut signed = namesakes.iter().map(|one| (*one, has_signed(one, current)));
        let Some((authority, _)) = signed.clone().find(|(_, signed)| *signed == Ok(())) else {
            let cause = match signed.find_map(|(_, signed)| signed.err()) {
                Some(Unsigned::Method(method)) => {
                    format!("the signature of {subject} was made in a way that is not taken, {method}")
                }
                _ => format!("{subject} names {issuer} as its issuer, which did not sign it"),
            };
            return Err(Broken::Invalid(cause));
        };
        way.push(authority);
        if known.trusts(authority) {
            return Ok(way);
        }
        if authority.is_self_issued() {
            return Err(Broken::Untrusted(format!("{subject} was issued by {issuer}, which is not trusted")));
        }
        current = authority;
    }
    Err(Broken::Invalid(format!("there are more than {DEPTH_MAX} authorities above {}", leaf.subject())))
}

fn has_signed(authority: &Shape, certificate: &Shape) -> Result<(), Unsigned> {
    let (issuer, parsed) = (&authority.parsed.tbs_certificate, &certificate.parsed);
    if issuer.subject != parsed.tbs_certificate.issuer {
        return Err(Unsigned::Wrong);
    }
    let signed = signed_part(&certificate.der).ok_or(Unsigned::Wrong)?;
    signature::verify(signed, &parsed.signature, &parsed.signature_algorithm, &issuer.subject_public_key_info)
}

/// What a server's certificate has to be good for (Part 6, 6.2.2).
fn usage_of_leaf(leaf: &Shape) -> Result<(), String> {
    let subject = leaf.subject();
    if let Some(unknown) = leaf.unknown_restriction() {
        return Err(format!("{subject} is restricted in a way that is not known here, {unknown}"));
    }
    let usage = leaf.extension::<KeyUsage>();
    if usage
        .is_some_and(|usage| !(usage.digital_signature() && (usage.key_encipherment() || usage.data_encipherment())))
    {
        return Err(format!(
            "{subject} may not sign and encrypt: its key usage lacks digitalSignature or keyEncipherment"
        ));
    }
    let purposes = leaf.extension::<ExtendedKeyUsage>();
    if purposes.is_some_and(|purposes| !purposes.0.iter().any(|one| *one == SERVER_AUTH || *one == ANY_USAGE)) {
        return Err(format!("{subject} is not for a server: its extended key usage lacks serverAuth"));
    }
    Ok(())
}

/// Whether an authority may stand above so many others.
fn may_issue(authority: &Shape, below: usize, now_s: i64) -> Result<(), String> {
    let subject = authority.subject();
    if let Some(unknown) = authority.unknown_restriction() {
        return Err(format!("the authority {subject} is restricted in a way that is not known here, {unknown}"));
    }
    let Some(constraints) = authority.extension::<BasicConstraints>().filter(|constraints| constraints.ca) else {
        return Err(format!("{subject} is no authority, and has signed a certificate all the same"));
    };
    if constraints.path_len_constraint.is_some_and(|most| usize::from(most) < below) {
        return Err(format!("the authority {subject} may not have {below} others below it"));
    }
    if authority.extension::<KeyUsage>().is_some_and(|usage| !usage.key_cert_sign()) {
        return Err(format!("{subject} may not sign certificates: its key usage lacks keyCertSign"));
    }
    let (from, to) = authority.validity();
    if now_s < from {
        return Err(format!("the authority {subject} is valid from {} on: check the clock here", date(from)));
    }
    if now_s > to {
        return Err(format!("the authority {subject} expired on {}", date(to)));
    }
    Ok(())
}

fn is_not_revoked(
    certificate: &Shape,
    issuer: &Shape,
    known: &Known,
    now_s: i64,
    rule: Revocation,
) -> Result<(), Broken> {
    let (subject, issuer_name) = (certificate.subject(), issuer.subject());
    match standing(certificate, issuer, &known.lists, now_s) {
        Standing::Good => Ok(()),
        Standing::Unknown if rule == Revocation::IfPresent => Ok(()),
        Standing::Unknown => Err(Broken::Revocation(format!(
            "there is no list here of what {issuer_name} has revoked, made by it and whole"
        ))),
        Standing::Revoked(when) => Err(Broken::Invalid(format!("{subject} was revoked by {issuer_name} on {when}"))),
        Standing::Stale(until) => {
            Err(Broken::Revocation(format!("the list of what {issuer_name} has revoked was to be replaced by {until}")))
        }
        Standing::Early(from) => Err(Broken::Revocation(format!(
            "the list of what {issuer_name} has revoked is of {from}, which is yet to come: check the clock here"
        ))),
    }
}
