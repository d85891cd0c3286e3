//! Frames of Modbus TCP and TLS (Messaging on TCP/IP, 3.1.3).
//!
//! ```text
//! transaction (2) | protocol = 0 (2) | length of what follows (2) | unit (1) | PDU
//! ```
//!
//! A sound stream is walked frame by frame. Once a header makes no sense the frame borders are lost, and only bytes that
//! begin exactly as an awaited answer must (transaction, protocol, length, unit, function) end the hunt for them.

use super::deframe::{Awaited, Step, TransactionIds};
use super::function::EXCEPTION_BIT;
use super::{InvalidRequest, Mismatch, PDU_MAX};

/// Bytes of the header.
pub const HEADER_BYTES: usize = 7;
/// The longest frame, in bytes.
pub const ADU_MAX: usize = HEADER_BYTES + PDU_MAX;
/// Header and function code: what tells whether an answer is the awaited one.
const KNOWN_BYTES: usize = HEADER_BYTES + 1;
/// Bytes before the first one that the length field counts.
const UNCOUNTED_BYTES: usize = 6;

/// The state of reception.
#[derive(Debug)]
pub struct Deframer {
    ids: TransactionIds,
    borders: Borders,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Borders {
    Known,
    Lost,
}

struct Header {
    tid: u16,
    protocol: u16,
    length: usize,
    unit: u8,
    function: u8,
}

impl Header {
    fn read(bytes: &[u8]) -> Option<Self> {
        let [t0, t1, p0, p1, l0, l1, unit, function, ..] = *bytes else { return None };
        Some(Self {
            tid: u16::from_be_bytes([t0, t1]),
            protocol: u16::from_be_bytes([p0, p1]),
            length: u16::from_be_bytes([l0, l1]).into(),
            unit,
            function,
        })
    }

    fn pdu_bytes(&self) -> usize {
        self.length.saturating_sub(1)
    }

    fn frame_bytes(&self) -> usize {
        UNCOUNTED_BYTES + self.length
    }
}

impl Deframer {
    /// A fresh one.
    pub fn new(ids: TransactionIds) -> Self {
        Self { ids, borders: Borders::Known }
    }

    /// See [`super::Deframer::step`].
    pub fn step(&mut self, buffer: &[u8], awaited: &[Awaited<'_>]) -> Step {
        match self.borders {
            Borders::Known => self.walk(buffer, awaited),
            Borders::Lost => self.hunt(buffer, awaited),
        }
    }

    fn walk(&mut self, buffer: &[u8], awaited: &[Awaited<'_>]) -> Step {
        let Some(header) = Header::read(buffer) else { return Step::Wait };
        if header.protocol != 0 {
            return self.lose(Mismatch::ProtocolId(header.protocol));
        }
        if !(1..=PDU_MAX).contains(&header.pdu_bytes()) {
            return self.lose(Mismatch::Length);
        }
        let len = header.frame_bytes();
        let wanted = self.find(&header, awaited).and_then(|which| Some((which, awaited.get(which)?)));
        if wanted.is_some_and(|(_, wanted)| addressed(&header, wanted).is_ok() && !length_fits(&header, wanted)) {
            return self.lose(Mismatch::Length);
        }
        let Some(pdu) = buffer.get(HEADER_BYTES..len) else { return self.incomplete(buffer, awaited) };
        let Some((which, wanted)) = wanted else { return Step::Drop { len, reason: Mismatch::Late } };
        match addressed(&header, wanted).and_then(|()| wanted.request.decode(pdu)) {
            Ok(_) => Step::Answer { which, pdu: HEADER_BYTES..len, len },
            Err(reason) => Step::Drop { len, reason },
        }
    }

    /// The rest of a frame may never come; an awaited answer that begins within what came shows that it will not.
    fn incomplete(&self, buffer: &[u8], awaited: &[Awaited<'_>]) -> Step {
        let tail = buffer.len().saturating_sub(KNOWN_BYTES);
        match (1..=tail).find(|&at| self.may_begin(&buffer[at..], awaited)) {
            Some(len) => Step::Drop { len, reason: Mismatch::Cut },
            None => Step::Wait,
        }
    }

    fn hunt(&mut self, buffer: &[u8], awaited: &[Awaited<'_>]) -> Step {
        let noise = (0..buffer.len()).take_while(|&at| !self.may_begin(&buffer[at..], awaited)).count();
        if noise > 0 {
            return Step::Drop { len: noise, reason: Mismatch::Noise };
        }
        if buffer.len() < KNOWN_BYTES {
            return Step::Wait;
        }
        match self.walk(buffer, awaited) {
            Step::Drop { reason, .. } => Step::Drop { len: 1, reason },
            found => {
                if found != Step::Wait {
                    self.borders = Borders::Known;
                }
                found
            }
        }
    }

    /// Whether `bytes` begin as an awaited answer does, or are too few to tell.
    fn may_begin(&self, bytes: &[u8], awaited: &[Awaited<'_>]) -> bool {
        let Some(header) = Header::read(bytes) else { return !awaited.is_empty() };
        header.protocol == 0
            && self
                .find(&header, awaited)
                .and_then(|which| awaited.get(which))
                .is_some_and(|wanted| addressed(&header, wanted).is_ok() && length_fits(&header, wanted))
    }

    fn find(&self, header: &Header, awaited: &[Awaited<'_>]) -> Option<usize> {
        match self.ids {
            TransactionIds::Match => awaited.iter().position(|wanted| wanted.tid == header.tid),
            TransactionIds::Ignore => (!awaited.is_empty()).then_some(0),
        }
    }

    fn lose(&mut self, reason: Mismatch) -> Step {
        self.borders = Borders::Lost;
        Step::Drop { len: 1, reason }
    }
}

/// See [`Awaited::encode`].
///
/// # Errors
/// The request breaks a limit of the specification.
pub fn encode(message: &Awaited<'_>, out: &mut Vec<u8>) -> Result<(), InvalidRequest> {
    let start = out.len();
    let [t0, t1] = message.tid.to_be_bytes();
    out.extend_from_slice(&[t0, t1, 0, 0, 0, 0, message.unit]);
    if let Err(invalid) = message.request.encode(out) {
        out.truncate(start);
        return Err(invalid);
    }
    let length = u16::try_from(out.len() - start - UNCOUNTED_BYTES).unwrap_or(u16::MAX);
    if let Some(field) = out.get_mut(start + 4..start + 6) {
        field.copy_from_slice(&length.to_be_bytes());
    }
    Ok(())
}

fn length_fits(header: &Header, wanted: &Awaited<'_>) -> bool {
    if header.function & EXCEPTION_BIT != 0 {
        return header.pdu_bytes() == 2;
    }
    wanted.request.reply_pdu_bytes().is_none_or(|bytes| bytes == header.pdu_bytes())
}

fn addressed(header: &Header, wanted: &Awaited<'_>) -> Result<(), Mismatch> {
    if header.unit != wanted.unit {
        return Err(Mismatch::Unit(header.unit));
    }
    if header.function & !EXCEPTION_BIT != wanted.request.function() {
        return Err(Mismatch::Function(header.function));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::deframe::Framing;
    use crate::wire::mirror::{self, answers, any_request, mbap_frame};
    use crate::wire::{Deframer as Any, Request, Table};

    const READ: Request<'_> = Request::Read { table: Table::HoldingRegisters, start: 10, count: 2 };
    const AWAITED: Awaited<'_> = Awaited { tid: 7, unit: 1, request: READ };

    fn deframer() -> Any {
        Any::new(Framing::Mbap, TransactionIds::Match)
    }

    fn good() -> Vec<u8> {
        mbap_frame(7, 1, &mirror::reply(&READ))
    }

    #[test]
    fn a_request_is_framed_as_the_guide_draws_it() {
        let mut out = Vec::new();
        AWAITED.encode(Framing::Mbap, &mut out).expect("a valid request");
        assert_eq!(out, [0, 7, 0, 0, 0, 6, 1, 3, 0, 10, 0, 2]);
    }

    #[test]
    fn what_is_wrong_in_a_frame_is_told_and_the_true_answer_behind_it_is_found() {
        let reply = mirror::reply(&READ);
        let with = |at: usize, byte: u8| {
            let mut frame = good();
            frame[at] = byte;
            frame
        };
        let cases = [
            (mbap_frame(6, 1, &reply), Mismatch::Late),
            (mbap_frame(7, 2, &reply), Mismatch::Unit(2)),
            (mbap_frame(7, 1, &[4, 4, 0, 1, 0, 2]), Mismatch::Function(4)),
            (mbap_frame(7, 1, &[3, 2, 0, 1]), Mismatch::Length),
            (with(2, 9), Mismatch::ProtocolId(0x900)),
            (with(4, 9), Mismatch::Length),
            (with(5, 9), Mismatch::Length),
            (with(8, 5), Mismatch::Length),
        ];
        for (bad, reason) in cases {
            let (dropped, found) = answers(&mut deframer(), &[bad.clone(), good()].concat(), &[AWAITED]);
            assert_eq!(dropped.first(), Some(&reason), "{bad:?}");
            assert_eq!(found, [(0, reply.clone())], "{bad:?}");
        }
    }

    #[test]
    fn with_ids_ignored_the_only_awaited_answer_is_taken_under_any_id() {
        let mut deframer = Any::new(Framing::Mbap, TransactionIds::Ignore);
        let (dropped, found) = answers(&mut deframer, &mbap_frame(999, 1, &mirror::reply(&READ)), &[AWAITED]);
        assert_eq!((dropped.len(), found.len()), (0, 1));
    }

    proptest! {
        #[test]
        fn answers_are_found_in_any_order_and_however_the_stream_is_cut(
            owned in proptest::collection::vec(any_request(), 1..6),
            cuts in proptest::collection::vec(1_usize..40, 1..20),
            backwards: bool,
        ) {
            let awaited: Vec<Awaited<'_>> =
                owned.iter().zip(0_u16..).map(|(request, tid)| Awaited { tid, unit: 3, request: request.borrow() }).collect();
            let mut order: Vec<&Awaited<'_>> = awaited.iter().collect();
            if backwards {
                order.reverse();
            }
            let stream: Vec<u8> =
                order.iter().flat_map(|one| mbap_frame(one.tid, one.unit, &mirror::reply(&one.request))).collect();
            let found = mirror::answers_in_pieces(&mut deframer(), &stream, &cuts, &awaited);
            let expected: Vec<_> = order.iter().map(|one| (usize::from(one.tid), mirror::reply(&one.request))).collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn garbage_before_an_answer_never_hides_it_nor_changes_it(garbage in proptest::collection::vec(any::<u8>(), 8..400)) {
            let mut bytes = garbage;
            bytes[2] |= 1;
            bytes.extend(good());
            let (_, found) = answers(&mut deframer(), &bytes, &[AWAITED]);
            prop_assert_eq!(found, [(0, mirror::reply(&READ))]);
        }

        #[test]
        fn garbage_alone_is_no_answer(garbage in proptest::collection::vec(any::<u8>(), 0..600)) {
            let (_, found) = answers(&mut deframer(), &garbage, &[AWAITED]);
            prop_assert!(found.is_empty());
        }
    }
}
