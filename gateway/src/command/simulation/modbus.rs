//! Which signal each address shows.
//!
//! ```text
//! BOOL, in a table of bits    on for five seconds, off for five
//! BOOL, in a register         the register counts seconds, so that its bits change after 1, 2, 4, 8 … of them
//! UDINT, ULINT, DWORD, LWORD  counts seconds
//! other integers              wander between 0 and 1000; 8-bit ones between 0 and 100
//! REAL, LREAL, F16            a sine from 0 to 100, from 20 to 39 seconds long
//! texts                       "sim"
//! times and dates             count seconds
//! ```

use driver_core::{DataType, DeviceSpec, EndpointUrl, Field, LineSpec, Order, Value};
use drivers::modbus::address::{Address, Area};
use drivers::modbus::wire;
use hardware_sim::modbus::{Plant, Table};
use hardware_sim::signal::Signal;

const NANOS_PER_SECOND: f64 = 1e9;

/// 2026-11-23 00:00 UTC: dates count from here.
const DATE_NANOS: i64 = 1_795_392_000_000_000_000;

/// Puts a signal at every address of a line. Extended registers are not simulated.
pub(super) fn put(plant: &Plant, line: &LineSpec) {
    for device in &line.devices {
        let unit = unit_of(&line.url, device);
        for tag in &device.tags {
            if let Ok(address) = Address::parse(&tag.address) {
                put_one(plant, address.unit.unwrap_or(unit), &address, device.order.unwrap_or_default(), tag.id.0);
            }
        }
    }
}

fn unit_of(url: &EndpointUrl, device: &DeviceSpec) -> u8 {
    let written = url.options().text("unit").and_then(|unit| unit.parse().ok());
    device.unit.and_then(|unit| u8::try_from(unit).ok()).or(written).unwrap_or(1)
}

fn put_one(plant: &Plant, unit: u8, address: &Address, order: Order, number: u32) {
    let (Area::Table(area), Ok(start)) = (address.area, u16::try_from(address.start)) else { return };
    let table = match area {
        wire::Table::Coils => Table::Coils,
        wire::Table::DiscreteInputs => Table::DiscreteInputs,
        wire::Table::InputRegisters => Table::InputRegisters,
        wire::Table::HoldingRegisters => Table::HoldingRegisters,
    };
    let Ok(cells) = u16::try_from(address.units()) else { return };
    let (field, data_type) = (address.field(order), address.data_type);
    if address.area.is_bits() {
        plant.drive(unit, table, start, cells, signal("square(min=0,max=1,period=10s)"), fill);
    } else if data_type == DataType::Bool {
        plant.drive(unit, table, start, cells, signal("counter(from=0,step=1,every=1s)"), fill);
    } else {
        plant.drive(unit, table, start, cells, signal_of(data_type, number), move |value, words| {
            show(&field, value, words)
        });
    }
}

fn signal_of(data_type: DataType, number: u32) -> Signal {
    match data_type {
        DataType::Half | DataType::Real | DataType::Lreal => {
            signal(&format!("sine(min=0,max=100,period={}s)", 20 + number % 20))
        }
        DataType::Sint | DataType::Usint | DataType::Byte => {
            signal(&format!("random-walk(min=0,max=100,step=2,every=1s,seed={number})"))
        }
        DataType::Int | DataType::Uint | DataType::Word | DataType::Dint | DataType::Lint => {
            signal(&format!("random-walk(min=0,max=1000,step=5,every=1s,seed={number})"))
        }
        _ => signal("counter(from=0,step=1,every=1s)"),
    }
}

fn signal(text: &str) -> Signal {
    let no_files = |_: &str| Err(std::io::Error::other("no recordings here"));
    Signal::parse(text, no_files).expect("the texts above are signals")
}

fn fill(value: f64, words: &mut [u16]) {
    words.fill(value as u16);
}

/// Writes the value in the field's type, each element of an array alike.
fn show(field: &Field, value: f64, words: &mut [u16]) {
    let one = value_of(field.data_type, value);
    let all = match field.elements {
        Some(count) => Value::Array(vec![one; usize::from(count)].into()),
        None => one,
    };
    // A value that does not fit leaves the words as they were.
    if let Ok(bytes) = field.encode(&all) {
        for (word, pair) in words.iter_mut().zip(bytes.chunks_exact(2)) {
            *word = u16::from_be_bytes([pair[0], pair[1]]);
        }
    }
}

fn value_of(data_type: DataType, value: f64) -> Value {
    let nanos = (value * NANOS_PER_SECOND) as i64;
    match data_type {
        DataType::Half | DataType::Real => Value::Real(value as f32),
        DataType::Lreal => Value::LReal(value),
        DataType::Char | DataType::Wchar => Value::Text("s".into()),
        DataType::String(length) | DataType::Wstring(length) => Value::Text("sim"[..3.min(length.into())].into()),
        DataType::Time | DataType::Ltime => Value::Duration(nanos),
        DataType::TimeOfDay | DataType::Ltod => Value::TimeOfDay(nanos % (86_400 * NANOS_PER_SECOND as i64)),
        DataType::Date | DataType::DateAndTime | DataType::Ldt => Value::DateTime(DATE_NANOS + nanos),
        _ => Value::Int(value as i64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_shows_something_that_decodes() {
        for text in [
            "hr:0:REAL@CDAB",
            "hr:4:INT[3]",
            "hr:10:STRING(6)",
            "hr:20:LTIME",
            "ir:0:DATE_AND_TIME",
            "hr:30:USINT",
            "hr:40.3",
        ] {
            let plant = Plant::new();
            let address = Address::parse(text).expect(text);
            put_one(&plant, 1, &address, Order::Abcd, 7);
            let field = address.field(Order::Abcd);
            let mut words = vec![0; address.units() as usize];
            show(&field, 21.0, &mut words);
            if address.data_type != DataType::Bool {
                assert!(words.iter().any(|word| *word != 0), "{text}");
            }
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
            assert!(field.decoder(0).decode(&bytes).is_some(), "{text}");
        }
    }
}
