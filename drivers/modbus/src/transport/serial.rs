//! Serial ports, found by path or by their USB adapter, locked while they are open.

use std::fmt;
use std::path::Path;

use tokio_serial::{
    DataBits, SerialPortBuilderExt, SerialPortInfo, SerialPortType, SerialStream, UsbPortInfo, available_ports,
};

use super::ConnectError;

/// Where the system lists its terminals; without it there are no ports to be found.
const TERMINALS: &str = "/sys/class/tty";

/// A serial port and its settings.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SerialEndpoint {
    /// Which port.
    pub path: SerialPath,
    /// Bits a second.
    pub baud: u32,
    /// 8 for RTU, 7 or 8 for ASCII.
    pub data_bits: u8,
    /// Even by the specification's default.
    pub parity: Parity,
    /// The specification wants two where there is no parity.
    pub stop_bits: StopBits,
}

/// How a port is named.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SerialPath {
    /// A device file, best one below `/dev/serial/by-id/`.
    File(String),
    /// `usb:VID:PID` or `usb:VID:PID:SERIAL`: wherever that adapter is plugged in.
    Usb {
        /// Vendor id.
        vendor: u16,
        /// Product id.
        product: u16,
        /// Serial number, if several of the same make are plugged in.
        serial: Option<String>,
    },
}

/// The parity bit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Parity {
    /// No parity bit.
    None,
    /// Even.
    Even,
    /// Odd.
    Odd,
}

/// The number of stop bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StopBits {
    /// One.
    One,
    /// Two.
    Two,
}

impl SerialEndpoint {
    /// Bits that one character takes on the line, with start, parity and stop bits.
    pub fn bits_per_character(&self) -> u32 {
        let parity = u32::from(self.parity != Parity::None);
        let stop = if self.stop_bits == StopBits::Two { 2 } else { 1 };
        1 + u32::from(self.data_bits) + parity + stop
    }

    pub(super) fn open(&self) -> Result<SerialStream, ConnectError> {
        let path = self.path.find()?;
        tokio_serial::new(&path, self.baud)
            .data_bits(if self.data_bits == 7 { DataBits::Seven } else { DataBits::Eight })
            .parity(match self.parity {
                Parity::None => tokio_serial::Parity::None,
                Parity::Even => tokio_serial::Parity::Even,
                Parity::Odd => tokio_serial::Parity::Odd,
            })
            .stop_bits(match self.stop_bits {
                StopBits::One => tokio_serial::StopBits::One,
                StopBits::Two => tokio_serial::StopBits::Two,
            })
            .exclusive(true)
            .open_native_async()
            .map_err(|error| ConnectError::Port { path, reason: error.to_string() })
    }
}

impl SerialPath {
    /// `usb:VID:PID[:SERIAL]` with ids of four hexadecimal digits, or a device file; `None` if it begins with `usb:` and goes on wrong.
    pub fn parse(text: &str) -> Option<Self> {
        let Some(usb) = text.strip_prefix("usb:") else { return Some(Self::File(text.to_owned())) };
        let mut parts = usb.splitn(3, ':');
        let (vendor, product) = (usb_id(parts.next()?)?, usb_id(parts.next()?)?);
        let serial = parts.next().filter(|serial| !serial.is_empty()).map(str::to_owned);
        Some(Self::Usb { vendor, product, serial })
    }

    /// The device file, right now.
    fn find(&self) -> Result<String, ConnectError> {
        match self {
            Self::File(path) if Path::new(path).exists() => Ok(path.clone()),
            _ => self.find_among(&present_ports()),
        }
    }

    fn find_among(&self, ports: &[SerialPortInfo]) -> Result<String, ConnectError> {
        let matching =
            ports.iter().find(|port| matches!(&port.port_type, SerialPortType::UsbPort(usb) if self.is(usb)));
        matching
            .map(|port| port.port_name.clone())
            .ok_or_else(|| ConnectError::NoPort { wanted: self.to_string(), present: list(ports) })
    }

    fn is(&self, usb: &UsbPortInfo) -> bool {
        match self {
            Self::File(_) => false,
            Self::Usb { vendor, product, serial } => {
                usb.vid == *vendor && usb.pid == *product && (serial.is_none() || *serial == usb.serial_number)
            }
        }
    }
}

impl fmt::Display for SerialPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.write_str(path),
            Self::Usb { vendor, product, serial: None } => write!(f, "usb:{vendor:04x}:{product:04x}"),
            Self::Usb { vendor, product, serial: Some(serial) } => write!(f, "usb:{vendor:04x}:{product:04x}:{serial}"),
        }
    }
}

fn usb_id(text: &str) -> Option<u16> {
    let four_digits = text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    four_digits.then(|| u16::from_str_radix(text, 16).ok()).flatten()
}

fn present_ports() -> Vec<SerialPortInfo> {
    if !Path::new(TERMINALS).exists() {
        return Vec::new();
    }
    available_ports().unwrap_or_default()
}

fn list(ports: &[SerialPortInfo]) -> String {
    let names: Vec<String> = ports
        .iter()
        .map(|port| match &port.port_type {
            SerialPortType::UsbPort(usb) => {
                let path = SerialPath::Usb { vendor: usb.vid, product: usb.pid, serial: usb.serial_number.clone() };
                format!("{} ({path})", port.port_name)
            }
            _ => port.port_name.clone(),
        })
        .collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_serial::SerialPort;

    use super::*;

    /// A pseudo-terminal: the far end, and the path under which the near end is opened.
    fn terminal() -> (SerialStream, SerialEndpoint) {
        let (far, near) = SerialStream::pair().expect("a pseudo-terminal");
        let path = SerialPath::File(near.name().expect("a name"));
        (far, SerialEndpoint { path, baud: 19_200, data_bits: 8, parity: Parity::None, stop_bits: StopBits::One })
    }

    #[tokio::test]
    async fn a_port_carries_bytes_unchanged_and_is_locked_while_it_is_open() {
        let (mut far, endpoint) = terminal();
        let mut port = endpoint.open().expect("the port");
        let bytes: Vec<u8> = (0..=255).collect();
        let mut got = vec![0; 256];
        port.write_all(&bytes).await.expect("a write");
        far.read_exact(&mut got).await.expect("a read");
        assert_eq!(got, bytes);
        far.write_all(&bytes).await.expect("a write");
        port.read_exact(&mut got).await.expect("a read");
        assert_eq!(got, bytes);

        let locked = endpoint.open().expect_err("the port is in use").to_string();
        assert!(locked.contains("no other program"), "{locked}");
        drop(port);
        assert!(endpoint.open().is_ok());
    }

    #[tokio::test]
    async fn an_adapter_pulled_out_ends_the_port_and_is_named_when_it_is_looked_for_again() {
        let (far, endpoint) = terminal();
        let mut port = endpoint.open().expect("the port");
        drop(far);
        let mut byte = [0];
        assert!(matches!(port.read(&mut byte).await, Ok(0) | Err(_)));
        drop(port);
        let gone = endpoint.open().expect_err("the port is gone").to_string();
        assert!(gone.contains(&endpoint.path.to_string()), "{gone}");
    }

    fn port(name: &str, vid: u16, serial: &str) -> SerialPortInfo {
        let usb =
            UsbPortInfo { vid, pid: 0x6001, serial_number: Some(serial.to_owned()), manufacturer: None, product: None };
        SerialPortInfo { port_name: name.to_owned(), port_type: SerialPortType::UsbPort(usb) }
    }

    #[test]
    fn paths_are_read_and_print_back() {
        for text in ["/dev/ttyS0", "/dev/serial/by-id/usb-FTDI_X", "usb:0403:6001", "usb:0403:6001:A:B"] {
            assert_eq!(SerialPath::parse(text).map(|path| path.to_string()).as_deref(), Some(text));
        }
        for text in ["usb:", "usb:0403", "usb:04037:6001", "usb:x:y"] {
            assert_eq!(SerialPath::parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_adapter_is_found_by_its_ids_wherever_it_is_plugged_in() {
        let ports =
            [port("/dev/ttyUSB0", 0x1a86, "1"), port("/dev/ttyUSB1", 0x0403, "A"), port("/dev/ttyUSB2", 0x0403, "B")];
        let find = |text: &str| SerialPath::parse(text).expect("a path").find_among(&ports);
        assert_eq!(find("usb:0403:6001").ok().as_deref(), Some("/dev/ttyUSB1"));
        assert_eq!(find("usb:0403:6001:B").ok().as_deref(), Some("/dev/ttyUSB2"));
        let error = find("usb:0403:6001:C").expect_err("no such adapter").to_string();
        assert!(error.contains("usb:0403:6001:C") && error.contains("/dev/ttyUSB0 (usb:1a86:6001:1)"), "{error}");
    }

    #[test]
    fn a_character_takes_eleven_bits_as_the_specification_has_it() {
        let port = |parity, stop_bits| SerialEndpoint {
            path: SerialPath::File(String::new()),
            baud: 9600,
            data_bits: 8,
            parity,
            stop_bits,
        };
        assert_eq!(port(Parity::Even, StopBits::One).bits_per_character(), 11);
        assert_eq!(port(Parity::None, StopBits::Two).bits_per_character(), 11);
        assert_eq!(port(Parity::None, StopBits::One).bits_per_character(), 10);
    }
}
