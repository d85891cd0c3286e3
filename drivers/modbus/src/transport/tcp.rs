//! TCP, for Modbus TCP and for serial lines behind a converter.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};

use super::ConnectError;

/// Whether the system probes an idle connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum KeepAlive {
    /// It does not: polling shows soon enough whether the device is there.
    #[default]
    Off,
    /// It does, at the system's intervals; for routers that forget idle connections.
    On,
}

/// A host and port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TcpEndpoint {
    /// Name or address; an IPv6 address without brackets.
    pub host: String,
    /// TCP port; 502 is Modbus TCP's.
    pub port: u16,
    /// Whether an idle connection is probed.
    pub keep_alive: KeepAlive,
}

impl TcpEndpoint {
    pub(super) async fn connect(&self, deadline: Instant) -> Result<TcpStream, ConnectError> {
        timeout_at(deadline, self.connect_to_any())
            .await
            .unwrap_or_else(|_| Err(ConnectError::Silent { to: self.to_string() }))
    }

    async fn connect_to_any(&self) -> Result<TcpStream, ConnectError> {
        let resolve = |error| ConnectError::Resolve { host: self.host.clone(), error };
        let addresses = lookup_host((self.host.as_str(), self.port)).await.map_err(resolve)?;
        let mut refused = None;
        for address in addresses {
            match self.connect_to(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => refused = Some(error),
            }
        }
        Err(match refused {
            Some(error) => ConnectError::Tcp { to: self.to_string(), error },
            None => resolve(io::Error::new(io::ErrorKind::NotFound, "the name has no address")),
        })
    }

    async fn connect_to(&self, address: SocketAddr) -> io::Result<TcpStream> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_keepalive(self.keep_alive == KeepAlive::On)?;
        // Without it a request waits for the acknowledgement of the one before, up to 40 ms.
        socket.set_nodelay(true)?;
        socket.connect(address).await
    }
}

impl fmt::Display for TcpEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::TcpListener;

    use super::*;

    fn endpoint(host: &str, port: u16) -> TcpEndpoint {
        TcpEndpoint { host: host.to_owned(), port, keep_alive: KeepAlive::On }
    }

    #[tokio::test]
    async fn a_listening_device_is_reached_without_delay_of_small_frames() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let deadline = Instant::now() + Duration::from_secs(20);
        let stream = endpoint("127.0.0.1", port).connect(deadline).await.expect("a connection");
        assert!(stream.nodelay().expect("the option"));
    }

    #[tokio::test]
    async fn a_closed_port_is_told_with_the_next_step() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        let deadline = Instant::now() + Duration::from_secs(20);
        let error = endpoint("127.0.0.1", port).connect(deadline).await.expect_err("nobody listens").to_string();
        assert!(error.contains(&format!("127.0.0.1:{port}")) && error.contains("check"), "{error}");
    }

    #[test]
    fn addresses_print_as_they_stand_in_a_url() {
        assert_eq!(endpoint("plc", 502).to_string(), "plc:502");
        assert_eq!(endpoint("::1", 502).to_string(), "[::1]:502");
    }
}
