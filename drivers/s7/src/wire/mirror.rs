//! The other side of the wire, for tests: requests understood, answers made.

use super::{Kind, Message, Outgoing, ReturnCode, code, cotp};

/// What a PLC sends: a message in packets of this size.
pub(crate) fn packets(message: &[u8], tpdu_max: usize) -> Vec<u8> {
    let mut out = Vec::new();
    cotp::put_message(message, tpdu_max, &mut out);
    out
}

/// An answer with data.
pub(crate) fn answer(reference: u16, error: u16, parameter: &[u8], data: &[u8]) -> Vec<u8> {
    let mut job = Vec::new();
    Outgoing { kind: Kind::Job, parameter, data }.put(reference, &mut job);
    let (head, body) = job.split_at(10);
    let mut out = head.to_vec();
    out[1] = 3;
    out.extend_from_slice(&error.to_be_bytes());
    out.extend_from_slice(body);
    out
}

/// An answer to a read with these items.
pub(crate) fn read_answer(reference: u16, items: &[Result<&[u8], ReturnCode>]) -> Vec<u8> {
    let mut data = Vec::new();
    for item in items {
        data.resize(data.len().next_multiple_of(2), 0);
        match item {
            Ok(bytes) => {
                let bits = u16::try_from(8 * bytes.len()).expect("a short item").to_be_bytes();
                data.extend_from_slice(&[code::SERVED, 4, bits[0], bits[1]]);
                data.extend_from_slice(bytes);
            }
            Err(refused) => data.extend_from_slice(&[refused.0, 0, 0, 0]),
        }
    }
    answer(reference, 0, &[4, u8::try_from(items.len()).expect("few items")], &data)
}

/// A message that came, which the test knows to be one.
pub(crate) fn message(bytes: &[u8]) -> Message<'_> {
    Message::decode(bytes).expect("a message")
}
