//! Whether a signature of an authority is right, without I/O: RSA with PKCS #1 1.5, and ECDSA, each over SHA-2.

use ring::signature as by;
use ring::signature::{UnparsedPublicKey, VerificationAlgorithm};
use x509_cert::der::asn1::{BitString, ObjectIdentifier};
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

/// RFC 4055 and 5758.
const SHA1_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.5");
const SHA256_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const SHA384_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12");
const SHA512_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13");
const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
/// RFC 5480.
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");

/// Why a signature does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unsigned {
    /// The key did not make it, or is shorter than 2,048 bits.
    Wrong,
    /// It was made in a way that is not taken, such as over SHA-1.
    Method(String),
}

/// Checks a signature over `signed`.
pub(super) fn verify(
    signed: &[u8],
    signature: &BitString,
    method: &AlgorithmIdentifierOwned,
    key: &SubjectPublicKeyInfoOwned,
) -> Result<(), Unsigned> {
    let curve = || key.algorithm.parameters.as_ref().and_then(|curve| curve.decode_as::<ObjectIdentifier>().ok());
    let algorithm: &dyn VerificationAlgorithm = match method.oid {
        SHA256_RSA => &by::RSA_PKCS1_2048_8192_SHA256,
        SHA384_RSA => &by::RSA_PKCS1_2048_8192_SHA384,
        SHA512_RSA => &by::RSA_PKCS1_2048_8192_SHA512,
        ECDSA_SHA256 if curve() == Some(P256) => &by::ECDSA_P256_SHA256_ASN1,
        ECDSA_SHA256 if curve() == Some(P384) => &by::ECDSA_P384_SHA256_ASN1,
        ECDSA_SHA384 if curve() == Some(P256) => &by::ECDSA_P256_SHA384_ASN1,
        ECDSA_SHA384 if curve() == Some(P384) => &by::ECDSA_P384_SHA384_ASN1,
        SHA1_RSA => return Err(Unsigned::Method("over SHA-1".into())),
        other => return Err(Unsigned::Method(other.to_string())),
    };
    let key = UnparsedPublicKey::new(algorithm, key.subject_public_key.raw_bytes());
    key.verify(signed, signature.raw_bytes()).map_err(|_| Unsigned::Wrong)
}
