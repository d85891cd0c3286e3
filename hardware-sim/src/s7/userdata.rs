//! Userdata requests, of which only the reading of system status lists is known.
//!
//! ```text
//! parameters, request   0 1 12 | 4 | 11 | 44 | 1 | sequence
//! and the next part     0 1 12 | 8 | 12 | 44 | 1 | sequence | 0 0 | 0 0
//! answer                0 1 12 | 8 | 12 | 84 | 1 | sequence | unit (1) | 0 if it is the last (1) | error (2)
//! data                  return code | 9 | length (2) | request: id (2), index (2); answer: a part of the list
//! ```

use super::ItemError;
use super::message::Request;
use super::plc::State;
use super::variables::Body;

/// Bytes of an answer that are not the list: S7 header, parameters, the head of the data.
const OVERHEAD: usize = 10 + 12 + 4;

/// The group and the function of system status lists.
const CPU_FUNCTIONS: u8 = 0x44;
const READ_LIST: u8 = 1;

/// Errors in the parameters (the first is that of functions that are not there).
const NOT_SUPPORTED: u16 = 0x8104;
const NO_SUCH_LIST: u16 = 0xD401;

/// What of a list has not been fetched yet; one a connection.
#[derive(Debug, Default)]
pub(super) struct Rest(Vec<u8>);

/// What follows a part.
#[derive(Clone, Copy)]
enum Follows {
    Nothing,
    More,
}

impl State {
    /// The answer to any userdata request; none if it is malformed.
    pub(super) fn userdata(&self, request: &Request<'_>, rest: &mut Rest, pdu_max: u16) -> Option<Body> {
        let &[0, 1, 0x12, _, method, group, function, sequence, ..] = request.parameters else { return None };
        if (group, function) != (CPU_FUNCTIONS, READ_LIST) {
            return Some(refusal([group, function], sequence, NOT_SUPPORTED));
        }
        match (method, request.data) {
            (0x11, &[0xFF, 9, 0, 4, i0, i1, x0, x1]) => {
                let list = self.status_list(u16::from_be_bytes([i0, i1]), u16::from_be_bytes([x0, x1]));
                match list {
                    Some(list) => *rest = Rest(list),
                    None => return Some(refusal([group, function], sequence, NO_SUCH_LIST)),
                }
            }
            (0x12, _) if !rest.0.is_empty() => {}
            _ => return Some(refusal([group, function], sequence, NOT_SUPPORTED)),
        }
        let room = usize::from(pdu_max).saturating_sub(OVERHEAD).max(1);
        let part: Vec<u8> = rest.0.drain(..room.min(rest.0.len())).collect();
        let follows = if rest.0.is_empty() { Follows::Nothing } else { Follows::More };
        let mut data = vec![0xFF, 9];
        data.extend((part.len() as u16).to_be_bytes());
        data.extend(part);
        Some((parameters([group, function], sequence.max(1), follows, 0), data))
    }
}

fn refusal(asked: [u8; 2], sequence: u8, error: u16) -> Body {
    (parameters(asked, sequence, Follows::Nothing, error), vec![ItemError::NoObject.code(), 0, 0, 0])
}

fn parameters([group, function]: [u8; 2], sequence: u8, follows: Follows, error: u16) -> Vec<u8> {
    let (unit, more) = match follows {
        Follows::Nothing => (0, 0),
        Follows::More => (1, 1),
    };
    let [high, low] = error.to_be_bytes();
    // The upper half of the group says which way it goes: 4 is a request, 8 an answer.
    vec![0, 1, 0x12, 8, 0x12, group & 0x0F | 0x80, function, sequence, unit, more, high, low]
}
