//! Frames of serial lines in ASCII mode (Serial Line, 2.5.2).
//!
//! ```text
//! ':' | hex of: unit, PDU, LRC | CR LF          513 characters at most
//! ```

use std::ops::Range;

use super::deframe::{Awaited, Echoes, Step};
use super::{InvalidRequest, Mismatch, PDU_MAX, rtu};

/// The longest frame, in characters.
pub const ADU_MAX: usize = 1 + 2 * MESSAGE_MAX + 2;
/// Unit, PDU and LRC.
const MESSAGE_MAX: usize = 1 + PDU_MAX + 1;
const START: u8 = b':';
const END: u8 = b'\n';
const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// The state of reception.
#[derive(Debug, Default)]
pub struct Deframer {
    pub(super) echoes: Echoes,
    message: Vec<u8>,
}

impl Deframer {
    /// See [`super::Deframer::step`].
    pub fn step(&mut self, buffer: &[u8], awaited: Option<&Awaited<'_>>) -> Step {
        if buffer.is_empty() {
            return Step::Wait;
        }
        let Some(wanted) = awaited else { return unasked(buffer) };
        if let Some(step) = self.echoes.step(buffer, rtu::confirms_by_repeating(wanted)) {
            return step;
        }
        let next_start = buffer.iter().skip(1).position(|&byte| byte == START).map(|at| at + 1);
        if buffer.first() != Some(&START) {
            return Step::Drop { len: next_start.unwrap_or(buffer.len()), reason: Mismatch::Noise };
        }
        let end = buffer.iter().position(|&byte| byte == END).map(|at| at + 1);
        match (end, next_start) {
            (Some(len), next) if next.is_none_or(|next| next >= len) => self.frame(&buffer[..len], wanted),
            (_, Some(len)) => Step::Drop { len, reason: Mismatch::Cut },
            (_, None) if buffer.len() >= ADU_MAX => Step::Drop { len: buffer.len(), reason: Mismatch::Noise },
            (_, None) => Step::Wait,
        }
    }

    /// The PDU of the last answer found.
    pub fn pdu(&self, range: Range<usize>) -> &[u8] {
        self.message.get(range).unwrap_or_default()
    }

    fn frame(&mut self, characters: &[u8], wanted: &Awaited<'_>) -> Step {
        let len = characters.len();
        let checked = self.read(characters).and_then(|()| match self.message.as_slice() {
            [unit, pdu @ .., _] => rtu::check(*unit, pdu, wanted),
            _ => Err(Mismatch::Length),
        });
        match checked {
            Ok(()) => Step::Answer { which: 0, pdu: 1..self.message.len() - 1, len },
            Err(reason) => Step::Drop { len, reason },
        }
    }

    /// Turns the characters into bytes and checks their LRC.
    fn read(&mut self, characters: &[u8]) -> Result<(), Mismatch> {
        let hex =
            characters.strip_prefix(&[START]).and_then(|rest| rest.strip_suffix(b"\r\n")).ok_or(Mismatch::Noise)?;
        if hex.len() % 2 != 0 || hex.len() > 2 * MESSAGE_MAX {
            return Err(Mismatch::Length);
        }
        self.message.clear();
        for pair in hex.chunks_exact(2) {
            let [high, low] = [digit(pair[0]), digit(pair[1])];
            self.message.push(high.ok_or(Mismatch::Noise)? << 4 | low.ok_or(Mismatch::Noise)?);
        }
        if sum(&self.message) == 0 { Ok(()) } else { Err(Mismatch::Checksum) }
    }
}

/// See [`Awaited::encode`].
///
/// # Errors
/// The request breaks a limit of the specification.
pub fn encode(message: &Awaited<'_>, out: &mut Vec<u8>) -> Result<(), InvalidRequest> {
    let mut bytes = Vec::with_capacity(MESSAGE_MAX);
    bytes.push(message.unit);
    message.request.encode(&mut bytes)?;
    bytes.push(sum(&bytes).wrapping_neg());
    out.push(START);
    for byte in bytes {
        out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// What characters are that did not become an answer.
pub(super) fn leftover(buffer: &[u8]) -> Mismatch {
    if buffer.first() == Some(&START) { Mismatch::Cut } else { Mismatch::Noise }
}

fn unasked(buffer: &[u8]) -> Step {
    let ended = buffer.iter().position(|&byte| byte == END);
    match ended {
        Some(end) if buffer.first() == Some(&START) => Step::Drop { len: end + 1, reason: Mismatch::Late },
        _ => Step::Drop { len: buffer.len(), reason: Mismatch::Noise },
    }
}

/// The sum whose complement is the LRC (Serial Line, 6.2.1).
fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte))
}

fn digit(character: u8) -> Option<u8> {
    char::from(character).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::deframe::{Echo, Framing, TransactionIds};
    use crate::wire::mirror::{self, answers, any_request, ascii_frame};
    use crate::wire::{Deframer as Any, Request, Table};

    const READ: Request<'_> = Request::Read { table: Table::HoldingRegisters, start: 10, count: 2 };
    const AWAITED: Awaited<'_> = Awaited { tid: 0, unit: 1, request: READ };

    fn deframer() -> Any {
        Any::new(Framing::Ascii, TransactionIds::Match)
    }

    #[test]
    fn a_request_is_written_in_capitals_with_its_lrc() {
        let mut out = Vec::new();
        AWAITED.encode(Framing::Ascii, &mut out).expect("a valid request");
        assert_eq!(out, b":0103000A0002F0\r\n");
    }

    #[test]
    fn what_is_wrong_is_told_and_the_true_answer_behind_it_is_found() {
        let reply = mirror::reply(&READ);
        let good = ascii_frame(1, &reply);
        let mut echoed = Vec::new();
        AWAITED.encode(Framing::Ascii, &mut echoed).expect("a valid request");
        let mut damaged = good.clone();
        damaged[8] ^= 1;
        let cases = [
            (ascii_frame(2, &reply), Mismatch::Unit(2)),
            (ascii_frame(1, &[4, 4, 0, 1, 0, 2]), Mismatch::Function(4)),
            (ascii_frame(1, &[3, 2, 0, 1]), Mismatch::Length),
            (damaged, Mismatch::Checksum),
            (good[..6].to_vec(), Mismatch::Cut),
            (b"xyz\r\n".to_vec(), Mismatch::Noise),
            (b":01Z3\r\n".to_vec(), Mismatch::Noise),
            (b":010\r\n".to_vec(), Mismatch::Length),
            (echoed.clone(), Mismatch::Echo),
        ];
        for (bad, reason) in cases {
            let mut deframer = deframer();
            deframer.sent(&echoed, Echo::Absent);
            let (dropped, found) = answers(&mut deframer, &[bad.clone(), good.clone()].concat(), &[AWAITED]);
            assert_eq!(dropped, [reason], "{bad:?}");
            assert_eq!(found, [(0, reply.clone())], "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn an_answer_is_found_however_it_is_cut(
            owned in any_request(),
            cuts in proptest::collection::vec(1_usize..40, 1..20),
            noise in proptest::collection::vec(any::<u8>(), 0..20),
        ) {
            let wanted = Awaited { tid: 0, unit: 9, request: owned.borrow() };
            let reply = mirror::reply(&wanted.request);
            let stream = [noise, ascii_frame(9, &reply)].concat();
            let found = mirror::answers_in_pieces(&mut deframer(), &stream, &cuts, &[wanted]);
            prop_assert_eq!(found, [(0, reply)]);
        }

        #[test]
        fn garbage_never_panics_and_the_buffer_stays_bounded(
            garbage in proptest::collection::vec(prop_oneof![Just(START), Just(END), Just(b'0'), any::<u8>()], 0..1500),
        ) {
            let (_, found) = answers(&mut deframer(), &garbage, &[AWAITED]);
            prop_assert!(found.is_empty());
        }
    }
}
