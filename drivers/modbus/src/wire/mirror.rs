//! A device that holds a known value at each address, and its answers: the far side of the tests.

use proptest::prelude::*;

use super::crc::crc16;
use super::function;
use super::request::payload_bytes;
use super::{Awaited, Deframer, FileSpan, IdentificationLevel, Mismatch, Request, Step, Table};

/// A request that owns its values, so that it can be drawn at random.
#[derive(Debug, Clone)]
pub(crate) enum OwnedRequest {
    Plain(Request<'static>),
    WriteCoils { start: u16, count: u16, bits: Vec<u8> },
    WriteRegisters { start: u16, registers: Vec<u8> },
    ReadWrite { read_start: u16, read_count: u16, write_start: u16, registers: Vec<u8> },
    ReadFiles(Vec<FileSpan>),
}

impl OwnedRequest {
    pub(crate) fn borrow(&self) -> Request<'_> {
        match self {
            Self::Plain(request) => *request,
            Self::WriteCoils { start, count, bits } => Request::WriteCoils { start: *start, count: *count, bits },
            Self::WriteRegisters { start, registers } => Request::WriteRegisters { start: *start, registers },
            Self::ReadWrite { read_start, read_count, write_start, registers } => Request::ReadWriteRegisters {
                read_start: *read_start,
                read_count: *read_count,
                write_start: *write_start,
                registers,
            },
            Self::ReadFiles(spans) => Request::ReadFileRecords(spans),
        }
    }
}

/// Any request that may be sent.
pub(crate) fn any_request() -> impl Strategy<Value = OwnedRequest> {
    let table = prop_oneof![
        Just(Table::Coils),
        Just(Table::DiscreteInputs),
        Just(Table::HoldingRegisters),
        Just(Table::InputRegisters)
    ];
    let read = (table, 0..30_000_u16, 1..=2000_u16).prop_map(|(table, start, count)| {
        OwnedRequest::Plain(Request::Read { table, start, count: 1 + count % table.read_max() })
    });
    let registers = |max: usize| {
        proptest::collection::vec(any::<u8>(), 2..=2 * max).prop_map(|mut bytes| {
            bytes.truncate(bytes.len() / 2 * 2);
            bytes
        })
    };
    prop_oneof![
        4 => read,
        1 => (any::<u16>(), any::<bool>()).prop_map(|(address, on)| OwnedRequest::Plain(Request::WriteCoil { address, on })),
        1 => (any::<u16>(), any::<u16>())
            .prop_map(|(address, value)| OwnedRequest::Plain(Request::WriteRegister { address, value })),
        1 => (any::<u16>(), any::<u16>(), any::<u16>()).prop_map(|(address, and_mask, or_mask)| {
            OwnedRequest::Plain(Request::MaskWriteRegister { address, and_mask, or_mask })
        }),
        1 => (0..100_u16, 1..=1968_u16).prop_map(|(start, count)| OwnedRequest::WriteCoils {
            start,
            count,
            bits: vec![0x5A; usize::from(count).div_ceil(8)],
        }),
        1 => (0..100_u16, registers(123)).prop_map(|(start, registers)| OwnedRequest::WriteRegisters { start, registers }),
        1 => (0..100_u16, 1..=125_u16, 0..100_u16, registers(121)).prop_map(
            |(read_start, read_count, write_start, registers)| OwnedRequest::ReadWrite {
                read_start,
                read_count,
                write_start,
                registers,
            }
        ),
        1 => proptest::collection::vec((1..9_u16, 0..99_u16, 1..20_u16), 1..5).prop_map(|spans| {
            OwnedRequest::ReadFiles(
                spans.into_iter().map(|(file, record, registers)| FileSpan { file, record, registers }).collect(),
            )
        }),
        1 => Just(OwnedRequest::Plain(Request::ReadDeviceIdentification { level: IdentificationLevel::Basic, object: 0 })),
    ]
}

/// The register at an address.
pub(crate) fn register(address: u16) -> u16 {
    address.wrapping_mul(257) ^ 0x5AA5
}

/// The bit at an address.
pub(crate) fn bit(address: u16) -> bool {
    register(address).count_ones() % 2 == 1
}

/// Registers as they stand on the wire.
pub(crate) fn registers(start: u16, count: u16) -> Vec<u8> {
    (0..count).flat_map(|index| register(start.wrapping_add(index)).to_be_bytes()).collect()
}

/// The PDU that answers `request`.
pub(crate) fn reply(request: &Request<'_>) -> Vec<u8> {
    let mut sent = Vec::new();
    request.encode(&mut sent).expect("a valid request");
    match *request {
        Request::Read { table, start, count } if table.is_bits() => {
            let mut bytes = vec![0; payload_bytes(table, count)];
            for index in (0..count).filter(|index| bit(start.wrapping_add(*index))) {
                bytes[usize::from(index / 8)] |= 1 << (index % 8);
            }
            counted(request.function(), &bytes)
        }
        Request::Read { start, count, .. } => counted(request.function(), &registers(start, count)),
        Request::ReadWriteRegisters { read_start, read_count, .. } => {
            counted(function::READ_WRITE_REGISTERS, &registers(read_start, read_count))
        }
        Request::WriteCoils { .. } | Request::WriteRegisters { .. } => sent[..5].to_vec(),
        Request::ReadFileRecords(spans) => {
            let runs = spans.iter().flat_map(|span| {
                let run = registers(span.record, span.registers);
                [vec![run.len() as u8 + 1, 6], run].concat()
            });
            counted(function::READ_FILE_RECORDS, &runs.collect::<Vec<u8>>())
        }
        Request::ReadDeviceIdentification { level, .. } => {
            [&[0x2B, 0x0E, level.code(), 1, 0, 0, 2][..], b"\x00\x04Acme\x01\x03P-1"].concat()
        }
        _ => sent,
    }
}

fn counted(function: u8, bytes: &[u8]) -> Vec<u8> {
    [&[function, bytes.len() as u8], bytes].concat()
}

pub(crate) fn mbap_frame(tid: u16, unit: u8, pdu: &[u8]) -> Vec<u8> {
    let length = (pdu.len() as u16 + 1).to_be_bytes();
    [&tid.to_be_bytes()[..], &[0, 0], &length, &[unit], pdu].concat()
}

pub(crate) fn rtu_frame(unit: u8, pdu: &[u8]) -> Vec<u8> {
    let body = [&[unit], pdu].concat();
    [&body[..], &crc16(&body).to_le_bytes()].concat()
}

pub(crate) fn ascii_frame(unit: u8, pdu: &[u8]) -> Vec<u8> {
    let mut body = [&[unit], pdu].concat();
    body.push(body.iter().fold(0, |sum: u8, byte| sum.wrapping_sub(*byte)));
    let hex: String = body.iter().map(|byte| format!("{byte:02X}")).collect();
    format!(":{hex}\r\n").into_bytes()
}

/// What was dropped and what was answered in a whole stream.
pub(crate) fn answers(
    deframer: &mut Deframer,
    stream: &[u8],
    awaited: &[Awaited<'_>],
) -> (Vec<Mismatch>, Vec<(usize, Vec<u8>)>) {
    let (mut dropped, mut found, mut at) = (Vec::new(), Vec::new(), 0);
    loop {
        match deframer.step(&stream[at..], awaited) {
            Step::Wait => return (dropped, found),
            Step::Skip { len } => at += len,
            Step::Drop { len, reason } => {
                at += len;
                dropped.push(reason);
            }
            Step::Answer { which, pdu, len } => {
                found.push((which, deframer.pdu(&stream[at..], pdu).to_vec()));
                at += len;
            }
        }
    }
}

/// The same for a stream that arrives in pieces of the given sizes, over and over.
pub(crate) fn answers_in_pieces(
    deframer: &mut Deframer,
    stream: &[u8],
    sizes: &[usize],
    awaited: &[Awaited<'_>],
) -> Vec<(usize, Vec<u8>)> {
    let (mut buffer, mut rest, mut all) = (Vec::new(), stream, Vec::new());
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at((*size).min(rest.len()));
        rest = after;
        buffer.extend_from_slice(piece);
        loop {
            match deframer.step(&buffer, awaited) {
                Step::Wait => break,
                Step::Skip { len } | Step::Drop { len, .. } => drop(buffer.drain(..len)),
                Step::Answer { which, pdu, len } => {
                    all.push((which, deframer.pdu(&buffer, pdu).to_vec()));
                    buffer.drain(..len);
                }
            }
        }
    }
    all
}
