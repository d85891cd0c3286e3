//! Packets on a TCP connection.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::decode::decode;
use super::encode::encode;
use super::packet::{Packet, Version};
use super::reader::Malformed;

/// Room for at least so many bytes is made before each read.
const READ_MIN: usize = 8 * 1024;

/// One end of it.
pub(super) struct Wire {
    pub(super) version: Version,
    stream: TcpStream,
    received: Vec<u8>,
    packet_max: usize,
}

/// Why no packet comes.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

impl Wire {
    /// A connection whose version its first packet will tell.
    pub(super) fn new(stream: TcpStream, packet_max: usize) -> Self {
        Self { version: Version::V311, stream, received: Vec::new(), packet_max }
    }

    /// May be cancelled: what came stays in the buffer.
    pub(super) async fn next(&mut self) -> Result<Packet, WireError> {
        loop {
            if let Some((packet, len)) = decode(&self.received, self.version, self.packet_max)? {
                self.received.drain(..len);
                return Ok(packet);
            }
            self.received.reserve(READ_MIN);
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
            }
        }
    }

    pub(super) async fn send(&mut self, packets: &[Packet]) -> io::Result<()> {
        let mut bytes = Vec::new();
        packets.iter().for_each(|packet| encode(packet, self.version, &mut bytes));
        self.stream.write_all(&bytes).await
    }

    /// Reads until the client gives up.
    pub(super) async fn swallow(&mut self) {
        let mut buffer = [0; 4096];
        while self.stream.read(&mut buffer).await.is_ok_and(|len| len > 0) {}
    }
}
