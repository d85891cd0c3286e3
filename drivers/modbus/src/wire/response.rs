//! What a device answers, checked against the request and borrowed from the receive buffer.

use super::exception::Exception;
use super::file::{self, FileRecords};
use super::function;
use super::identification::Identification;
use super::mismatch::Mismatch;
use super::request::{Request, Table, coil, payload_bytes, register_count};

/// The answer to one request: it was done, or refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer<'a> {
    /// The device did what was asked.
    Response(Response<'a>),
    /// The device refused.
    Exception(Exception),
}

/// What a device sends when it does what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Response<'a> {
    /// To a read of coils or discrete inputs: exactly as many as were asked for.
    Bits(Bits<'a>),
    /// To a read of registers: exactly as many as were asked for, two bytes each, big-endian.
    Registers(&'a [u8]),
    /// To a read of file records.
    Files(FileRecords<'a>),
    /// To read device identification.
    Identification(Identification<'a>),
    /// To a write: the device confirmed the very address and value. A broadcast is `Written` once it is sent.
    Written,
}

/// Packed bits, the first in the lowest bit of the first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bits<'a> {
    bytes: &'a [u8],
    count: u16,
}

impl<'a> Bits<'a> {
    /// Number of bits.
    pub fn len(&self) -> u16 {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bit `index`, or `None` beyond the end.
    pub fn get(&self, index: u16) -> Option<bool> {
        if index >= self.count {
            return None;
        }
        self.bytes.get(usize::from(index / 8)).map(|byte| byte >> (index % 8) & 1 == 1)
    }

    /// The bytes as they came; bits beyond [`Bits::len`] in the last one mean nothing.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

impl Request<'_> {
    /// Takes `pdu` for the answer to this request if function, length and what must be confirmed all agree.
    ///
    /// # Errors
    /// What does not agree.
    pub fn decode<'b>(&self, pdu: &'b [u8]) -> Result<Answer<'b>, Mismatch> {
        let (&code, data) = pdu.split_first().ok_or(Mismatch::Length)?;
        if code == self.function() {
            self.decode_data(data).map(Answer::Response)
        } else if code == self.function() | function::EXCEPTION_BIT {
            let [exception] = data else { return Err(Mismatch::Length) };
            Ok(Answer::Exception(Exception::from_code(*exception)))
        } else {
            Err(Mismatch::Function(code))
        }
    }

    fn decode_data<'b>(&self, data: &'b [u8]) -> Result<Response<'b>, Mismatch> {
        match *self {
            Self::Read { table, count, .. } => read(table, count, counted(data)?),
            Self::ReadWriteRegisters { read_count, .. } => read(Table::HoldingRegisters, read_count, counted(data)?),
            Self::WriteCoil { address, on } => confirmed(data, &[address, coil(on)]),
            Self::WriteRegister { address, value } => confirmed(data, &[address, value]),
            Self::WriteCoils { start, count, .. } => confirmed(data, &[start, count]),
            Self::WriteRegisters { start, registers } => confirmed(data, &[start, register_count(registers)]),
            Self::MaskWriteRegister { address, and_mask, or_mask } => confirmed(data, &[address, and_mask, or_mask]),
            Self::ReadFileRecords(spans) => {
                file::decode_read(spans, counted(data)?).map(Response::Files).ok_or(Mismatch::Length)
            }
            Self::WriteFileRecords(records) if file::confirms_write(records, counted(data)?) => Ok(Response::Written),
            Self::WriteFileRecords(_) => Err(Mismatch::Content),
            Self::ReadDeviceIdentification { level, object } => {
                Identification::decode(level, object, data).map(Response::Identification)
            }
        }
    }
}

fn read(table: Table, count: u16, bytes: &[u8]) -> Result<Response<'_>, Mismatch> {
    if bytes.len() != payload_bytes(table, count) {
        return Err(Mismatch::Length);
    }
    Ok(if table.is_bits() { Response::Bits(Bits { bytes, count }) } else { Response::Registers(bytes) })
}

/// What follows a byte count that counts it exactly.
fn counted(data: &[u8]) -> Result<&[u8], Mismatch> {
    match data.split_first() {
        Some((&count, bytes)) if usize::from(count) == bytes.len() => Ok(bytes),
        _ => Err(Mismatch::Length),
    }
}

fn confirmed<'b>(data: &[u8], words: &[u16]) -> Result<Response<'b>, Mismatch> {
    if data.len() != 2 * words.len() {
        return Err(Mismatch::Length);
    }
    let same = data.chunks_exact(2).zip(words).all(|(bytes, word)| bytes == word.to_be_bytes());
    if same { Ok(Response::Written) } else { Err(Mismatch::Content) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::mirror::{self, any_request};

    #[test]
    fn bits_come_out_in_the_order_of_their_addresses() {
        // Application Protocol, 6.1: coils 20 to 38 are CD 6B 05.
        let request = Request::Read { table: Table::Coils, start: 0x13, count: 0x13 };
        let Ok(Answer::Response(Response::Bits(bits))) = request.decode(&[1, 3, 0xCD, 0x6B, 0x05]) else {
            panic!("no bits")
        };
        let read: Vec<bool> = (0..bits.len()).filter_map(|index| bits.get(index)).collect();
        let expected = "1011001111010110101".chars().map(|bit| bit == '1').collect::<Vec<_>>();
        assert_eq!(read, expected);
        assert_eq!(bits.get(19), None);
    }

    #[test]
    fn an_answer_that_differs_in_one_field_is_refused_for_that_field() {
        let read = Request::Read { table: Table::HoldingRegisters, start: 7, count: 2 };
        let write = Request::WriteRegister { address: 7, value: 9 };
        let cases: [(Request<'_>, &[u8], Mismatch); 8] = [
            (read, &[], Mismatch::Length),
            (read, &[4, 4, 0, 1, 0, 2], Mismatch::Function(4)),
            (read, &[3, 4, 0, 1, 0], Mismatch::Length),
            (read, &[3, 2, 0, 1], Mismatch::Length),
            (read, &[3, 3, 0, 1, 0, 2], Mismatch::Length),
            (read, &[0x83, 2, 0], Mismatch::Length),
            (write, &[6, 0, 8, 0, 9], Mismatch::Content),
            (write, &[6, 0, 7, 0, 8], Mismatch::Content),
        ];
        for (request, pdu, reason) in cases {
            assert_eq!(request.decode(pdu), Err(reason), "{request}: {pdu:?}");
        }
        assert_eq!(read.decode(&[0x83, 2]), Ok(Answer::Exception(Exception::IllegalDataAddress)));
    }

    proptest! {
        #[test]
        fn a_true_answer_is_taken_and_holds_what_the_device_holds(owned in any_request()) {
            let request = owned.borrow();
            let pdu = mirror::reply(&request);
            match (request.decode(&pdu), request) {
                (Ok(Answer::Response(Response::Registers(bytes))), Request::Read { start, count, .. }) => {
                    prop_assert_eq!(bytes, mirror::registers(start, count));
                }
                (Ok(Answer::Response(Response::Bits(bits))), Request::Read { start, count, .. }) => {
                    for index in 0..count {
                        prop_assert_eq!(bits.get(index), Some(mirror::bit(start.wrapping_add(index))));
                    }
                }
                (Ok(Answer::Response(_)), _) => {}
                (other, _) => prop_assert!(false, "{:?}", other),
            }
            if let Some(bytes) = request.reply_pdu_bytes() {
                prop_assert_eq!(bytes, pdu.len());
            }
        }

        #[test]
        fn an_answer_cut_or_lengthened_is_refused(owned in any_request(), cut in 0_usize..253, more in 1_usize..4) {
            let request = owned.borrow();
            let pdu = mirror::reply(&request);
            prop_assert!(request.decode(&pdu[..cut % pdu.len()]).is_err());
            let long = [pdu, vec![0; more]].concat();
            prop_assert!(request.decode(&long).is_err());
        }

        #[test]
        fn garbage_never_yields_more_or_less_than_was_asked_for(
            owned in any_request(),
            garbage in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let request = owned.borrow();
            let mut pdu = garbage;
            if let Some(first) = pdu.first_mut() {
                *first = request.function();
            }
            if let Ok(Answer::Response(Response::Registers(bytes))) = request.decode(&pdu) {
                let asked = request.reply_pdu_bytes().map(|length| length - 2);
                prop_assert_eq!(Some(bytes.len()), asked);
            }
        }
    }
}
