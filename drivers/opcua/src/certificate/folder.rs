//! What lies in the folders of certificates: read at each connect, so that a new list or a withdrawn trust counts at once.

use std::fs;
use std::path::Path;

use x509_cert::der::pem;

use super::chain::Known;
use super::revocation::RevocationList;
use super::shape::Shape;

/// The largest file that is looked at: lists of large authorities have some hundred thousand entries.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Everything in `trusted` and `issuer`: certificates there or in `certs` below, lists in `crl`, each DER or PEM. What is
/// neither certificate nor list is passed over with a word in the log.
pub(super) fn known(folder: &Path) -> Known {
    let mut known = Known::default();
    for (name, certificates) in [("trusted", &mut known.trusted), ("issuer", &mut known.issuers)] {
        let here = folder.join(name);
        for place in [here.clone(), here.join("certs")] {
            each_file(&place, |bytes| Shape::first(bytes).map(|shape| certificates.push(shape)));
        }
        each_file(&here.join("crl"), |bytes| RevocationList::parse(bytes).map(|list| known.lists.push(list)));
    }
    known
}

/// Hands over the bytes of each file of a folder; a folder that is not there has none.
fn each_file(folder: &Path, mut take: impl FnMut(&[u8]) -> Option<()>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()) {
        match bytes(&path) {
            Ok(bytes) if take(&bytes).is_some() => {}
            Ok(_) => tracing::warn!(file = %path.display(), "this is neither a certificate nor a list of revoked ones"),
            Err(cause) => tracing::warn!(file = %path.display(), "a certificate cannot be read: {cause}"),
        }
    }
}

/// The DER in a file.
///
/// # Errors
/// Why it cannot be read.
pub(super) fn bytes(path: &Path) -> Result<Vec<u8>, String> {
    let size = fs::metadata(path).map_err(|cause| cause.to_string())?.len();
    if size > FILE_BYTES_MAX {
        return Err(format!("it is larger than {FILE_BYTES_MAX} bytes"));
    }
    let bytes = fs::read(path).map_err(|cause| cause.to_string())?;
    let is_text = bytes.windows(11).any(|window| window == b"-----BEGIN ");
    if !is_text {
        return Ok(bytes);
    }
    pem::decode_vec(&bytes).map(|(_, der)| der).map_err(|cause| cause.to_string())
}
