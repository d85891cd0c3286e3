//! Signals in the registers and bits of Modbus units.

use driver_core::{DataType, DeviceSpec, EndpointUrl, Field, LineSpec, Order};
use drivers::modbus::address::{Address, Area};
use drivers::modbus::wire;
use hardware_sim::modbus::{Plant, Table};

use super::signals::{blinking, seconds, signal_of, value_of};

/// Puts a signal at every address of a line. Extended registers are not simulated.
pub(super) fn put(plant: &Plant, line: &LineSpec) {
    for device in &line.devices {
        let unit = unit_of(&line.url, device);
        for tag in device.tags.iter() {
            if let Ok(address) = Address::parse(tag.address) {
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
        plant.drive(unit, table, start, cells, blinking(), fill);
    } else if data_type == DataType::Bool {
        plant.drive(unit, table, start, cells, seconds(), fill);
    } else {
        plant.drive(unit, table, start, cells, signal_of(data_type, number), move |value, words| {
            show(&field, value, words)
        });
    }
}

fn fill(value: f64, words: &mut [u16]) {
    words.fill(value as u16);
}

/// Writes the value in the field's type, each element of an array alike.
fn show(field: &Field, value: f64, words: &mut [u16]) {
    // A value that does not fit leaves the words as they were.
    if let Ok(bytes) = field.encode(&value_of(field.data_type, field.elements, value)) {
        for (word, pair) in words.iter_mut().zip(bytes.chunks_exact(2)) {
            *word = u16::from_be_bytes([pair[0], pair[1]]);
        }
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
