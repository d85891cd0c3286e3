//! S7 messages: a header, parameters, data.
//!
//! ```text
//! 32 | kind (1) | 0 (2) | reference (2) | length of parameters (2) | length of data (2) [| error class, code] | …
//! ```

/// The protocol's id.
const PROTOCOL: u8 = 0x32;

/// Header bytes of a request.
const HEADER: usize = 10;

/// Header bytes of an answer.
pub(super) const ANSWER_HEADER: usize = 12;

/// Kinds of messages.
const JOB: u8 = 1;
const ACKNOWLEDGED: u8 = 2;
const ANSWERED: u8 = 3;
const USERDATA: u8 = 7;

/// What a client can send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Job,
    Userdata,
}

/// A request as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Request<'a> {
    pub(super) kind: Kind,
    pub(super) reference: u16,
    pub(super) parameters: &'a [u8],
    pub(super) data: &'a [u8],
}

/// Why a whole request is refused, as the header's error class and code say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeaderError {
    /// 81 04: the function is not known, or not permitted.
    NotSupported,
    /// 85 00: the request or its answer is too long, or its lengths do not fit.
    PduSize,
    /// 85 04: the request has more items than the PLC takes.
    TooManyItems,
}

/// The request of a PDU; none if it is no request.
pub(super) fn parse(pdu: &[u8]) -> Option<Request<'_>> {
    let (header, rest) = pdu.split_at_checked(HEADER)?;
    let &[PROTOCOL, kind, _, _, r0, r1, p0, p1, d0, d1] = header else { return None };
    let kind = match kind {
        JOB => Kind::Job,
        USERDATA => Kind::Userdata,
        _ => return None,
    };
    let (parameters, data) = rest.split_at_checked(usize::from(u16::from_be_bytes([p0, p1])))?;
    let data_len = usize::from(u16::from_be_bytes([d0, d1]));
    (data.len() == data_len).then_some(Request { kind, reference: u16::from_be_bytes([r0, r1]), parameters, data })
}

/// The answer to a job.
pub(super) fn answer(reference: u16, parameters: &[u8], data: &[u8]) -> Vec<u8> {
    let mut pdu = header(ANSWERED, reference, parameters.len(), data.len());
    pdu.extend([0, 0]);
    pdu.extend_from_slice(parameters);
    pdu.extend_from_slice(data);
    pdu
}

/// The answer to a userdata request, whose header has no room for an error.
pub(super) fn userdata(reference: u16, parameters: &[u8], data: &[u8]) -> Vec<u8> {
    let mut pdu = header(USERDATA, reference, parameters.len(), data.len());
    pdu.extend_from_slice(parameters);
    pdu.extend_from_slice(data);
    pdu
}

/// The refusal of a job.
pub(super) fn refusal(reference: u16, error: HeaderError) -> Vec<u8> {
    let (kind, class, code) = match error {
        HeaderError::NotSupported => (ACKNOWLEDGED, 0x81, 0x04),
        HeaderError::PduSize => (ANSWERED, 0x85, 0x00),
        HeaderError::TooManyItems => (ANSWERED, 0x85, 0x04),
    };
    let mut pdu = header(kind, reference, 0, 0);
    pdu.extend([class, code]);
    pdu
}

fn header(kind: u8, reference: u16, parameters: usize, data: usize) -> Vec<u8> {
    let mut pdu = vec![PROTOCOL, kind, 0, 0];
    pdu.extend(reference.to_be_bytes());
    pdu.extend((parameters as u16).to_be_bytes());
    pdu.extend((data as u16).to_be_bytes());
    pdu
}

#[cfg(test)]
mod tests {
    use super::*;

    const READ: &[u8] = &[0x32, 1, 0, 0, 0x12, 0x34, 0, 2, 0, 1, 4, 1, 9];

    #[test]
    fn a_request_is_taken_apart_and_must_have_its_lengths() {
        let wanted = Request { kind: Kind::Job, reference: 0x1234, parameters: &[4, 1], data: &[9] };
        assert_eq!(parse(READ), Some(wanted));
        for end in 0..READ.len() {
            assert_eq!(parse(&READ[..end]), None, "{end}");
        }
        assert_eq!(parse(&[READ, &[0]].concat()), None);
        assert_eq!(parse(&[&[0x32, 3], &READ[2..]].concat()), None);
        assert_eq!(parse(&[&[0x72], &READ[1..]].concat()), None);
    }

    #[test]
    fn answers_carry_the_reference() {
        assert_eq!(answer(0x1234, &[4], &[1, 2]), [0x32, 3, 0, 0, 0x12, 0x34, 0, 1, 0, 2, 0, 0, 4, 1, 2]);
        assert_eq!(refusal(1, HeaderError::NotSupported), [0x32, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0x81, 4]);
        assert_eq!(userdata(1, &[5], &[6]), [0x32, 7, 0, 0, 0, 1, 0, 1, 0, 1, 5, 6]);
    }
}
