//! The schemes and options of a Modbus URL, with one line of help each.

/// The schemes that this driver serves.
pub const SCHEMES: &[&str] = &["modbus-tcp", "modbus-tls", "modbus-rtu", "modbus-rtu-over-tcp", "modbus-ascii"];

/// The options that may stand in the query.
pub const OPTIONS: &[(&str, &str)] = &[
    ("unit", "unit (slave) number, 0 to 255, of devices that name none; default 1"),
    ("timeout", "how long an answer may take, such as 500ms; default 1s. Time on a serial line is added"),
    ("in_flight", "requests under way at once, 1 to 32, or probe to find out; default 1. Only where ids are matched"),
    ("tid", "match (default) or ignore, for gateways that do not return transaction ids"),
    ("keep_alive", "on or off (default): whether the system probes an idle TCP connection"),
    ("baud", "bits a second of the serial line; default 19200. Behind a converter it serves for planning only"),
    ("parity", "none, even (default) or odd"),
    ("data_bits", "8 (RTU) or 7 (ASCII's default)"),
    ("stop_bits", "1 (default) or 2"),
    ("echo", "yes or no (default): whether the adapter hears what it sends, as some RS-485 converters do"),
    ("turn_around", "pause after a broadcast, such as 200ms; default 100ms"),
    ("ca", "TLS: file (PEM) with the certificate of the authority that signed the device's"),
    ("cert", "TLS: file (PEM) with our certificate, where the device asks for one"),
    ("key", "TLS: file (PEM) with the private key of `cert`"),
    ("server_name", "TLS: the name in the device's certificate, where it is not the host's"),
];
