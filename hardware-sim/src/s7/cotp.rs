//! TPDUs of class 0 inside TPKT packets (RFC 1006; ISO 8073, clause 13).
//!
//! ```text
//! CR, CC   length | E0, D0 | destination (2) | source (2) | class 0 | parameters: code | length | value
//! DR       length | 80 | destination (2) | source (2) | reason
//! DT       2 | F0 | 80 when it is the last of its PDU | data
//! ```

use crate::frame::TPKT_HEADER;

/// The codes of the parameters of CR and CC: TPDU size, calling and called TSAP.
const SIZE: u8 = 0xC0;
const CALLING: u8 = 0xC1;
const CALLED: u8 = 0xC2;

/// Header bytes of a DT.
const DATA_HEADER: usize = 3;

/// The TPDU size where none is asked for, as an exponent of two (ISO 8073, 13.3.4).
const SIZE_DEFAULT: u8 = 7;

/// The least and the largest TPDU size, as exponents of two.
const SIZES: std::ops::RangeInclusive<u8> = 7..=13;

/// A TPDU as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tpdu<'a> {
    /// Asks for a connection.
    Connect(Connect),
    /// Ends the connection.
    Disconnect,
    /// A part of a PDU, and whether it is the last.
    Data(&'a [u8], Part),
}

/// Whether more of a PDU follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    More,
    Last,
}

/// What a client asks for when it connects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Connect {
    source: u16,
    size: u8,
    calling: Vec<u8>,
    called: Vec<u8>,
}

impl Connect {
    /// The called TSAP, if it has two bytes.
    pub(super) fn called(&self) -> Option<u16> {
        self.called.as_slice().try_into().ok().map(u16::from_be_bytes)
    }

    /// The longest TPDU for a server that takes so many bytes.
    pub(super) fn agreed(&self, tpdu_max: u16) -> u16 {
        1 << self.size.min(tpdu_max.max(1).ilog2() as u8).clamp(*SIZES.start(), *SIZES.end())
    }

    /// The packet that accepts.
    pub(super) fn accept(&self, agreed: u16) -> Vec<u8> {
        let mut body = vec![0xD0];
        body.extend(self.source.to_be_bytes());
        body.extend([0, 1, 0, SIZE, 1, agreed.ilog2() as u8]);
        for (code, tsap) in [(CALLING, &self.calling), (CALLED, &self.called)] {
            body.extend([code, tsap.len() as u8]);
            body.extend(tsap);
        }
        tpkt(&[&[body.len() as u8], body.as_slice()])
    }

    /// The packet that refuses: no such address (ISO 8073, 13.5.3).
    pub(super) fn refuse(&self) -> Vec<u8> {
        let [high, low] = self.source.to_be_bytes();
        tpkt(&[&[6, 0x80, high, low, 0, 0, 2]])
    }
}

/// The TPDU of a whole packet; none if it is no TPDU that a server gets.
pub(super) fn parse(packet: &[u8]) -> Option<Tpdu<'_>> {
    let (&length, tpdu) = packet.get(TPKT_HEADER..)?.split_first()?;
    let (header, data) = tpdu.split_at_checked(usize::from(length))?;
    match (header, data) {
        ([0xE0, _, _, high, low, _, parameters @ ..], []) => {
            let source = u16::from_be_bytes([*high, *low]);
            connect(source, parameters).map(Tpdu::Connect)
        }
        ([0x80, ..], []) => Some(Tpdu::Disconnect),
        ([0xF0, number], data) => Some(Tpdu::Data(data, if number & 0x80 == 0 { Part::More } else { Part::Last })),
        _ => None,
    }
}

fn connect(source: u16, mut parameters: &[u8]) -> Option<Connect> {
    let mut connect = Connect { source, size: SIZE_DEFAULT, calling: Vec::new(), called: Vec::new() };
    while let [code, length, rest @ ..] = parameters {
        let (value, rest) = rest.split_at_checked(usize::from(*length))?;
        match (*code, value) {
            (SIZE, [size]) => connect.size = *size,
            (CALLING, tsap) => connect.calling = tsap.iter().copied().take(32).collect(),
            (CALLED, tsap) => connect.called = tsap.iter().copied().take(32).collect(),
            _ => {}
        }
        parameters = rest;
    }
    parameters.is_empty().then_some(connect)
}

/// The packets that carry a PDU, none of whose TPDUs is longer than `tpdu_max` bytes.
pub(super) fn data(pdu: &[u8], tpdu_max: u16) -> Vec<u8> {
    let room = usize::from(tpdu_max).saturating_sub(DATA_HEADER).max(1);
    let parts = pdu.len().div_ceil(room);
    let packets = pdu.chunks(room).zip(1..);
    packets.flat_map(|(part, n)| tpkt(&[&[2, 0xF0, if n == parts { 0x80 } else { 0 }], part])).collect()
}

fn tpkt(parts: &[&[u8]]) -> Vec<u8> {
    let length = TPKT_HEADER + parts.iter().map(|part| part.len()).sum::<usize>();
    let mut packet = vec![3, 0];
    packet.extend((length as u16).to_be_bytes());
    parts.iter().for_each(|part| packet.extend_from_slice(part));
    packet
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONNECT: &[u8] = &[3, 0, 0, 22, 17, 0xE0, 0, 0, 0x12, 0x34, 0, 0xC0, 1, 0x0A, 0xC1, 2, 1, 0, 0xC2, 2, 1, 2];

    fn asked() -> Connect {
        match parse(CONNECT) {
            Some(Tpdu::Connect(connect)) => connect,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_connection_is_accepted_with_its_own_tsaps_and_the_smaller_size() {
        assert_eq!((asked().called(), asked().agreed(8192), asked().agreed(512)), (Some(0x0102), 1024, 512));
        let accepted = [3, 0, 0, 22, 17, 0xD0, 0x12, 0x34, 0, 1, 0, 0xC0, 1, 9, 0xC1, 2, 1, 0, 0xC2, 2, 1, 2];
        assert_eq!(asked().accept(512), accepted);
        assert_eq!(asked().refuse(), [3, 0, 0, 11, 6, 0x80, 0x12, 0x34, 0, 0, 2]);
    }

    #[test]
    fn a_pdu_is_cut_into_tpdus_and_marked_at_its_end() {
        assert_eq!(data(&[7], 128), [3, 0, 0, 8, 2, 0xF0, 0x80, 7]);
        let packets = data(&[7; 126], 128);
        assert_eq!(packets.len(), 126 + 2 * 7);
        assert_eq!(parse(&packets[..132]), Some(Tpdu::Data(&[7; 125], Part::More)));
        assert_eq!(parse(&packets[132..]), Some(Tpdu::Data(&[7], Part::Last)));
    }

    #[test]
    fn what_is_cut_or_unknown_is_no_tpdu() {
        for end in 0..CONNECT.len() {
            assert_eq!(parse(&CONNECT[..end]), None, "{end}");
        }
        assert_eq!(parse(&[3, 0, 0, 7, 2, 0xD0, 0x80]), None);
        assert_eq!(parse(&[3, 0, 0, 11, 6, 0x80, 0, 0, 0, 1, 0]), Some(Tpdu::Disconnect));
    }
}
