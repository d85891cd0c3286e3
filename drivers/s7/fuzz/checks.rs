//! What must hold for any text and bytes from outside. Run by the fuzz targets, and by the tests over the corpus.

use std::time::Duration;

use driver_core::{DataType, Device, DeviceSpec, GroupId, Order, TagId, TagSpec};

use super::S7Device;
use super::address::Address;
use super::config::S7Endpoint;
use super::form::{Form, Part};
use super::wire::szl::{Part as ListPart, records};
use super::wire::write::Write;
use super::wire::{Area, Deframer, Message, PDU_MAX, ReadAnswer, Setup, Step, Tpdu, tpkt};

/// Runs `input` through the parser that the fuzz target of that name tests.
pub(crate) fn check(target: &str, input: &[u8]) {
    match target {
        "address" => address(input),
        "stream" => stream(input),
        "answer" => answer(input),
        "form" => form(input),
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
            assert!(address.bytes() > 0 && !address.also().is_empty());
        }
        Err(error) => assert!(text.get(error.range.clone()).is_some(), "{:?} of `{text}`", error.range),
    }
}

/// Every byte is taken once, no message is longer than was agreed, and what waits is shorter than a packet.
fn stream(input: &[u8]) {
    let mut deframer = Deframer::new(PDU_MAX);
    let mut at = 0;
    loop {
        let buffer = &input[at..];
        match deframer.step(buffer) {
            Ok(Step::Wait) => return assert!(buffer.len() < tpkt::PACKET_MAX, "{} bytes wait", buffer.len()),
            Ok(Step::Part { len }) => {
                assert!((1..=buffer.len()).contains(&len));
                at += len;
            }
            Ok(Step::Message { at: place, len }) => {
                assert!((1..=buffer.len()).contains(&len));
                let message = deframer.message(buffer, place);
                assert!(message.len() <= PDU_MAX);
                if let Ok(message) = Message::decode(message) {
                    assert!(message.parameter.len() + message.data.len() <= PDU_MAX);
                }
                at += len;
            }
            Err(_) => {
                // What is no packet may yet be a TPDU, when a connection is opened.
                if let Ok(Tpdu::Confirm { size, .. }) = Tpdu::decode(buffer) {
                    assert!((128..=8192).contains(&size));
                }
                return;
            }
        }
    }
}

/// An answer holds exactly what was asked for. The first byte says how many items that was, as many follow with lengths.
fn answer(input: &[u8]) {
    let Some((&head, rest)) = input.split_first() else { return };
    let (lens, bytes) = rest.split_at(usize::from(head % 21).min(rest.len()));
    let Ok(message) = Message::decode(bytes) else { return };
    if let Ok(answer) = ReadAnswer::decode(&message, lens.iter().map(|len| u16::from(*len))) {
        let items: Vec<_> = answer.collect();
        assert_eq!(items.len(), lens.len());
        for (item, len) in items.iter().zip(lens) {
            assert!(item.is_err() || item.is_ok_and(|bytes| bytes.len() == usize::from(*len)));
        }
    }
    let mut write = Write::default();
    lens.iter().for_each(|len| write.put_bit(Area::Flags, u32::from(*len), 0, true));
    if let Ok(results) = write.decode(&message) {
        assert_eq!(results.count(), lens.len());
    }
    if let Ok(setup) = Setup::decode(&message) {
        assert_eq!(setup.parameter().len(), message.parameter.len());
    }
    if let Ok(part) = ListPart::decode(&message) {
        let whole: usize = records(part.bytes, usize::from(head)).map(<[u8]>::len).sum();
        assert!(whole <= part.bytes.len());
    }
}

/// What decodes is encoded to bytes that decode to it. The first three bytes make the form.
fn form(input: &[u8]) {
    let Some((&[kind, length, elements], bytes)) = input.split_first_chunk() else { return };
    let names: Vec<&str> = DataType::names().collect();
    let data_type = match DataType::from_name(names[usize::from(kind) % names.len()]) {
        Some(DataType::String(_)) => DataType::String(u16::from(length)),
        Some(DataType::Wstring(_)) => DataType::Wstring(u16::from(length)),
        Some(other) => other,
        None => panic!("a name of the list is known"),
    };
    let elements = (elements > 0).then_some(u16::from(elements));
    let form =
        if kind == 255 { Form::counter(elements) } else { Form::new(data_type, elements, length % 8, Order::Abcd) };
    let Some(value) = form.decoder(0).decode(bytes) else { return };
    let mut again = bytes[..form.bytes()].to_vec();
    for part in form.encode(&value).expect("what was decoded fits") {
        match part {
            Part::Bytes { at, bytes } => again[at as usize..][..bytes.len()].copy_from_slice(&bytes),
            Part::Text { at, head, bytes, .. } => {
                again[at as usize + usize::from(head.bytes())..][..bytes.len()].copy_from_slice(&bytes);
            }
            Part::Bit { at, bit, on } => again[at as usize] = again[at as usize] & !(1 << bit) | u8::from(on) << bit,
        }
    }
    let back = form.decoder(0).decode(&again);
    assert_eq!(format!("{back:?}"), format!("{:?}", Some(value)), "{form:?}");
}

/// What stands at the head of a text that belongs to the tags of [`device`], with their fingerprint.
pub(crate) const LEARNED_HEAD: &str = "s7 1 e31e4f1fa96116a2";
const LEARNED_TAGS: [&str; 7] =
    ["DB1.DBW0:INT", "DB1.DBD2:REAL", "DB1.DBD40:REAL[200]", "DB7.DBX0.0", "PIW4:INT", "PIW10:INT", "T5"];
/// A request and an answer of the longest messages, in their packets.
const READ_BYTES_MAX: usize = 2 * (7 + 240);

/// Whatever stands on disk, each tag is planned for or held to be refused, and no message is longer than is planned with.
fn learned(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let plan = device(Some(format!("{LEARNED_HEAD}\n{text}"))).plan();
    for request in &plan.requests {
        assert!(request.tags > 0 && request.wire_bytes <= READ_BYTES_MAX, "{request:?}");
    }
    let is_refused = text.lines().any(|line| line.starts_with("refused ") || line.starts_with("absent "));
    let served: usize = plan.requests.iter().map(|request| request.tags).sum();
    assert!(is_refused || served >= LEARNED_TAGS.len(), "{served} tags are planned: {plan:?}");
    assert!(is_refused || plan.requests.len() >= device(None).plan().requests.len(), "{plan:?}");
}

pub(crate) fn device(learned: Option<String>) -> S7Device {
    let url = "s7://plc".parse().expect("a URL");
    let endpoint = S7Endpoint::parse(&url, None).expect("an endpoint");
    let tags = (0..).zip(LEARNED_TAGS);
    let tags = tags.map(|(id, address)| TagSpec { id: TagId(id), address, group: GroupId(0) }).collect();
    let spec = DeviceSpec { groups: vec![Duration::from_secs(1)], tags, learned, ..DeviceSpec::default() };
    S7Device::new(&endpoint, 0, &spec).expect("the tags above are right")
}
