//! Packets in TCP's stream (RFC 1006, 6).

use super::Malformed;

/// Bytes before the TPDU.
pub const HEADER: usize = 4;
/// The shortest packet: the header and the shortest TPDU.
const PACKET_MIN: usize = 7;
/// The longest packet that is taken: TPDUs of 1024 bytes are what we ask for.
pub const PACKET_MAX: usize = HEADER + 1024;

/// How long the packet is that `buffer` begins with; `None` while its header is not complete.
///
/// # Errors
/// It is no packet. There is no mark by which the next one could be found: the stream is lost.
pub fn packet_len(buffer: &[u8]) -> Result<Option<usize>, Malformed> {
    if buffer.first().is_some_and(|version| *version != 3) {
        return Err(Malformed("what came does not begin as a packet of RFC 1006 does"));
    }
    let Some(len) = buffer.get(2..).and_then(super::word) else { return Ok(None) };
    match usize::from(len) {
        len if (PACKET_MIN..=PACKET_MAX).contains(&len) => Ok(Some(len)),
        _ => Err(Malformed("a packet of RFC 1006 came with a length that none has")),
    }
}

/// Puts the header of a packet that carries `tpdu` bytes.
pub(super) fn put_header(tpdu: usize, out: &mut Vec<u8>) {
    let len = u16::try_from(HEADER + tpdu).unwrap_or(u16::MAX).to_be_bytes();
    out.extend_from_slice(&[3, 0, len[0], len[1]]);
}
