//! Where Modbus frames begin and end, without looking at what they ask.
//!
//! ```text
//! MBAP   transaction (2) | protocol 0 (2) | length of what follows (2) | unit (1) | function (1) | data
//! RTU    unit (1) | function (1) | data | CRC-16, low byte first (2)
//! TPKT   version 3 (1) | 0 (1) | length of all (2) | TPDU
//! ```
//! Written a second time on purpose: a simulator that shared the driver's code would share its mistakes.

/// The longest RTU frame (Modbus over Serial Line V1.02, 2.5.1).
pub(crate) const RTU_MAX: usize = 256;

/// Bytes of an MBAP header without its unit.
const MBAP_PREFIX: usize = 6;

/// Bytes of a TPKT header (RFC 1006, clause 6).
pub(crate) const TPKT_HEADER: usize = 4;

/// The shortest TPKT packet: its header and the shortest TPDU, three bytes.
const TPKT_MIN: u16 = 7;

/// What the first bytes of a buffer are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// A frame of so many bytes, which may not have come whole yet.
    Frame(usize),
    /// Too few bytes to tell.
    Unclear,
    /// No frame starts here.
    Foreign,
}

/// Which way a frame goes; RTU frames differ in their lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Request,
    Reply,
}

/// The frame of Modbus TCP at the start of `bytes`.
pub(crate) fn mbap(bytes: &[u8]) -> Extent {
    let &[_, _, protocol_high, protocol_low, high, low, ..] = bytes else { return Extent::Unclear };
    let length = usize::from(u16::from_be_bytes([high, low]));
    match (protocol_high, protocol_low, length) {
        (0, 0, 2..=254) => Extent::Frame(MBAP_PREFIX + length),
        _ => Extent::Foreign,
    }
}

/// The TPKT packet at the start of `bytes`.
pub(crate) fn tpkt(bytes: &[u8]) -> Extent {
    match *bytes {
        [3, _, high, low, ..] => match u16::from_be_bytes([high, low]) {
            length @ TPKT_MIN.. => Extent::Frame(usize::from(length)),
            _ => Extent::Foreign,
        },
        [] | [3] | [3, _] | [3, _, _] => Extent::Unclear,
        _ => Extent::Foreign,
    }
}

/// The RTU frame at the start of `bytes`, by what its function says; the CRC is not looked at.
pub(crate) fn rtu(bytes: &[u8], way: Way) -> Extent {
    let Some(&function) = bytes.get(1) else { return Extent::Unclear };
    let counted = |at: usize| bytes.get(at).map_or(Extent::Unclear, |n| Extent::Frame(at + 1 + usize::from(*n) + 2));
    let extent = match (way, function) {
        (Way::Request, 0x01..=0x06) => Extent::Frame(8),
        (Way::Request, 0x0F | 0x10) => counted(6),
        (Way::Request, 0x14 | 0x15) => counted(2),
        (Way::Request, 0x17) => counted(10),
        (Way::Request, 0x2B) => Extent::Frame(7),
        (Way::Reply, 0x01..=0x04 | 0x14 | 0x15 | 0x17) => counted(2),
        (Way::Reply, 0x05 | 0x06 | 0x0F | 0x10) => Extent::Frame(8),
        (Way::Reply, 0x2B) => identification(bytes),
        (Way::Reply, 0x80..) => Extent::Frame(5),
        (_, 0x16) => Extent::Frame(10),
        _ => Extent::Foreign,
    };
    match extent {
        Extent::Frame(len) if len > RTU_MAX => Extent::Foreign,
        other => other,
    }
}

/// The answer to function 43/14: seven bytes, then objects of id, length and text.
fn identification(bytes: &[u8]) -> Extent {
    let Some(&objects) = bytes.get(7) else { return Extent::Unclear };
    let mut at = 8;
    for _ in 0..objects {
        let Some(&len) = bytes.get(at + 1) else { return Extent::Unclear };
        at += 2 + usize::from(len);
        if at > RTU_MAX {
            return Extent::Foreign;
        }
    }
    Extent::Frame(at + 2)
}

/// The first whole RTU request with a right CRC, wherever it starts, as the first byte and the one behind the last.
pub(crate) fn find_rtu_request(bytes: &[u8]) -> Option<(usize, usize)> {
    (0..bytes.len()).find_map(|start| {
        let rest = bytes.get(start..)?;
        let Extent::Frame(len) = rtu(rest, Way::Request) else { return None };
        has_right_crc(rest.get(..len)?).then_some((start, start + len))
    })
}

/// Whether the last two bytes are the CRC of those before.
pub(crate) fn has_right_crc(frame: &[u8]) -> bool {
    frame.split_last_chunk::<2>().is_some_and(|(body, crc)| *crc == crc16(body).to_le_bytes())
}

/// Puts the right CRC behind a body.
pub(crate) fn with_crc(mut body: Vec<u8>) -> Vec<u8> {
    let crc = crc16(&body);
    body.extend_from_slice(&crc.to_le_bytes());
    body
}

/// CRC-16 with the polynomial A001, started at FFFF (Modbus over Serial Line V1.02, 2.5.1.2).
pub(crate) fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0xFFFF, |crc, byte| {
        (0..8).fold(crc ^ u16::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xA001 } else { crc >> 1 })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_crc_is_that_of_the_standard() {
        assert_eq!(crc16(b"123456789"), 0x4B37);
        assert!(has_right_crc(&[0x01, 0x03, 0x00, 0x00, 0x00, 0x0A, 0xC5, 0xCD]));
        assert!(!has_right_crc(&[0x01, 0x03, 0x00, 0x00, 0x00, 0x0B, 0xC5, 0xCD]));
        assert!(!has_right_crc(&[0x01]));
    }

    #[test]
    fn mbap_frames_end_where_the_length_says() {
        assert_eq!(mbap(&[0, 1, 0, 0, 0, 6, 1, 3, 0, 0, 0, 1]), Extent::Frame(12));
        assert_eq!(mbap(&[0, 1, 0, 0, 0]), Extent::Unclear);
        assert_eq!(mbap(&[0, 1, 0, 1, 0, 6]), Extent::Foreign);
        assert_eq!(mbap(&[0, 1, 0, 0, 0, 1]), Extent::Foreign);
        assert_eq!(mbap(&[0, 1, 0, 0, 1, 0]), Extent::Foreign);
    }

    #[test]
    fn tpkt_packets_end_where_the_length_says() {
        assert_eq!(tpkt(&[3, 0, 0, 7, 2, 0xF0, 0x80]), Extent::Frame(7));
        assert_eq!(tpkt(&[3, 0, 0xFF, 0xFF]), Extent::Frame(65_535));
        assert_eq!(tpkt(&[3, 0, 0]), Extent::Unclear);
        assert_eq!(tpkt(&[3, 0, 0, 6]), Extent::Foreign);
        assert_eq!(tpkt(&[4, 0, 0, 9]), Extent::Foreign);
        assert_eq!(tpkt(b"GET "), Extent::Foreign);
    }

    #[test]
    fn rtu_frames_end_where_the_function_says() {
        let request = |bytes: &[u8]| rtu(bytes, Way::Request);
        assert_eq!(request(&[1, 3]), Extent::Frame(8));
        assert_eq!(request(&[1, 0x10, 0, 0, 0, 1, 2]), Extent::Frame(11));
        assert_eq!(request(&[1, 0x10, 0, 0, 0, 1]), Extent::Unclear);
        assert_eq!(request(&[1, 0x17, 0, 0, 0, 1, 0, 0, 0, 1, 2]), Extent::Frame(15));
        assert_eq!(request(&[1, 0x41]), Extent::Foreign);
        let reply = |bytes: &[u8]| rtu(bytes, Way::Reply);
        assert_eq!(reply(&[1, 3, 4]), Extent::Frame(9));
        assert_eq!(reply(&[1, 0x83]), Extent::Frame(5));
        assert_eq!(reply(&[1, 3, 255]), Extent::Foreign);
        assert_eq!(reply(&[1, 0x2B, 0x0E, 1, 1, 0, 0, 1, 0, 2, b'a', b'b']), Extent::Frame(14));
    }

    #[test]
    fn a_request_is_found_behind_noise() {
        let request = with_crc(vec![1, 3, 0, 0, 0, 10]);
        let noisy = [&[0xFF, 0x10, 0x01][..], &request, &[0x55]].concat();
        assert_eq!(find_rtu_request(&noisy), Some((3, 11)));
        assert_eq!(find_rtu_request(&noisy[..10]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_have_an_extent(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            for way in [Way::Request, Way::Reply] {
                if let Extent::Frame(len) = rtu(&bytes, way) {
                    prop_assert!((4..=RTU_MAX).contains(&len));
                }
            }
            if let Extent::Frame(len) = mbap(&bytes) {
                prop_assert!((8..=260).contains(&len));
            }
            find_rtu_request(&bytes);
        }
    }
}
