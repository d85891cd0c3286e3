//! One frame and one fault make the pieces that arrive. Pure.

mod s7;

use std::time::Duration;

use super::{Fault, Framing};
use crate::frame::{Way, has_right_crc, with_crc};

/// A frame and what is known around it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame<'a> {
    pub(super) framing: Framing,
    pub(super) way: Way,
    pub(super) bytes: &'a [u8],
    /// The last request, whichever way this frame goes; empty before the first.
    pub(super) request: &'a [u8],
    /// The frame before this one on its way; empty before the first.
    pub(super) previous: &'a [u8],
}

/// Bytes that arrive together, so long after the frame was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) after: Duration,
    pub(super) bytes: Vec<u8>,
}

/// What becomes of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Distorted {
    /// These arrive; later frames wait for them.
    Pieces(Vec<Piece>),
    /// This arrives; later frames may overtake it.
    Overtaken(Piece),
    /// The connection is reset.
    Reset,
    /// The connection is closed.
    Close,
    /// The fault makes no sense for this frame.
    Inapplicable,
}

/// Breaks a frame; `random` gives as many bytes as it is asked for.
pub(super) fn distort(fault: Fault, frame: Frame<'_>, random: impl FnOnce(usize) -> Vec<u8>) -> Distorted {
    let whole = frame.bytes.to_vec();
    match fault {
        Fault::Pass => at_once(whole),
        Fault::Delay(after) => Distorted::Pieces(vec![Piece { after, bytes: whole }]),
        Fault::Late(after) => Distorted::Overtaken(Piece { after, bytes: whole }),
        Fault::Silence => Distorted::Pieces(Vec::new()),
        Fault::Drip(every) => Distorted::Pieces(drip(&whole, every)),
        Fault::Cut(keep) => at_once(whole.into_iter().take(keep.min(frame.bytes.len().saturating_sub(1))).collect()),
        Fault::Garbage(len) => at_once(random(len)),
        Fault::Noise(len) => at_once([random(len), whole].concat()),
        Fault::Twice => at_once([whole.clone(), whole].concat()),
        Fault::Yesterday => unless_empty(frame.previous.to_vec()),
        Fault::Echo if frame.way == Way::Reply => unless_empty(frame.request.to_vec()),
        Fault::EchoBefore if frame.way == Way::Reply => at_once([frame.request, frame.bytes].concat()),
        Fault::Reset => Distorted::Reset,
        Fault::Close => Distorted::Close,
        understood => {
            let broken = match frame.framing {
                Framing::S7 => s7::broken(understood, frame.way, frame.bytes),
                _ => frame.modbus(understood),
            };
            broken.map_or(Distorted::Inapplicable, at_once)
        }
    }
}

impl Frame<'_> {
    /// The unit; none on a stream that is not understood.
    pub(super) fn unit(&self) -> Option<u8> {
        let at = match self.framing {
            Framing::Stream | Framing::S7 => return None,
            Framing::ModbusTcp => 6,
            Framing::ModbusRtu => 0,
        };
        self.bytes.get(at).copied()
    }

    /// The faults that must understand the frame; none where they cannot be.
    fn modbus(&self, fault: Fault) -> Option<Vec<u8>> {
        match fault {
            Fault::Exception(code) if self.way == Way::Reply => self.edited(|adu| {
                adu.truncate(2);
                *adu.get_mut(1)? |= 0x80;
                adu.push(code);
                Some(())
            }),
            Fault::WrongUnit => self.edited(|adu| next_unit(adu)),
            Fault::WrongFunction => self.edited(|adu| {
                *adu.get_mut(1)? ^= 0x07;
                Some(())
            }),
            Fault::WrongByteCount => self.edited(|adu| {
                let count = byte_count(adu, self.way)?;
                *count = count.wrapping_add(2);
                Some(())
            }),
            Fault::Shorter => self.edited(|adu| {
                let count = byte_count(adu, self.way)?;
                *count = count.checked_sub(2)?;
                adu.truncate(adu.len() - 2);
                Some(())
            }),
            Fault::Longer => self.edited(|adu| {
                let count = byte_count(adu, self.way)?;
                *count = count.checked_add(2)?;
                adu.extend([0x55, 0xAA]);
                Some(())
            }),
            Fault::Collision => self.collision(),
            Fault::WrongTransaction => self.patched(Framing::ModbusTcp, |bytes| {
                bytes.iter_mut().take(2).for_each(|byte| *byte ^= 0x5A);
                Some(())
            }),
            Fault::WrongProtocol => self.patched(Framing::ModbusTcp, |bytes| {
                *bytes.get_mut(3)? ^= 1;
                Some(())
            }),
            Fault::WrongLength(by) => self.patched(Framing::ModbusTcp, |bytes| {
                let length = bytes.get_mut(5)?;
                *length = length.wrapping_add_signed(by);
                Some(())
            }),
            Fault::WrongCrc => self.patched(Framing::ModbusRtu, |bytes| {
                *bytes.last_mut()? ^= 0xFF;
                Some(())
            }),
            _ => None,
        }
    }

    fn collision(&self) -> Option<Vec<u8>> {
        let stranger = self.edited(|adu| next_unit(adu))?;
        if self.framing == Framing::ModbusTcp {
            return Some([&stranger, self.bytes].concat());
        }
        let mut collided: Vec<u8> = self.bytes.iter().zip(stranger).map(|(ours, theirs)| ours & theirs).collect();
        if has_right_crc(&collided) {
            *collided.last_mut()? ^= 0xFF;
        }
        Some(collided)
    }

    /// Changes unit, function and data, and wraps them again with the length or the CRC that fits.
    fn edited(&self, edit: impl FnOnce(&mut Vec<u8>) -> Option<()>) -> Option<Vec<u8>> {
        let body = match self.framing {
            Framing::Stream | Framing::S7 => return None,
            Framing::ModbusTcp => self.bytes.get(6..)?,
            Framing::ModbusRtu => self.bytes.get(..self.bytes.len().checked_sub(2)?)?,
        };
        let mut adu = body.to_vec();
        edit(&mut adu)?;
        if self.framing == Framing::ModbusRtu {
            return Some(with_crc(adu));
        }
        let length = u16::try_from(adu.len()).ok()?.to_be_bytes();
        Some([self.bytes.get(..4)?, &length, &adu].concat())
    }

    /// Changes the bytes as they are, if they are of this framing.
    fn patched(&self, framing: Framing, patch: impl FnOnce(&mut [u8]) -> Option<()>) -> Option<Vec<u8>> {
        let mut bytes = Some(self.bytes.to_vec()).filter(|_| self.framing == framing)?;
        patch(&mut bytes)?;
        Some(bytes)
    }
}

fn at_once(bytes: Vec<u8>) -> Distorted {
    Distorted::Pieces(vec![Piece { after: Duration::ZERO, bytes }])
}

fn unless_empty(bytes: Vec<u8>) -> Distorted {
    if bytes.is_empty() { Distorted::Inapplicable } else { at_once(bytes) }
}

fn drip(bytes: &[u8], every: Duration) -> Vec<Piece> {
    let pieces = (1u32..).zip(bytes);
    pieces.map(|(n, byte)| Piece { after: every.saturating_mul(n), bytes: vec![*byte] }).collect()
}

fn next_unit(adu: &mut [u8]) -> Option<()> {
    let unit = adu.first_mut()?;
    *unit = unit.wrapping_add(1);
    Some(())
}

/// The byte count in the reply to a read.
fn byte_count(adu: &mut [u8], way: Way) -> Option<&mut u8> {
    let counts = way == Way::Reply && matches!(adu.get(1), Some(1..=4 | 23));
    adu.get_mut(2).filter(|_| counts)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TCP: &[u8] = &[0, 9, 0, 0, 0, 7, 1, 3, 4, 0xAA, 0xBB, 0xCC, 0xDD];
    const ASKED: &[u8] = &[0, 9, 0, 0, 0, 6, 1, 3, 0, 0, 0, 2];

    fn rtu() -> Vec<u8> {
        with_crc(vec![1, 3, 4, 0xAA, 0xBB, 0xCC, 0xDD])
    }

    fn reply(framing: Framing, bytes: &[u8]) -> Frame<'_> {
        Frame { framing, way: Way::Reply, bytes, request: ASKED, previous: b"old" }
    }

    fn arrives(fault: Fault, framing: Framing, bytes: &[u8]) -> Vec<u8> {
        match distort(fault, reply(framing, bytes), |len| vec![0x55; len]) {
            Distorted::Pieces(pieces) => pieces.into_iter().flat_map(|piece| piece.bytes).collect(),
            other => panic!("{fault:?}: {other:?}"),
        }
    }

    #[test]
    fn modbus_tcp_replies_are_broken_in_one_place() {
        for (fault, expected) in [
            (Fault::Pass, TCP.to_vec()),
            (Fault::Exception(2), vec![0, 9, 0, 0, 0, 3, 1, 0x83, 2]),
            (Fault::WrongTransaction, [&[0x5A, 0x53], &TCP[2..]].concat()),
            (Fault::WrongProtocol, [&[0, 9, 0, 1], &TCP[4..]].concat()),
            (Fault::WrongUnit, [&TCP[..6], &[2], &TCP[7..]].concat()),
            (Fault::WrongFunction, [&TCP[..7], &[4], &TCP[8..]].concat()),
            (Fault::WrongByteCount, [&TCP[..8], &[6], &TCP[9..]].concat()),
            (Fault::Shorter, vec![0, 9, 0, 0, 0, 5, 1, 3, 2, 0xAA, 0xBB]),
            (Fault::Longer, vec![0, 9, 0, 0, 0, 9, 1, 3, 6, 0xAA, 0xBB, 0xCC, 0xDD, 0x55, 0xAA]),
            (Fault::WrongLength(-1), [&TCP[..5], &[6], &TCP[6..]].concat()),
            (Fault::Collision, [&TCP[..6], &[2], &TCP[7..], TCP].concat()),
            (Fault::Echo, ASKED.to_vec()),
            (Fault::EchoBefore, [ASKED, TCP].concat()),
            (Fault::Yesterday, b"old".to_vec()),
            (Fault::Twice, [TCP, TCP].concat()),
            (Fault::Cut(5), TCP[..5].to_vec()),
            (Fault::Cut(99), TCP[..12].to_vec()),
            (Fault::Garbage(3), vec![0x55; 3]),
            (Fault::Noise(1), [&[0x55], TCP].concat()),
            (Fault::Silence, vec![]),
            (Fault::Drip(Duration::from_millis(50)), TCP.to_vec()),
        ] {
            assert_eq!(arrives(fault, Framing::ModbusTcp, TCP), expected, "{fault:?}");
        }
    }

    #[test]
    fn rtu_replies_keep_a_right_crc_unless_it_is_what_breaks() {
        let bytes = rtu();
        for fault in
            [Fault::Exception(4), Fault::WrongUnit, Fault::WrongFunction, Fault::WrongByteCount, Fault::Shorter]
        {
            let found = arrives(fault, Framing::ModbusRtu, &bytes);
            assert!(has_right_crc(&found) && found != bytes, "{fault:?}");
        }
        for fault in [Fault::WrongCrc, Fault::Collision, Fault::Cut(6)] {
            assert!(!has_right_crc(&arrives(fault, Framing::ModbusRtu, &bytes)), "{fault:?}");
        }
    }

    #[test]
    fn faults_that_make_no_sense_are_told() {
        let of = |fault, framing, way| {
            let bytes = rtu();
            let frame = Frame { framing, way, bytes: &bytes, request: &[], previous: &[] };
            distort(fault, frame, |len| vec![0; len])
        };
        for (fault, framing, way) in [
            (Fault::WrongCrc, Framing::ModbusTcp, Way::Reply),
            (Fault::WrongTransaction, Framing::ModbusRtu, Way::Reply),
            (Fault::WrongUnit, Framing::Stream, Way::Reply),
            (Fault::Exception(1), Framing::ModbusRtu, Way::Request),
            (Fault::Echo, Framing::ModbusRtu, Way::Request),
            (Fault::Echo, Framing::ModbusRtu, Way::Reply),
            (Fault::Yesterday, Framing::ModbusRtu, Way::Reply),
        ] {
            assert_eq!(of(fault, framing, way), Distorted::Inapplicable, "{fault:?} {framing:?}");
        }
    }

    #[test]
    fn a_drip_has_a_time_for_each_byte() {
        let every = Duration::from_millis(50);
        let Distorted::Pieces(pieces) = distort(Fault::Drip(every), reply(Framing::Stream, b"abc"), |_| vec![]) else {
            panic!("a drip is pieces")
        };
        assert_eq!(pieces.iter().map(|piece| piece.after).collect::<Vec<_>>(), [every, every * 2, every * 3]);
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_broken(bytes in proptest::collection::vec(any::<u8>(), 0..20), by in any::<i8>()) {
            for framing in [Framing::Stream, Framing::ModbusTcp, Framing::ModbusRtu] {
                for fault in [
                    Fault::Exception(1), Fault::WrongUnit, Fault::WrongFunction, Fault::WrongByteCount, Fault::Shorter,
                    Fault::Collision, Fault::WrongLength(by), Fault::WrongCrc, Fault::Cut(3), Fault::WrongTransaction,
                ] {
                    distort(fault, reply(framing, &bytes), |len| vec![0; len]);
                }
            }
        }
    }
}
