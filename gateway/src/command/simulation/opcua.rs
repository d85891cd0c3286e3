//! Signals in the variables of OPC UA servers.

use std::io;

use driver_core::{DataType, LineSpec, parse_type};
use hardware_sim::opcua::{OpcUaPlc, UaType};

use super::signals::{seconds, signal_of};

/// What of a line's devices nothing can be made up for, in words.
pub(super) fn silent(line: &LineSpec) -> Vec<String> {
    let words = line.devices.iter().flat_map(|device| {
        let name = &device.name;
        let patterns = (!device.browse.is_empty())
            .then(|| format!("{name}: where `browse` points there is nothing; name the tags to have them simulated"));
        let events = device.tags.iter().filter(|tag| is_events(tag.address)).count();
        let events = (events > 0).then(|| format!("{name}: its server is simulated without events ({events} tags)"));
        [patterns, events]
    });
    words.flatten().collect()
}

fn is_events(address: &str) -> bool {
    address.starts_with("events:")
}

/// Puts a signal at every address of a line. Events, and what a pattern would find, cannot be made up.
pub(super) fn put(plc: &OpcUaPlc, line: &LineSpec) -> io::Result<()> {
    for device in &line.devices {
        for tag in device.tags.iter() {
            if is_events(tag.address) {
                continue;
            }
            let (place, data_type) = parts(tag.address);
            let signal = if data_type == DataType::Bool { seconds() } else { signal_of(data_type, tag.id.0) };
            plc.drive(&place, shown_as(data_type), None, signal).map_err(io::Error::other)?;
        }
    }
    Ok(())
}

/// The place of an address in its plain form, and its type; LREAL where none is written.
fn parts(address: &str) -> (String, DataType) {
    let typed = address.rsplit_once(';').and_then(|(place, name)| {
        let typed = parse_type(name, 0..name.len()).ok()?;
        Some((place, typed.data_type))
    });
    let (place, data_type) = typed.unwrap_or((address, DataType::Lreal));
    (plain(place), data_type)
}

/// Neuron writes `2!Tank.Level` for `ns=2;s=Tank.Level`.
fn plain(place: &str) -> String {
    match place.split_once('!') {
        Some((index, name)) if !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit()) => {
            let kind = if name.bytes().all(|byte| byte.is_ascii_digit()) { "i" } else { "s" };
            format!("ns={index};{kind}={name}")
        }
        _ => place.to_owned(),
    }
}

fn shown_as(data_type: DataType) -> UaType {
    match data_type {
        DataType::Bool => UaType::Boolean,
        DataType::Sint => UaType::SByte,
        DataType::Usint | DataType::Byte => UaType::Byte,
        DataType::Int => UaType::Int16,
        DataType::Uint | DataType::Word => UaType::UInt16,
        DataType::Dint => UaType::Int32,
        DataType::Udint | DataType::Dword => UaType::UInt32,
        DataType::Lint | DataType::Time | DataType::Ltime | DataType::S5time => UaType::Int64,
        DataType::Ulint | DataType::Lword => UaType::UInt64,
        DataType::Half | DataType::Real => UaType::Float,
        DataType::Lreal => UaType::Double,
        DataType::Char | DataType::Wchar | DataType::String(_) | DataType::Wstring(_) => UaType::String,
        _ => UaType::DateTime,
    }
}

#[cfg(test)]
mod tests {
    use driver_core::{DeviceSpec, GroupId, TagId, TagSpec};

    use super::*;

    #[test]
    fn what_stays_empty_is_told() {
        let tags = |addresses: &[&str]| {
            addresses.iter().map(|address| TagSpec { id: TagId(0), address, group: GroupId(0) }).collect()
        };
        let both = tags(&["ns=2;s=a", "events:i=2253"]);
        let told =
            DeviceSpec { name: "a".into(), tags: both, browse: vec!["/Objects/**".into()], ..DeviceSpec::default() };
        let devices = vec![told, DeviceSpec { tags: tags(&["ns=2;s=a"]), ..DeviceSpec::default() }];
        let url = "opc.tcp://h".parse().expect("a URL");
        let words = silent(&LineSpec { url, timeout: None, devices });
        assert_eq!(words.len(), 2, "{words:?}");
        assert!(words[0].contains("`browse`") && words[1].contains("without events (1 tags)"), "{words:?}");
    }

    #[test]
    fn a_type_at_the_end_is_taken_off_and_other_forms_become_plain() {
        for (address, expected) in [
            ("ns=2;s=Tank.Level", ("ns=2;s=Tank.Level", DataType::Lreal)),
            ("ns=2;s=Tank.Level;REAL", ("ns=2;s=Tank.Level", DataType::Real)),
            ("2!Tank.Level;INT", ("ns=2;s=Tank.Level", DataType::Int)),
            ("2!1001", ("ns=2;i=1001", DataType::Lreal)),
            ("/Objects/2:Tank/2:Level", ("/Objects/2:Tank/2:Level", DataType::Lreal)),
            ("ns=2;s=a!b", ("ns=2;s=a!b", DataType::Lreal)),
        ] {
            assert_eq!(parts(address), (expected.0.to_owned(), expected.1), "{address}");
        }
    }
}
