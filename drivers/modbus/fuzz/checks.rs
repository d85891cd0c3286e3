//! What must hold for any text and bytes from outside. Run by the fuzz targets, and by the tests over the corpus.
//!
//! Input of all but `address` and `learned`: one byte for each of up to four requests (the first byte says how many), then the bytes that arrive.

use std::time::Duration;

use driver_core::{Device, DeviceSpec, GroupId, TagId, TagSpec};

use super::ModbusDevice;
use super::address::Address;
use super::config::ModbusEndpoint;
use super::wire::{
    Answer, Awaited, Deframer, FileSpan, Framing, IdentificationLevel, Request, Response, Step, Table, TransactionIds,
    ascii, mbap, rtu,
};

const SPANS: [FileSpan; 2] =
    [FileSpan { file: 4, record: 1, registers: 2 }, FileSpan { file: 3, record: 9, registers: 2 }];

/// Runs `input` through the parser that the fuzz target of that name tests.
pub(crate) fn check(target: &str, input: &[u8]) {
    match target {
        "address" => address(input),
        "mbap" => stream(Framing::Mbap, input),
        "rtu" => stream(Framing::Rtu, input),
        "ascii" => stream(Framing::Ascii, input),
        "pdu" => pdu(input),
        "learned" => learned(input),
        other => panic!("there is no fuzz target {other}"),
    }
}

/// What is understood prints canonically; what is not is shown where it stands.
fn address(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match Address::parse(text) {
        Ok(address) => {
            let printed = address.to_string();
            assert_eq!(Address::parse(&printed).as_ref(), Ok(&address), "{text} as {printed}");
            assert!(address.units() > 0 && !address.also().is_empty());
        }
        Err(error) => assert!(text.get(error.range.clone()).is_some(), "{:?} of `{text}`", error.range),
    }
}

/// What stands at the head of a text that belongs to the tags of [`device`], with their fingerprint.
pub(crate) const LEARNED_HEAD: &str = "modbus 1 cf9c1e9b010daef8";
const LEARNED_TAGS: [&str; 7] = ["hr:0", "hr:1:REAL", "hr:40:INT[300]", "hr:400.3", "2!hr:5", "co:0:BOOL[9]", "xr:7"];
/// Request and answer of the longest read over TCP.
const READ_BYTES_MAX: usize = 12 + mbap::ADU_MAX;

/// Whatever stands on disk, each tag is planned for or held to be refused, and no request is longer than the protocol
/// allows.
fn learned(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let plan = device(Some(format!("{LEARNED_HEAD}\n{text}"))).plan();
    for request in &plan.requests {
        assert!(request.tags > 0 && request.wire_bytes <= READ_BYTES_MAX, "{request:?}");
    }
    let refused = text.lines().filter(|line| line.starts_with("refused ")).count();
    let served: usize = plan.requests.iter().map(|request| request.tags).sum();
    assert!(served + refused >= LEARNED_TAGS.len(), "{served} tags are planned: {plan:?}");
    assert!(refused > 0 || plan.requests.len() >= device(None).plan().requests.len(), "{plan:?}");
}

pub(crate) fn device(learned: Option<String>) -> ModbusDevice {
    let url = "modbus-tcp://plc".parse().expect("a URL");
    let endpoint = ModbusEndpoint::parse(&url, None).expect("an endpoint");
    let tags = (0..).zip(LEARNED_TAGS);
    let tags = tags.map(|(id, address)| TagSpec { id: TagId(id), address, group: GroupId(0) }).collect();
    let spec = DeviceSpec { groups: vec![Duration::from_secs(1)], tags, learned, ..DeviceSpec::default() };
    ModbusDevice::new(&endpoint, 0, &spec).expect("the tags above are right")
}

fn pdu(input: &[u8]) {
    let Some((&choice, bytes)) = input.split_first() else { return };
    let request = request(choice);
    if let Ok(answer) = request.decode(bytes) {
        holds(&request, bytes, answer);
    }
}

fn stream(framing: Framing, input: &[u8]) {
    let frame_max = match framing {
        Framing::Mbap => mbap::ADU_MAX,
        Framing::Rtu => rtu::ADU_MAX,
        Framing::Ascii => ascii::ADU_MAX,
    };
    let Some((&head, rest)) = input.split_first() else { return };
    let (choices, bytes) = rest.split_at(usize::from(head % 4 + 1).min(rest.len()));
    let ids = if head & 0x80 == 0 { TransactionIds::Match } else { TransactionIds::Ignore };
    let awaited: Vec<Awaited<'_>> =
        (1..).zip(choices).map(|(tid, choice)| Awaited { tid, unit: 1, request: request(*choice) }).collect();
    let mut deframer = Deframer::new(framing, ids);
    let mut at = 0;
    loop {
        let buffer = &bytes[at..];
        match deframer.step(buffer, &awaited) {
            Step::Wait => {
                assert!(buffer.len() <= frame_max, "{} bytes wait for a frame of {frame_max}", buffer.len());
                return;
            }
            Step::Skip { len } | Step::Drop { len, .. } => {
                assert!((1..=buffer.len()).contains(&len), "{len} of {} bytes dropped", buffer.len());
                at += len;
            }
            Step::Answer { which, pdu, len } => {
                assert!((1..=buffer.len()).contains(&len), "{len} of {} bytes taken", buffer.len());
                let pdu = deframer.pdu(buffer, pdu);
                let request = &awaited[which].request;
                holds(request, pdu, request.decode(pdu).expect("an answer found decodes"));
                at += len;
            }
        }
    }
}

/// An answer holds exactly what was asked for.
fn holds(request: &Request<'_>, pdu: &[u8], answer: Answer<'_>) {
    match (answer, *request) {
        (Answer::Exception(exception), _) => assert_eq!(pdu, [request.function() | 0x80, exception.code()]),
        (Answer::Response(Response::Registers(bytes)), Request::Read { count, .. }) => {
            assert_eq!(bytes.len(), 2 * usize::from(count));
        }
        (Answer::Response(Response::Bits(bits)), Request::Read { count, .. }) => {
            assert_eq!((0..=count).filter(|index| bits.get(*index).is_some()).count(), usize::from(count));
        }
        (Answer::Response(Response::Files(runs)), Request::ReadFileRecords(spans)) => {
            let lengths: Vec<usize> = runs.iter().map(<[u8]>::len).collect();
            assert_eq!(lengths, spans.iter().map(|span| 2 * usize::from(span.registers)).collect::<Vec<_>>());
        }
        (Answer::Response(Response::Identification(part)), Request::ReadDeviceIdentification { .. }) => {
            assert!(part.objects().map(|(_, text)| 2 + text.len()).sum::<usize>() < pdu.len());
        }
        (Answer::Response(Response::Registers(bytes)), Request::ReadWriteRegisters { read_count, .. }) => {
            assert_eq!(bytes.len(), 2 * usize::from(read_count));
        }
        (Answer::Response(Response::Written), request) => assert!(request.is_write()),
        (answer, request) => panic!("{answer:?} to {request}"),
    }
}

fn request(choice: u8) -> Request<'static> {
    let count = u16::from(choice >> 4) + 1;
    match choice & 15 {
        0 => Request::Read { table: Table::Coils, start: 0, count },
        1 => Request::Read { table: Table::DiscreteInputs, start: 9, count: count * 100 },
        2 => Request::Read { table: Table::HoldingRegisters, start: 0, count },
        3 => Request::Read { table: Table::InputRegisters, start: 7, count: count * 7 },
        4 => Request::WriteCoil { address: 1, on: true },
        5 => Request::WriteRegister { address: 1, value: 2 },
        6 => Request::WriteCoils { start: 1, count: 9, bits: &[1, 1] },
        7 => Request::WriteRegisters { start: 1, registers: &[0, 1, 0, 2] },
        8 => Request::MaskWriteRegister { address: 1, and_mask: 2, or_mask: 3 },
        9 => Request::ReadWriteRegisters { read_start: 1, read_count: count, write_start: 1, registers: &[0, 1] },
        10 => Request::ReadFileRecords(&SPANS),
        11 => Request::ReadDeviceIdentification { level: IdentificationLevel::Basic, object: choice >> 4 },
        _ => Request::Read { table: Table::HoldingRegisters, start: 0, count: 125 },
    }
}
