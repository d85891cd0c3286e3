//! Where a device is reached, and how a connection to it can fail.

use std::fmt;
use std::io;
use std::path::PathBuf;

use tokio::time::Instant;

use super::{SerialEndpoint, TcpEndpoint, TlsEndpoint, Transport};

/// Where a device, a bus or a converter is reached.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// Plain TCP: Modbus TCP, or RTU and ASCII behind a converter.
    Tcp(TcpEndpoint),
    /// TLS: MODBUS/TCP Security.
    Tls(TlsEndpoint),
    /// A serial port.
    Serial(SerialEndpoint),
}

impl Endpoint {
    /// Opens a connection. Files and serial ports are looked for anew each time, so that a renewed certificate or an
    /// adapter plugged in again is found.
    ///
    /// # Errors
    /// What could not be reached, and why.
    pub async fn connect(&self, deadline: Instant) -> Result<Transport, ConnectError> {
        match self {
            Self::Tcp(tcp) => tcp.connect(deadline).await.map(Transport::Tcp),
            Self::Tls(tls) => tls.connect(deadline).await.map(|stream| Transport::Tls(Box::new(stream))),
            Self::Serial(serial) => serial.open().map(Transport::Serial),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(tcp) => tcp.fmt(f),
            Self::Tls(tls) => tls.tcp.fmt(f),
            Self::Serial(serial) => serial.path.fmt(f),
        }
    }
}

/// Why a connection could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The host name has no address.
    #[error("cannot find the host {host}: {error}; check the name and the DNS server, or give the address")]
    Resolve {
        /// The name.
        host: String,
        /// What the resolver said.
        error: io::Error,
    },
    /// The host did not accept the connection.
    #[error(
        "cannot connect to {to}: {error}; check that the device is on, the port, and that it has a free connection"
    )]
    Tcp {
        /// Host and port.
        to: String,
        /// What the system said.
        error: io::Error,
    },
    /// The host did not answer in time.
    #[error("no answer from {to}; check power, cable, address and firewall")]
    Silent {
        /// Host and port.
        to: String,
    },
    /// A certificate or key file cannot be used.
    #[error("cannot use {}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The TLS settings contradict themselves.
    #[error("the TLS settings for {to} cannot be used: {reason}")]
    TlsSettings {
        /// Host and port.
        to: String,
        /// Why not.
        reason: String,
    },
    /// The TLS handshake failed.
    #[error(
        "{to} refused TLS, or its certificate was refused: {error}; check `ca`, the host name in the certificate, its dates, and whether the device wants a client certificate"
    )]
    Tls {
        /// Host and port.
        to: String,
        /// What went wrong.
        error: io::Error,
    },
    /// No serial port of that description.
    #[error("no serial port matches {wanted}; plug the adapter in; present are: {present}")]
    NoPort {
        /// What was asked for.
        wanted: String,
        /// The ports there are.
        present: String,
    },
    /// The serial port cannot be opened.
    #[error("cannot open {path}: {reason}; check that no other program has it and that this user may (group dialout)")]
    Port {
        /// The device file.
        path: String,
        /// What the system said.
        reason: String,
    },
}
