//! What must hold for any bytes from an MQTT client. Run by the fuzz target, and by the tests over the corpus.

use super::decode::decode;
use super::encode::encode;
use super::packet::Version;

/// The largest packet that is taken, bytes.
const PACKET_BYTES_MAX: usize = 64 * 1024;

/// What decodes is encoded to bytes that decode to it, and a packet that is cut waits.
pub(crate) fn check(input: &[u8]) {
    for version in [Version::V311, Version::V5] {
        let Ok(Some((packet, len))) = decode(input, version, PACKET_BYTES_MAX) else { continue };
        assert!(len <= input.len());
        assert_eq!(decode(&input[..len - 1], version, PACKET_BYTES_MAX), Ok(None), "{packet:?} without its last byte");
        let mut bytes = Vec::new();
        encode(&packet, version, &mut bytes);
        assert_eq!(decode(&bytes, version, PACKET_BYTES_MAX), Ok(Some((packet, bytes.len()))));
    }
}
