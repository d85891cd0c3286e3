//! Apache PLC4X: the properties of its connector for Kafka, with sources, jobs and tags.

use super::found::{Device, Found, MODBUS_NOWHERE, OPCUA_NOWHERE, S7_NOWHERE, Tag};
use super::s7;

/// Keys and values in the order of the file, with their lines.
struct Properties(Vec<(String, String, usize)>);

/// Reads a properties file.
pub(super) fn read(text: &str) -> Result<Found, String> {
    let properties = Properties::of(text);
    let mut found = Found::default();
    for source in properties.list("sources") {
        take_source(&properties, &source, &mut found);
    }
    if let (Some((url, line)), Some((queries, _))) = (properties.get("url"), properties.get("queries")) {
        let mut device = device("plc", url, line, &mut found);
        let queries = queries.split(',').map(str::trim).filter(|query| !query.is_empty());
        device.tags.extend(queries.map(|query| tag(query, query, line)));
        found.devices.push(device);
    }
    if found.devices.is_empty() {
        return Err("it names no `sources`".into());
    }
    let places: Vec<&str> =
        properties.0.iter().map(|(key, ..)| key.as_str()).filter(|key| key.ends_with("topic")).collect();
    for place in places {
        found.left(place, "topics stand at an uplink: `forebay sample kafka`");
    }
    Ok(found)
}

fn take_source(properties: &Properties, source: &str, found: &mut Found) {
    let of_source = |key: &str| properties.get(&format!("sources.{source}.{key}"));
    let Some((connection, line)) = of_source("connectionString") else {
        found.left(format!("sources.{source}"), "its connectionString is missing");
        return;
    };
    let mut device = device(source, connection, line, found);
    for job in properties.list(&format!("sources.{source}.jobReferences")) {
        let every_ms = properties.get(&format!("jobs.{job}.interval")).and_then(|(text, _)| text.parse().ok());
        // Releases before 0.12 say `fields`.
        let key = ["tags", "fields"].map(|word| format!("jobs.{job}.{word}"));
        let Some(key) = key.into_iter().find(|key| properties.get(key).is_some()) else {
            found.left(format!("jobs.{job}"), "it has no tags");
            continue;
        };
        for name in properties.list(&key) {
            match properties.get(&format!("{key}.{name}")) {
                Some((address, line)) => device.tags.push(Tag { every_ms, ..tag(&name, address, line) }),
                None => found.left(format!("{key}.{name}"), "it has no address"),
            }
        }
    }
    found.devices.push(device);
}

fn tag(name: &str, address: &str, line: usize) -> Tag {
    Tag { name: name.into(), addresses: vec![address.into()], place: format!("line {line}"), ..Tag::default() }
}

/// A connection string: `protocol:transport://place?options`, the transport left out where it is the usual one.
fn device(name: &str, connection: &str, line: usize, found: &mut Found) -> Device {
    let place = format!("line {line}");
    let (scheme, rest) = connection.split_once("://").unwrap_or((connection, ""));
    let (protocol, transport) = scheme.split_once(':').unwrap_or((scheme, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let options: Vec<(&str, &str)> = query.split('&').filter_map(|option| option.split_once('=')).collect();
    let mut taken: Vec<&str> = Vec::new();
    let mut option = |names: &[&'static str]| {
        taken.extend(names);
        options.iter().find(|(key, _)| names.contains(key)).map(|(_, value)| (*value).to_owned())
    };
    let unit = option(&["unit-identifier", "default-unit-identifier"]).and_then(|unit| unit.parse().ok());
    let timeout_ms = option(&["request-timeout", "read-timeout"]).and_then(|timeout| timeout.parse().ok());
    let (stand_in, url) = url(protocol, transport, rest, &mut option);
    let mut device = Device { url, unit, timeout_ms, ..Device::new(name, stand_in, place.clone()) };
    if device.url.is_none() {
        device.idle = Some(format!("there is no driver for `{protocol}` here"));
        device.url = Some(connection.to_owned());
    }
    for (key, value) in options.iter().filter(|(key, _)| !taken.contains(key)) {
        let message = match ["password", "username", "key-store-password"].contains(key) {
            true => format!("`{key}` is not copied: write it yourself where the device needs one"),
            false => format!("`{key}` ({value}) has no counterpart here"),
        };
        found.left(place.clone(), message);
    }
    device
}

/// Our URL of a protocol over a transport, if there is a driver, and what stands in where it cannot be used.
fn url(
    protocol: &str,
    transport: &str,
    rest: &str,
    option: &mut impl FnMut(&[&'static str]) -> Option<String>,
) -> (&'static str, Option<String>) {
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let port = || rest.trim_start_matches('/');
    match protocol {
        "modbus" | "modbus-tcp" if transport != "serial" => (MODBUS_NOWHERE, Some(format!("modbus-tcp://{host}"))),
        "modbus" | "modbus-rtu" if transport == "tcp" => {
            (MODBUS_NOWHERE, Some(format!("modbus-rtu-over-tcp://{host}")))
        }
        "modbus" | "modbus-rtu" => (MODBUS_NOWHERE, Some(format!("modbus-rtu:///{}", port()))),
        "modbus-ascii" if transport == "tcp" => (MODBUS_NOWHERE, Some(format!("modbus-ascii://{host}"))),
        "modbus-ascii" => (MODBUS_NOWHERE, Some(format!("modbus-ascii:///{}", port()))),
        "s7" => {
            let mut in_path = path.split('/').filter(|part| !part.is_empty()).map(str::to_owned);
            let rack = option(&["remote-rack", "rack"]).or_else(|| in_path.next());
            let slot = option(&["remote-slot", "slot"]).or_else(|| in_path.next());
            (S7_NOWHERE, Some(s7::url(host, rack, slot)))
        }
        "opcua" => {
            let path = if path.is_empty() { String::new() } else { format!("/{path}") };
            (OPCUA_NOWHERE, Some(format!("opc.tcp://{host}{path}")))
        }
        _ => (S7_NOWHERE, None),
    }
}

impl Properties {
    /// `key=value`, `key: value` or `key value`; a backslash at the end continues a line.
    fn of(text: &str) -> Properties {
        let mut properties = Vec::new();
        let mut lines = (1..).zip(text.lines());
        while let Some((number, line)) = lines.next() {
            let mut line = line.trim().to_owned();
            if line.is_empty() || line.starts_with(['#', '!', '<', '-']) {
                continue;
            }
            while line.ends_with('\\') && !line.ends_with("\\\\") {
                line.pop();
                let Some((_, next)) = lines.next() else { break };
                line.push_str(next.trim_start());
            }
            let end = line
                .char_indices()
                .find(|(at, c)| (c.is_whitespace() || "=:".contains(*c)) && !line[..*at].ends_with('\\'));
            let end = end.map_or(line.len(), |(at, _)| at);
            let value = line[end..].trim_start().trim_start_matches(['=', ':']).trim();
            properties.push((line[..end].replace('\\', ""), value.replace('\\', ""), number));
        }
        Properties(properties)
    }

    /// The last value of a key, and its line.
    fn get(&self, key: &str) -> Option<(&str, usize)> {
        let found = self.0.iter().rev().find(|(known, ..)| known == key)?;
        Some((found.1.as_str(), found.2))
    }

    fn list(&self, key: &str) -> Vec<String> {
        let text = self.get(key).map(|(text, _)| text).unwrap_or_default();
        text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place_of(connection: &str) -> (Option<String>, Option<u16>) {
        let device = device("x", connection, 1, &mut Found::default());
        (device.url, device.unit)
    }

    #[test]
    fn connection_strings() {
        let said = |url: &str| Some(url.to_owned());
        assert_eq!(
            place_of("modbus-tcp://10.0.0.1:502?unit-identifier=3"),
            (said("modbus-tcp://10.0.0.1:502"), Some(3))
        );
        assert_eq!(place_of("modbus-tcp:tcp://10.0.0.1"), (said("modbus-tcp://10.0.0.1"), None));
        assert_eq!(place_of("modbus-rtu:serial:///dev/ttyUSB0").0, said("modbus-rtu:///dev/ttyUSB0"));
        assert_eq!(place_of("s7://1.2.3.4/0/2").0, said("s7://1.2.3.4?rack=0&slot=2"));
        assert_eq!(place_of("s7://1.2.3.4?remote-rack=0&remote-slot=3").0, said("s7://1.2.3.4?rack=0&slot=3"));
        assert_eq!(place_of("opcua:tcp://plant:4840/server").0, said("opc.tcp://plant:4840/server"));
        let ads = device("x", "ads:tcp://10.0.0.1", 1, &mut Found::default());
        assert_eq!(ads.idle.as_deref(), Some("there is no driver for `ads` here"));
    }

    #[test]
    fn lines_of_properties() {
        let properties = Properties::of("# note\na.b = 1\nc:\\\n  2\nd\\ e f\n");
        assert_eq!(properties.get("a.b"), Some(("1", 2)));
        assert_eq!(properties.get("c"), Some(("2", 3)));
        assert_eq!(properties.get("d e"), Some(("f", 5)));
    }
}
