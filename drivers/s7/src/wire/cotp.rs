//! TPDUs of ISO 8073, class 0: connecting, data in parts, taking leave.
//!
//! ```text
//! connect      length | E0 | 0 (2) | our reference (2) | class 0 | C0 01 size | C1 02 local TSAP | C2 02 remote TSAP
//! confirm      length | D0 | our reference (2) | its reference (2) | class | parameters
//! data         02 | F0 | 80 for the last part, 00 before | a part of a message
//! leave        06 | 80 | its reference (2) | our reference (2) | reason
//! ```

use super::{Malformed, tpkt};

/// The size of TPDUs that is asked for, as a power of two: 1024 bytes, more than the largest message.
const SIZE_ASKED: u8 = 10;
/// The size where the far side names none (ISO 8073, 13.3.4).
const SIZE_DEFAULT: usize = 128;
/// Our reference.
const REFERENCE: u16 = 1;
/// Bytes of a data TPDU before its payload.
pub const DATA_HEADER: usize = 3;

/// A TPDU that can come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tpdu<'b> {
    /// A message, or a part of one.
    Data {
        /// Whether the message ends here.
        last: bool,
        /// The bytes.
        payload: &'b [u8],
    },
    /// The far side takes the connection.
    Confirm {
        /// Its own reference.
        reference: u16,
        /// The longest TPDU that it takes, in bytes.
        size: usize,
    },
    /// The far side refuses the connection, or ends it.
    Disconnect {
        /// Why (ISO 8073, 13.5.3).
        reason: u8,
    },
    /// The far side did not understand us.
    Error {
        /// Why (ISO 8073, 13.12.3).
        cause: u8,
    },
}

impl<'b> Tpdu<'b> {
    /// Understands the TPDU of one packet.
    ///
    /// # Errors
    /// It is none that can come in class 0.
    pub fn decode(bytes: &'b [u8]) -> Result<Tpdu<'b>, Malformed> {
        let (&len, rest) = bytes.split_first().ok_or(Malformed("a packet came without a TPDU"))?;
        let (header, payload) =
            rest.split_at_checked(usize::from(len)).ok_or(Malformed("a TPDU came that is longer than its packet"))?;
        match *header {
            [0xF0, number] => Ok(Tpdu::Data { last: number & 0x80 != 0, payload }),
            [0xD0, _, _, high, low, _, ref parameters @ ..] => {
                Ok(Tpdu::Confirm { reference: u16::from_be_bytes([high, low]), size: size(parameters) })
            }
            [0x80, _, _, _, _, reason, ..] => Ok(Tpdu::Disconnect { reason }),
            [0x70, _, _, cause, ..] => Ok(Tpdu::Error { cause }),
            _ => Err(Malformed("a TPDU came that ISO 8073 class 0 does not have")),
        }
    }
}

/// The packet that asks for a connection.
pub fn connect(local_tsap: u16, remote_tsap: u16) -> Vec<u8> {
    let (reference, local, remote) = (REFERENCE.to_be_bytes(), local_tsap.to_be_bytes(), remote_tsap.to_be_bytes());
    let mut out = Vec::with_capacity(22);
    tpkt::put_header(18, &mut out);
    out.extend_from_slice(&[17, 0xE0, 0, 0, reference[0], reference[1], 0]);
    out.extend_from_slice(&[0xC0, 1, SIZE_ASKED, 0xC1, 2, local[0], local[1], 0xC2, 2, remote[0], remote[1]]);
    out
}

/// The packet that takes leave.
pub fn leave(far_reference: u16) -> Vec<u8> {
    let (theirs, ours) = (far_reference.to_be_bytes(), REFERENCE.to_be_bytes());
    let mut out = Vec::with_capacity(11);
    tpkt::put_header(7, &mut out);
    out.extend_from_slice(&[6, 0x80, theirs[0], theirs[1], ours[0], ours[1], 0]);
    out
}

/// Puts a message into as many packets as TPDUs of `tpdu_max` bytes take.
pub fn put_message(message: &[u8], tpdu_max: usize, out: &mut Vec<u8>) {
    let part_max = tpdu_max.saturating_sub(DATA_HEADER).max(1);
    let parts = message.len().div_ceil(part_max);
    for (index, part) in message.chunks(part_max).enumerate() {
        tpkt::put_header(DATA_HEADER + part.len(), out);
        out.extend_from_slice(&[2, 0xF0, if index + 1 == parts { 0x80 } else { 0 }]);
        out.extend_from_slice(part);
    }
}

/// The size of TPDUs among the parameters of a confirmation.
fn size(mut parameters: &[u8]) -> usize {
    while let [code, len, rest @ ..] = parameters {
        let Some((value, after)) = rest.split_at_checked(usize::from(*len)) else { break };
        if let (0xC0, [power @ 7..=13]) = (*code, value) {
            return 1 << power;
        }
        parameters = after;
    }
    SIZE_DEFAULT
}

/// Why a connection was refused or ended, in words.
pub fn disconnect_reason(reason: u8) -> &'static str {
    match reason {
        1 => "the TSAP is congested",
        2 => "nobody is at the TSAP",
        3 => "the TSAP is not known",
        128 => "it ended in good order",
        129 => "the far side is congested",
        _ => "the far side gives no reason",
    }
}
