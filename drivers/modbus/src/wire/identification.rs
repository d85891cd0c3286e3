//! Read device identification: function 43, MEI type 14 (Application Protocol, 6.21).
//!
//! ```text
//! 2B | 0E | level | conformity | more follows (00, FF) | next object | objects | { id | length | text } ...
//! ```

use super::mismatch::Mismatch;
use super::request::MEI_DEVICE_IDENTIFICATION;

/// How much of its identification a device is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IdentificationLevel {
    /// Objects 0 to 2: vendor, product code, revision. Every device that knows the function has them.
    Basic,
    /// Objects up to 7F: also vendor URL, product name, model name, application name.
    Regular,
    /// Objects up to FF: what the vendor adds.
    Extended,
    /// The one object named in the request.
    Specific,
}

impl IdentificationLevel {
    /// The "read device id code" on the wire.
    pub fn code(self) -> u8 {
        match self {
            Self::Basic => 1,
            Self::Regular => 2,
            Self::Extended => 3,
            Self::Specific => 4,
        }
    }
}

/// One answer to read device identification; a device may need several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identification<'a> {
    /// The device's conformity level (6.21).
    pub conformity: u8,
    /// The object to ask for next, if more follows.
    pub next_object: Option<u8>,
    objects: &'a [u8],
}

impl<'a> Identification<'a> {
    /// Object ids and their bytes, which are ASCII for ids below 80 hex.
    pub fn objects(&self) -> impl Iterator<Item = (u8, &'a [u8])> + use<'a> {
        let mut rest = self.objects;
        std::iter::from_fn(move || {
            let (id, text, after) = split_object(rest)?;
            rest = after;
            Some((id, text))
        })
    }

    /// `data` is what follows the function code.
    pub(crate) fn decode(level: IdentificationLevel, object: u8, data: &'a [u8]) -> Result<Self, Mismatch> {
        let [MEI_DEVICE_IDENTIFICATION, code, conformity, more, next, count, objects @ ..] = data else {
            return Err(Mismatch::Content);
        };
        if *code != level.code() {
            return Err(Mismatch::Content);
        }
        let mut rest = objects;
        for number in 0..*count {
            let (id, _, after) = split_object(rest).ok_or(Mismatch::Length)?;
            // A part that begins elsewhere is an earlier one, late, or the start all over, which would never end.
            if number == 0 && object != 0 && id != object {
                return Err(Mismatch::Content);
            }
            rest = after;
        }
        if !rest.is_empty() {
            return Err(Mismatch::Length);
        }
        let next_object = (*more == 0xFF).then_some(*next);
        Ok(Self { conformity: *conformity, next_object, objects })
    }
}

/// Bytes of the PDU that begins with `pdu`; `None` if more bytes must come before it can be told.
pub(crate) fn pdu_bytes(pdu: &[u8]) -> Option<usize> {
    let count = *pdu.get(6)?;
    let mut at = 7;
    for _ in 0..count {
        at += 2 + usize::from(*pdu.get(at + 1)?);
    }
    Some(at)
}

fn split_object(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let [id, length, rest @ ..] = bytes else { return None };
    let (text, after) = rest.split_at_checked(usize::from(*length))?;
    Some((*id, text, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Answer, Request, Response};

    const REQUEST: Request<'_> = Request::ReadDeviceIdentification { level: IdentificationLevel::Basic, object: 0 };
    const PART: &[u8] = b"\x2B\x0E\x01\x01\xFF\x02\x02\x00\x04Acme\x01\x03P-1";

    #[test]
    fn objects_and_the_next_one_are_told() {
        let Ok(Answer::Response(Response::Identification(part))) = REQUEST.decode(PART) else { panic!("no part") };
        assert_eq!(part.objects().collect::<Vec<_>>(), [(0, &b"Acme"[..]), (1, &b"P-1"[..])]);
        assert_eq!(part.next_object, Some(2));
        assert_eq!(pdu_bytes(PART), Some(PART.len()));
    }

    #[test]
    fn an_answer_cut_anywhere_is_refused() {
        for cut in 0..PART.len() {
            assert!(REQUEST.decode(&PART[..cut]).is_err(), "cut at {cut}");
            assert_ne!(pdu_bytes(&PART[..cut]), Some(cut), "cut at {cut}");
        }
    }

    #[test]
    fn an_earlier_part_is_not_taken_for_the_continuation() {
        let request = Request::ReadDeviceIdentification { level: IdentificationLevel::Basic, object: 2 };
        assert_eq!(request.decode(PART), Err(Mismatch::Content));
    }
}
