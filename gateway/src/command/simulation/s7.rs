//! Signals in the blocks and areas of S7 PLCs.

use driver_core::{DataType, LineSpec, Order};
use drivers::s7::address::Address;
use drivers::s7::config::S7Endpoint;
use drivers::s7::form::Part;
use drivers::s7::wire;
use hardware_sim::s7::{Area, Plc, PlcConfig};

use super::signals::{seconds, signal_of, value_of};

/// A PLC for a line's URL: it agrees to the PDU of the kind of PLC that the URL names.
pub(super) fn plc(line: &LineSpec) -> Plc {
    let plc = Plc::new();
    if let Ok(endpoint) = S7Endpoint::parse(&line.url, None) {
        plc.configure(PlcConfig { pdu_max: endpoint.pdu_planned, ..PlcConfig::default() });
    }
    plc
}

/// Puts a signal at every address of a line.
pub(super) fn put(plc: &Plc, line: &LineSpec) {
    for device in &line.devices {
        for tag in device.tags.iter() {
            if let Ok(address) = Address::parse(tag.address) {
                put_one(plc, &address, device.order.unwrap_or_default(), tag.id.0);
            }
        }
    }
}

fn put_one(plc: &Plc, address: &Address, order: Order, number: u32) {
    let (Ok(start), Ok(len)) = (u16::try_from(address.start), u16::try_from(address.bytes())) else { return };
    let (area, data_type) = (area_of(address.area), address.data_type);
    if data_type == DataType::Bool {
        plc.drive(area, start, len, seconds(), |value, bytes| bytes.fill(value as u8));
        return;
    }
    let signal = if address.area == wire::Area::Counters { seconds() } else { signal_of(data_type, number) };
    let address = *address;
    plc.drive(area, start, len, signal, move |value, bytes| show(&address, order, value, bytes));
}

fn area_of(area: wire::Area) -> Area {
    match area {
        wire::Area::Block(number) => Area::Block(number),
        wire::Area::Flags => Area::Flags,
        wire::Area::Inputs => Area::Inputs,
        wire::Area::Outputs => Area::Outputs,
        wire::Area::Timers => Area::Timers,
        wire::Area::Counters => Area::Counters,
        wire::Area::PeripheralInputs | wire::Area::PeripheralOutputs => Area::Periphery,
    }
}

/// How far a counter of a PLC counts.
const COUNTS: f64 = 1000.0;

/// Writes the value in the address' type, each element of an array alike.
fn show(address: &Address, order: Order, value: f64, bytes: &mut [u8]) {
    let value = if address.area == wire::Area::Counters { value.rem_euclid(COUNTS) } else { value };
    let value = value_of(address.data_type, address.elements, value);
    // A value that does not fit leaves the bytes as they were.
    for part in address.form(order).encode(&value).unwrap_or_default() {
        match part {
            Part::Bytes { at, bytes: value } => put_bytes(bytes, at as usize, &value),
            Part::Bit { .. } => {}
            Part::Text { at, head, bytes: value, .. } => {
                let head = usize::from(head.bytes());
                put_bytes(bytes, at as usize, &longest(address.data_type).to_be_bytes()[2 - head..]);
                put_bytes(bytes, at as usize + head, &value);
            }
        }
    }
}

/// How many characters a text holds at most.
fn longest(data_type: DataType) -> u16 {
    match data_type {
        DataType::String(length) | DataType::Wstring(length) => length,
        _ => 0,
    }
}

fn put_bytes(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes.iter_mut().skip(at).zip(value).for_each(|(to, from)| *to = *from);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_shows_something_that_decodes() {
        for text in [
            "DB1.DBD4:REAL",
            "DB1.DBW0:INT[3]",
            "DB1.DBB0:STRING(6)",
            "DB1.DBB0:WSTRING(2)[2]",
            "DB1.DBB0:DTL",
            "DB1.DBW0:DATE",
            "MB8:DATE_AND_TIME",
            "MW0:S5TIME",
            "QW2:UINT@CDAB",
            "PIW256:INT",
            "T5",
            "C7",
        ] {
            let address = Address::parse(text).expect(text);
            let mut bytes = vec![0; address.bytes() as usize];
            show(&address, Order::Abcd, 2021.0, &mut bytes);
            assert!(bytes.iter().any(|byte| *byte != 0), "{text}");
            assert!(address.form(Order::Abcd).decoder(0).decode(&bytes).is_some(), "{text}: {bytes:?}");
        }
    }
}
