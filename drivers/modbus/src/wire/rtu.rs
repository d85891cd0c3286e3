//! Frames of serial lines in RTU mode (Serial Line, 2.5.1): unit, PDU, CRC-16.
//!
//! The specification ends a frame by 3.5 characters of silence and breaks it at a gap of 1.5. Behind a USB adapter, a
//! pseudo-terminal or a TCP converter neither can be seen, so the end is found by the length that the function implies,
//! and what stands before the awaited answer is skipped until unit, function, length and CRC all agree.

use super::deframe::{Awaited, Echoes, Step};
use super::function::{self, EXCEPTION_BIT};
use super::{InvalidRequest, Mismatch, PDU_MAX, identification};
use crate::wire::crc::crc16;

/// The longest frame, in bytes.
pub const ADU_MAX: usize = 1 + PDU_MAX + CRC_BYTES;
const CRC_BYTES: usize = 2;

/// The state of reception.
#[derive(Debug, Default)]
pub struct Deframer {
    pub(super) echoes: Echoes,
}

impl Deframer {
    /// See [`super::Deframer::step`].
    pub fn step(&mut self, buffer: &[u8], awaited: Option<&Awaited<'_>>) -> Step {
        if buffer.is_empty() {
            return Step::Wait;
        }
        let Some(wanted) = awaited else { return unasked(buffer) };
        if let Some(step) = self.echoes.step(buffer, confirms_by_repeating(wanted)) {
            return step;
        }
        if let Some(len) = sound_frame(buffer) {
            return match accept(buffer, len, wanted) {
                Ok(()) => Step::Answer { which: 0, pdu: 1..len - CRC_BYTES, len },
                Err(reason) => Step::Drop { len, reason },
            };
        }
        match (1..buffer.len()).find(|&at| begins_an_answer(&buffer[at..], wanted)) {
            Some(len) => Step::Drop { len, reason: leftover(&buffer[..len]) },
            None if buffer.len() > ADU_MAX => Step::Drop { len: buffer.len() - ADU_MAX, reason: Mismatch::Noise },
            None => Step::Wait,
        }
    }
}

/// See [`Awaited::encode`].
///
/// # Errors
/// The request breaks a limit of the specification.
pub fn encode(message: &Awaited<'_>, out: &mut Vec<u8>) -> Result<(), InvalidRequest> {
    let start = out.len();
    out.push(message.unit);
    if let Err(invalid) = message.request.encode(out) {
        out.truncate(start);
        return Err(invalid);
    }
    let crc = crc16(out.get(start..).unwrap_or_default());
    out.extend_from_slice(&crc.to_le_bytes());
    Ok(())
}

/// What bytes are that did not become an answer.
pub(super) fn leftover(buffer: &[u8]) -> Mismatch {
    match frame_bytes(buffer) {
        Some(len) if buffer.len() >= len => Mismatch::Checksum,
        Some(_) => Mismatch::Cut,
        None => Mismatch::Noise,
    }
}

/// Whether the answer repeats the request byte for byte.
pub(super) fn confirms_by_repeating(wanted: &Awaited<'_>) -> bool {
    matches!(
        wanted.request.function(),
        function::WRITE_COIL | function::WRITE_REGISTER | function::MASK_WRITE_REGISTER | function::WRITE_FILE_RECORDS
    )
}

/// Unit and content of a frame whose checksum is right.
pub(super) fn check(unit: u8, pdu: &[u8], wanted: &Awaited<'_>) -> Result<(), Mismatch> {
    if unit != wanted.unit {
        return Err(Mismatch::Unit(unit));
    }
    wanted.request.decode(pdu).map(|_| ())
}

fn unasked(buffer: &[u8]) -> Step {
    match sound_frame(buffer) {
        Some(len) => Step::Drop { len, reason: Mismatch::Late },
        None => Step::Drop { len: buffer.len(), reason: Mismatch::Noise },
    }
}

fn accept(buffer: &[u8], len: usize, wanted: &Awaited<'_>) -> Result<(), Mismatch> {
    match buffer.get(..len - CRC_BYTES) {
        Some([unit, pdu @ ..]) => check(*unit, pdu, wanted),
        _ => Err(Mismatch::Length),
    }
}

fn begins_an_answer(buffer: &[u8], wanted: &Awaited<'_>) -> bool {
    buffer.first() == Some(&wanted.unit)
        && buffer.get(1).is_some_and(|code| code & !EXCEPTION_BIT == wanted.request.function())
        && sound_frame(buffer).is_some_and(|len| accept(buffer, len, wanted).is_ok())
}

/// Length of the frame that stands complete, with the right CRC, at the start of `buffer`.
fn sound_frame(buffer: &[u8]) -> Option<usize> {
    let len = frame_bytes(buffer).filter(|&len| len <= ADU_MAX)?;
    let (body, crc) = buffer.get(..len)?.split_at_checked(len - CRC_BYTES)?;
    (crc == crc16(body).to_le_bytes()).then_some(len)
}

/// Length of the frame that begins with `buffer`, as far as function and byte count tell it.
fn frame_bytes(buffer: &[u8]) -> Option<usize> {
    let pdu = buffer.get(1..)?;
    let pdu_bytes = match *pdu.first()? {
        code if code & EXCEPTION_BIT != 0 => 2,
        function::READ_COILS..=function::READ_INPUT_REGISTERS
        | function::READ_FILE_RECORDS
        | function::WRITE_FILE_RECORDS
        | function::READ_WRITE_REGISTERS => 2 + usize::from(*pdu.get(1)?),
        function::WRITE_COIL | function::WRITE_REGISTER | function::WRITE_COILS | function::WRITE_REGISTERS => 5,
        function::MASK_WRITE_REGISTER => 7,
        function::ENCAPSULATED => identification::pdu_bytes(pdu)?,
        _ => return None,
    };
    Some(1 + pdu_bytes + CRC_BYTES)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::deframe::{Echo, Framing, TransactionIds};
    use crate::wire::mirror::{self, answers, any_request, rtu_frame};
    use crate::wire::{Deframer as Any, Request, Table};

    const READ: Request<'_> = Request::Read { table: Table::HoldingRegisters, start: 10, count: 2 };
    const AWAITED: Awaited<'_> = Awaited { tid: 0, unit: 1, request: READ };

    fn deframer() -> Any {
        Any::new(Framing::Rtu, TransactionIds::Match)
    }

    fn good() -> Vec<u8> {
        rtu_frame(1, &mirror::reply(&READ))
    }

    #[test]
    fn a_request_ends_with_its_crc() {
        let mut out = Vec::new();
        AWAITED.encode(Framing::Rtu, &mut out).expect("a valid request");
        assert_eq!(out, [1, 3, 0, 10, 0, 2, 0xE4, 0x09]);
    }

    #[test]
    fn what_is_wrong_is_told_and_the_true_answer_behind_it_is_found() {
        let reply = mirror::reply(&READ);
        let mut damaged = good();
        damaged[4] ^= 1;
        let mut echoed = Vec::new();
        AWAITED.encode(Framing::Rtu, &mut echoed).expect("a valid request");
        let cases = [
            (rtu_frame(2, &reply), Mismatch::Unit(2)),
            (rtu_frame(1, &[4, 4, 0, 1, 0, 2]), Mismatch::Function(4)),
            (rtu_frame(1, &[3, 2, 0, 1]), Mismatch::Length),
            (damaged, Mismatch::Checksum),
            (good()[..5].to_vec(), Mismatch::Cut),
            (vec![0xFF], Mismatch::Noise),
            (vec![0, 0, 0x55], Mismatch::Noise),
            (echoed.clone(), Mismatch::Echo),
        ];
        for (bad, reason) in cases {
            let mut deframer = deframer();
            deframer.sent(&echoed, Echo::Absent);
            let (dropped, found) = answers(&mut deframer, &[bad.clone(), good()].concat(), &[AWAITED]);
            assert_eq!(dropped, [reason], "{bad:?}");
            assert_eq!(found, [(0, reply.clone())], "{bad:?}");
        }
    }

    #[test]
    fn an_expected_echo_is_not_taken_for_the_confirmation_of_a_write() {
        let wanted = Awaited { tid: 0, unit: 1, request: Request::WriteRegister { address: 4, value: 5 } };
        let mut sent = Vec::new();
        wanted.encode(Framing::Rtu, &mut sent).expect("a valid request");
        let mut deframer = deframer();
        deframer.sent(&sent, Echo::Expected);
        assert_eq!(deframer.step(&sent[..3], &[wanted]), Step::Wait);
        assert_eq!(deframer.step(&sent, &[wanted]), Step::Skip { len: 8 });
        assert_eq!(deframer.step(&sent, &[wanted]), Step::Answer { which: 0, pdu: 1..6, len: 8 });
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
            let stream = [noise, rtu_frame(9, &reply)].concat();
            let found = mirror::answers_in_pieces(&mut deframer(), &stream, &cuts, &[wanted]);
            prop_assert_eq!(found, [(0, reply)]);
        }

        #[test]
        fn a_flipped_bit_is_never_taken_for_an_answer(owned in any_request(), at: usize, bit in 0_u8..8) {
            let wanted = Awaited { tid: 0, unit: 9, request: owned.borrow() };
            let mut frame = rtu_frame(9, &mirror::reply(&wanted.request));
            let at = at % frame.len();
            frame[at] ^= 1 << bit;
            let (_, found) = answers(&mut deframer(), &frame, &[wanted]);
            prop_assert!(found.is_empty());
        }

        #[test]
        fn garbage_never_panics_and_the_buffer_stays_bounded(garbage in proptest::collection::vec(any::<u8>(), 0..900)) {
            let mut deframer = deframer();
            let mut at = 0;
            loop {
                match deframer.step(&garbage[at..], &[AWAITED]) {
                    Step::Wait => break,
                    Step::Drop { len, .. } | Step::Skip { len } | Step::Answer { len, .. } => {
                        prop_assert!(len > 0);
                        at += len;
                    }
                }
            }
            prop_assert!(garbage.len() - at <= ADU_MAX);
        }
    }
}
