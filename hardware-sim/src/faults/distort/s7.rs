//! What faults make of S7 packets.
//!
//! ```text
//! 3 | 0 | length (2) | 2 | F0 | 80 | 32 | kind | 0 (2) | reference (2) | parameters (2) | data (2) | error (2) | …
//! 0       2                            7           11               13               15                      19
//! ```

use super::Fault;
use crate::frame::Way;

/// Where the fields of a packet stand that is an answer to a job and not fragmented.
const LENGTH: usize = 2;
const PROTOCOL: usize = 7;
const KIND: usize = 8;
const REFERENCE: usize = 11;
const PARAMETERS_LENGTH: usize = 13;
const DATA_LENGTH: usize = 15;
const ERROR: usize = 17;
const PARAMETERS: usize = 19;
const ITEMS: usize = 21;

/// Bytes of an item before its data.
const ITEM_HEADER: usize = 4;

/// The answer to a read begins its parameters so.
const READ: u8 = 4;

/// Header bytes of a data packet that is the last of its PDU.
const DATA: [u8; 3] = [2, 0xF0, 0x80];

/// The broken packet; none where the fault makes no sense.
pub(super) fn broken(fault: Fault, way: Way, packet: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = packet.to_vec();
    let is_job_or_answer = packet.get(4..7) == Some(&DATA) && matches!(packet.get(KIND), Some(1..=3));
    match fault {
        Fault::WrongLength(by) => add(&mut bytes, LENGTH, by.into())?,
        _ if !is_job_or_answer => return None,
        Fault::WrongTransaction => stranger(&mut bytes)?,
        Fault::WrongProtocol => *bytes.get_mut(PROTOCOL)? ^= 1,
        Fault::Collision => {
            stranger(&mut bytes)?;
            bytes.extend_from_slice(packet);
        }
        _ if way == Way::Request => return None,
        Fault::WrongFunction => *bytes.get_mut(PARAMETERS)? ^= 1,
        Fault::Exception(code) => {
            bytes.truncate(PARAMETERS);
            bytes.get_mut(PARAMETERS_LENGTH..ERROR)?.fill(0);
            bytes.get_mut(ERROR..PARAMETERS)?.copy_from_slice(&[0x85, code]);
            let length = (PARAMETERS as u16).to_be_bytes();
            bytes.get_mut(LENGTH..LENGTH + 2)?.copy_from_slice(&length);
        }
        Fault::WrongByteCount => {
            let item = last_item(packet)?;
            add(&mut bytes, item.at + 2, 2 * item.per_byte)?;
        }
        Fault::Shorter => {
            let item = last_item(packet)?;
            bytes.truncate(packet.len().checked_sub(2).filter(|len| *len > item.at + ITEM_HEADER)?);
            resized(&mut bytes, item, -2)?;
        }
        Fault::Longer => {
            let item = last_item(packet)?;
            bytes.extend([0x55, 0xAA]);
            resized(&mut bytes, item, 2)?;
        }
        _ => return None,
    }
    Some(bytes)
}

/// A reference that nobody uses.
fn stranger(bytes: &mut [u8]) -> Option<()> {
    bytes.get_mut(REFERENCE..REFERENCE + 2)?.iter_mut().for_each(|byte| *byte ^= 0x5A);
    Some(())
}

/// Makes every length fit an item with so many more bytes.
fn resized(bytes: &mut [u8], item: Place, by: i16) -> Option<()> {
    add(bytes, LENGTH, by)?;
    add(bytes, DATA_LENGTH, by)?;
    add(bytes, item.at + 2, by * item.per_byte)
}

fn add(bytes: &mut [u8], at: usize, by: i16) -> Option<()> {
    let field = bytes.get_mut(at..at + 2)?;
    let value = u16::from_be_bytes([field[0], field[1]]).checked_add_signed(by)?;
    field.copy_from_slice(&value.to_be_bytes());
    Some(())
}

/// An item in the answer to a read.
#[derive(Clone, Copy)]
struct Place {
    at: usize,
    /// What its length counts for a byte: 8 where it counts bits.
    per_byte: i16,
}

/// The last item of the answer to a read, if it has data and nothing stands behind it.
fn last_item(packet: &[u8]) -> Option<Place> {
    let count = *packet.get(PARAMETERS + 1).filter(|_| packet.get(PARAMETERS) == Some(&READ))?;
    let (mut at, mut last) = (ITEMS, None);
    for _ in 0..count {
        // Items but the first begin at an even place of the data.
        at += (at - ITEMS) % 2;
        let header: [u8; ITEM_HEADER] = packet.get(at..at + ITEM_HEADER)?.try_into().ok()?;
        let per_byte = if matches!(header[1], 4 | 5) { 8 } else { 1 };
        let bytes = usize::from(u16::from_be_bytes([header[2], header[3]])) / per_byte as usize;
        last = Some(Place { at, per_byte }).filter(|_| bytes > 0 && header[1] != 3);
        at += ITEM_HEADER + bytes;
    }
    last.filter(|_| at == packet.len())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The answer to a read of one byte and one double word.
    const REPLY: &[u8] = &[
        3, 0, 0, 35, 2, 0xF0, 0x80, 0x32, 3, 0, 0, 0x12, 0x34, 0, 2, 0, 14, 0, 0, 4, 2, 0xFF, 4, 0, 8, 7, 0, 0xFF, 4,
        0, 32, 1, 2, 3, 4,
    ];

    fn at(changes: &[(usize, u8)]) -> Vec<u8> {
        let mut bytes = REPLY.to_vec();
        changes.iter().for_each(|(at, byte)| bytes[*at] = *byte);
        bytes
    }

    #[test]
    fn replies_are_broken_in_one_place() {
        let shorter = at(&[(3, 33), (16, 12), (30, 16)])[..33].to_vec();
        let longer = [at(&[(3, 37), (16, 16), (30, 48)]), vec![0x55, 0xAA]].concat();
        let mut refused = at(&[(3, 19), (14, 0), (16, 0), (17, 0x85), (18, 3)]);
        refused.truncate(19);
        for (fault, expected) in [
            (Fault::WrongTransaction, at(&[(11, 0x48), (12, 0x6E)])),
            (Fault::WrongProtocol, at(&[(7, 0x33)])),
            (Fault::WrongFunction, at(&[(19, 5)])),
            (Fault::WrongLength(-3), at(&[(3, 32)])),
            (Fault::WrongByteCount, at(&[(30, 48)])),
            (Fault::Shorter, shorter),
            (Fault::Longer, longer),
            (Fault::Exception(3), refused),
            (Fault::Collision, [at(&[(11, 0x48), (12, 0x6E)]), REPLY.to_vec()].concat()),
        ] {
            assert_eq!(broken(fault, Way::Reply, REPLY).as_ref(), Some(&expected), "{fault:?}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        assert_eq!(broken(Fault::WrongUnit, Way::Reply, REPLY), None);
        assert_eq!(broken(Fault::Shorter, Way::Request, REPLY), None);
        assert_eq!(broken(Fault::Shorter, Way::Reply, &at(&[(19, 5)])), None);
        let fragment = at(&[(6, 0)]);
        assert_eq!(broken(Fault::WrongTransaction, Way::Reply, &fragment), None);
    }

    proptest! {
        #[test]
        fn any_packet_can_be_broken(
            rest in proptest::collection::vec(any::<u8>(), 0..40),
            keep in 0..REPLY.len(),
            by in any::<i8>(),
        ) {
            let packet = [&REPLY[..keep], &rest].concat();
            for fault in [Fault::WrongByteCount, Fault::Shorter, Fault::Longer, Fault::WrongLength(by), Fault::Exception(1)] {
                broken(fault, Way::Reply, &packet);
            }
        }
    }
}
