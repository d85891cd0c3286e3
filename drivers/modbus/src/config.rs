//! The URL of a Modbus line, understood: where it leads, how it is spoken there, and what a request costs.

mod cost;
mod options;

use std::time::Duration;

use driver_core::{EndpointUrl, Options, SpecError};

use crate::session::{IN_FLIGHT_MAX, Pace, SessionConfig};
use crate::transport::{
    ClientCertificate, Endpoint, KeepAlive, Parity, SerialEndpoint, SerialPath, StopBits, TcpEndpoint, TlsEndpoint,
};
use crate::wire::{Echo, Framing, TransactionIds};

pub(crate) use cost::units_max;
pub use cost::{Costs, WireBytes};
pub use options::{OPTIONS, SCHEMES};

const TCP_PORT: u16 = 502;
const TLS_PORT: u16 = 802;
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(1);
const UNIT_DEFAULT: u8 = 1;
/// The specification's default (Serial Line, 3.2).
const BAUD_DEFAULT: u32 = 19_200;
const BAUD_MAX: u32 = 4_000_000;
/// The speeds for which operating systems have names, and what converters offer beside them.
const BAUDS_USUAL: [u32; 25] = [
    50, 110, 300, 600, 1_200, 1_800, 2_400, 4_800, 9_600, 14_400, 19_200, 28_800, 38_400, 56_000, 57_600, 76_800,
    115_200, 128_000, 230_400, 250_000, 256_000, 460_800, 500_000, 921_600, 1_000_000,
];

/// A line: what its URL says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModbusEndpoint {
    /// Where it leads.
    pub transport: Endpoint,
    /// How it is spoken.
    pub session: SessionConfig,
    /// How long an answer may take, the time on a serial line not counted.
    pub timeout: Duration,
    /// The unit of devices that name none.
    pub unit: u8,
    /// How many requests may be under way where a device says nothing of its own.
    pub depth: Depth,
    /// What a request costs.
    pub costs: Costs,
}

/// How many requests may be under way at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// So many.
    Fixed(usize),
    /// As many as the device is found to take.
    Probe,
}

/// What the scheme says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Tcp,
    Tls,
    Rtu,
    RtuOverTcp,
    Ascii,
}

impl Scheme {
    fn of(url: &EndpointUrl) -> Option<Scheme> {
        Some(match url.scheme() {
            "modbus-tcp" => Scheme::Tcp,
            "modbus-tls" => Scheme::Tls,
            "modbus-rtu" => Scheme::Rtu,
            "modbus-rtu-over-tcp" => Scheme::RtuOverTcp,
            "modbus-ascii" => Scheme::Ascii,
            _ => return None,
        })
    }

    fn framing(self) -> Framing {
        match self {
            Scheme::Tcp | Scheme::Tls => Framing::Mbap,
            Scheme::Rtu | Scheme::RtuOverTcp => Framing::Rtu,
            Scheme::Ascii => Framing::Ascii,
        }
    }
}

impl ModbusEndpoint {
    /// Understands a URL. `timeout` overrides the URL's.
    ///
    /// # Errors
    /// Every wrong part of the URL.
    pub fn parse(url: &EndpointUrl, timeout: Option<Duration>) -> Result<ModbusEndpoint, Vec<SpecError>> {
        let Some(scheme) = Scheme::of(url) else {
            return Err(vec![url.path_error(format!("`{}` is no scheme of Modbus", url.scheme()))]);
        };
        let mut options = url.options();
        let unit = options.parse("unit", "a unit from 0 to 255", |text| text.parse().ok()).unwrap_or(UNIT_DEFAULT);
        let own_timeout = options.duration("timeout");
        let ids = options.parse("tid", "match or ignore", transaction_ids).unwrap_or_default();
        let depth = options.parse("in_flight", "a number from 1 to 32, or probe", depth).unwrap_or(Depth::Fixed(1));
        let echo = options.parse("echo", "yes or no", echo).unwrap_or(Echo::Absent);
        let serial = serial_settings(scheme, &mut options);
        let pace = Pace::of_line(serial.baud, serial.bits_per_character());
        let (transport, mut errors) = transport(scheme, url, &mut options, serial);
        let paced = matches!(transport, Some(Endpoint::Serial(_)));
        let session = SessionConfig {
            transaction_ids: ids,
            max_in_flight: 1,
            echo,
            pace: Pace {
                turnaround: options.duration("turn_around").unwrap_or(Pace::UNPACED.turnaround),
                ..if paced { pace } else { Pace::UNPACED }
            },
            ..SessionConfig::serial(scheme.framing(), Pace::UNPACED)
        };
        if let Err(more) = options.finish(OPTIONS) {
            errors.extend(more);
        }
        match transport {
            Some(transport) if errors.is_empty() => Ok(ModbusEndpoint {
                costs: Costs::new(
                    scheme.framing(),
                    if scheme.framing() == Framing::Mbap { Pace::UNPACED } else { pace },
                ),
                transport,
                session,
                timeout: timeout.or(own_timeout).unwrap_or(TIMEOUT_DEFAULT),
                unit,
                depth,
            }),
            _ => Err(errors),
        }
    }

    /// Whether it is a connection that can hang half open, and that a new one would cure.
    pub fn is_network(&self) -> bool {
        !matches!(self.transport, Endpoint::Serial(_))
    }
}

fn transport(
    scheme: Scheme,
    url: &EndpointUrl,
    options: &mut Options<'_>,
    serial: SerialEndpoint,
) -> (Option<Endpoint>, Vec<SpecError>) {
    let by_port = match scheme {
        Scheme::Rtu => true,
        Scheme::Ascii => url.host().is_empty(),
        Scheme::Tcp | Scheme::Tls | Scheme::RtuOverTcp => false,
    };
    if by_port {
        return match serial_path(url) {
            Ok(path) => (Some(Endpoint::Serial(SerialEndpoint { path, ..serial })), Vec::new()),
            Err(error) => (None, vec![error]),
        };
    }
    let mut errors = Vec::new();
    if url.host().is_empty() {
        errors.push(url.host_error(format!("name the host, such as {}://10.0.0.11", url.scheme())));
    }
    if !matches!(url.path(), "" | "/") {
        errors.push(url.path_error("a host has no path here; a serial port is modbus-rtu:///dev/ttyUSB0"));
    }
    let keep_alive = options.parse("keep_alive", "on or off", keep_alive).unwrap_or_default();
    let port = url.port().unwrap_or(if scheme == Scheme::Tls { TLS_PORT } else { TCP_PORT });
    let tcp = TcpEndpoint { host: url.host().into(), port, keep_alive };
    if scheme == Scheme::Tls {
        return (tls(tcp, options), errors);
    }
    (Some(Endpoint::Tcp(tcp)), errors)
}

fn tls(tcp: TcpEndpoint, options: &mut Options<'_>) -> Option<Endpoint> {
    let ca = options.text("ca").filter(|ca| !ca.is_empty());
    if ca.is_none() {
        options.error("ca", "TLS needs `ca`: the file with the certificate of the authority that signed the device's");
    }
    let client = match (options.text("cert"), options.text("key")) {
        (Some(chain), Some(key)) => Some(ClientCertificate { chain: chain.into(), key: key.into() }),
        (None, None) => None,
        (Some(_), None) => {
            options.error("cert", "`cert` needs `key`, the file with its private key");
            None
        }
        (None, Some(_)) => {
            options.error("key", "`key` needs `cert`, the file with the certificate");
            None
        }
    };
    let server_name = options.text("server_name").map(str::to_owned);
    Some(Endpoint::Tls(TlsEndpoint { tcp, ca: ca?.into(), client, server_name }))
}

/// The settings of a serial port, its path still empty.
fn serial_settings(scheme: Scheme, options: &mut Options<'_>) -> SerialEndpoint {
    let data_bits = if scheme == Scheme::Ascii { 7 } else { 8 };
    let baud = options.parse("baud", "a number of bits a second, such as 19200", |text| {
        text.parse().ok().filter(|baud| (50..=BAUD_MAX).contains(baud))
    });
    if let Some(meant) = baud.and_then(nearly_usual) {
        let written = baud.unwrap_or(meant);
        options.error("baud", format!("no line runs at {written} bits a second; did you mean {meant}?"));
    }
    let data_bits = options
        .parse("data_bits", "7 (ASCII only) or 8", |text| match (text, scheme) {
            ("8", _) => Some(8),
            ("7", Scheme::Ascii) => Some(7),
            _ => None,
        })
        .unwrap_or(data_bits);
    SerialEndpoint {
        path: SerialPath::File(String::new()),
        baud: baud.unwrap_or(BAUD_DEFAULT),
        data_bits,
        parity: options.parse("parity", "none, even or odd", parity).unwrap_or(Parity::Even),
        stop_bits: options.parse("stop_bits", "1 or 2", stop_bits).unwrap_or(StopBits::One),
    }
}

/// The usual speed that was meant: one that is so near that a receiver could not tell the two apart.
fn nearly_usual(baud: u32) -> Option<u32> {
    let near = |usual: &u32| baud.abs_diff(*usual) * 50 <= *usual;
    BAUDS_USUAL.into_iter().find(near).filter(|_| !BAUDS_USUAL.contains(&baud))
}

fn serial_path(url: &EndpointUrl) -> Result<SerialPath, SpecError> {
    let path = url.path();
    // `modbus-rtu:///usb:0403:6001` means the same as `modbus-rtu:usb:0403:6001`.
    let path = if path.starts_with("/usb:") { &path[1..] } else { path };
    if !url.host().is_empty() {
        let message = "a serial port has no host: write three slashes, as in modbus-rtu:///dev/ttyUSB0; \
                       a converter on the network is modbus-rtu-over-tcp://host:port";
        return Err(url.host_error(message));
    }
    if path.is_empty() {
        return Err(
            url.path_error("name the port, such as modbus-rtu:///dev/serial/by-id/usb-… or modbus-rtu:usb:0403:6001")
        );
    }
    SerialPath::parse(path).ok_or_else(|| {
        url.path_error("a USB adapter is usb:VID:PID in four hexadecimal digits each, such as usb:0403:6001")
    })
}

fn depth(text: &str) -> Option<Depth> {
    match text {
        "probe" => Some(Depth::Probe),
        _ => text.parse().ok().filter(|depth| (1..=IN_FLIGHT_MAX).contains(depth)).map(Depth::Fixed),
    }
}

fn transaction_ids(text: &str) -> Option<TransactionIds> {
    match text {
        "match" => Some(TransactionIds::Match),
        "ignore" => Some(TransactionIds::Ignore),
        _ => None,
    }
}

fn echo(text: &str) -> Option<Echo> {
    match text {
        "yes" => Some(Echo::Expected),
        "no" => Some(Echo::Absent),
        _ => None,
    }
}

fn keep_alive(text: &str) -> Option<KeepAlive> {
    match text {
        "on" => Some(KeepAlive::On),
        "off" => Some(KeepAlive::Off),
        _ => None,
    }
}

fn parity(text: &str) -> Option<Parity> {
    match text {
        "none" => Some(Parity::None),
        "even" => Some(Parity::Even),
        "odd" => Some(Parity::Odd),
        _ => None,
    }
}

fn stop_bits(text: &str) -> Option<StopBits> {
    match text {
        "1" => Some(StopBits::One),
        "2" => Some(StopBits::Two),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use driver_core::Place;

    use super::*;

    fn parse(text: &str) -> Result<ModbusEndpoint, Vec<SpecError>> {
        ModbusEndpoint::parse(&text.parse().expect("a URL"), None)
    }

    #[test]
    fn each_scheme_leads_to_its_transport() {
        let tcp = |host: &str, port| TcpEndpoint { host: host.into(), port, keep_alive: KeepAlive::Off };
        let endpoint = parse("modbus-tcp://10.0.0.11?unit=3&in_flight=8&timeout=250ms").expect("an endpoint");
        assert_eq!(endpoint.transport, Endpoint::Tcp(tcp("10.0.0.11", 502)));
        assert_eq!((endpoint.unit, endpoint.depth, endpoint.timeout.as_millis()), (3, Depth::Fixed(8), 250));
        let endpoint = parse("modbus-rtu-over-tcp://[::1]:4001").expect("an endpoint");
        assert_eq!(endpoint.transport, Endpoint::Tcp(tcp("::1", 4001)));
        assert_eq!((endpoint.session.framing, endpoint.session.pace.silence), (Framing::Rtu, Duration::ZERO));
        let Endpoint::Tls(tls) = parse("modbus-tls://plc?ca=/ca.pem&cert=/c.pem&key=/k.pem").expect("one").transport
        else {
            panic!("no TLS")
        };
        assert_eq!((tls.tcp.port, tls.client.is_some()), (802, true));
    }

    #[test]
    fn serial_lines_have_the_defaults_of_the_specification() {
        let endpoint = parse("modbus-rtu:///dev/ttyUSB0").expect("an endpoint");
        let Endpoint::Serial(serial) = endpoint.transport else { panic!("no port") };
        assert_eq!(
            (serial.baud, serial.data_bits, serial.parity, serial.stop_bits),
            (19_200, 8, Parity::Even, StopBits::One)
        );
        assert_eq!(endpoint.session.pace.silence.as_micros(), 2005);
        let endpoint = parse("modbus-ascii:usb:0403:6001?baud=9600").expect("an endpoint");
        let Endpoint::Serial(serial) = endpoint.transport else { panic!("no port") };
        assert_eq!((serial.data_bits, serial.path.to_string().as_str()), (7, "usb:0403:6001"));
        assert!(parse("modbus-rtu:///usb:0403:6001").is_ok());
        for baud in [50, 1200, 10_400, 31_250, 56_000, 57_600, 187_500, 250_000, 256_000, 2_000_000] {
            assert!(parse(&format!("modbus-rtu:///dev/ttyUSB0?baud={baud}")).is_ok(), "{baud}");
        }
        assert!(parse("modbus-ascii://converter:4001").is_ok());
    }

    #[test]
    fn every_wrong_part_is_reported_with_its_place() {
        let errors = parse("modbus-tcp://?unit=300&speed=9&in_flight=99").expect_err("four errors");
        let messages: Vec<&str> = errors.iter().map(|error| error.message.as_str()).collect();
        assert_eq!(messages.len(), 4, "{messages:?}");
        assert!(messages[0].contains("name the host"), "{messages:?}");
        assert!(messages[1].contains("a unit from 0 to 255"), "{messages:?}");
        assert_eq!(errors[1].place, Place::Url(19..22));
        for (text, expected) in [
            ("modbus-rtu://ttyUSB0", "three slashes"),
            ("modbus-rtu:", "name the port"),
            ("modbus-rtu:usb:0403", "usb:VID:PID"),
            ("modbus-rtu:///dev/ttyUSB0?data_bits=7", "7 (ASCII only) or 8"),
            ("modbus-rtu:///dev/ttyUSB0?baud=9660", "did you mean 9600?"),
            ("modbus-rtu:///dev/ttyUSB0?baud=19.200", "such as 19200"),
            ("modbus-rtu:///dev/ttyUSB0?baud=115000", "did you mean 115200?"),
            ("modbus-tls://plc", "needs `ca`"),
            ("modbus-tls://plc?ca=/a&cert=/c", "`cert` needs `key`"),
            ("modbus-tcp://plc/dev/ttyUSB0", "no path"),
        ] {
            let errors = parse(text).expect_err(text);
            assert!(errors.iter().any(|error| error.message.contains(expected)), "{text}: {errors:?}");
        }
    }
}
