//! An MQTT 3.1.1 client of raw bytes, for what a real client would not do or not show.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::wait::soon;

/// One connection. Packets are shorter than 128 bytes.
pub(crate) struct MqttClient {
    stream: TcpStream,
}

impl MqttClient {
    /// Connects and returns the CONNACK's "session present".
    pub(crate) async fn connect(address: SocketAddr, id: &str, clean: bool) -> (Self, bool) {
        let mut client = Self::open(address).await;
        client.send(&connect(id, clean)).await;
        let answer = client.packet().await.expect("a CONNACK comes");
        assert_eq!((answer[0], answer[3]), (0x20, 0), "{answer:02X?}");
        (client, answer[2] == 1)
    }

    pub(crate) async fn open(address: SocketAddr) -> Self {
        Self { stream: soon(TcpStream::connect(address)).await.expect("the port is open") }
    }

    pub(crate) async fn send(&mut self, packet: &[u8]) {
        self.stream.write_all(packet).await.expect("the connection is open");
    }

    pub(crate) async fn publish(&mut self, topic: &str, qos: u8, id: u16) {
        let id = if qos == 0 { Vec::new() } else { id.to_be_bytes().to_vec() };
        self.send(&packet(0x30 | qos << 1, &[text(topic), id, b"x".to_vec()].concat())).await;
    }

    pub(crate) async fn subscribe(&mut self, filter: &str) {
        self.send(&packet(0x82, &[vec![0, 1], text(filter), vec![1]].concat())).await;
        assert_eq!(self.packet().await.expect("a SUBACK comes"), [0x90, 3, 0, 1, 1]);
    }

    /// The next packet, whole.
    pub(crate) async fn packet(&mut self) -> io::Result<Vec<u8>> {
        let mut packet = vec![0; 2];
        soon(self.stream.read_exact(&mut packet)).await?;
        packet.resize(2 + usize::from(packet[1]), 0);
        soon(self.stream.read_exact(&mut packet[2..])).await?;
        Ok(packet)
    }

    /// The id that the next packet, a PUBACK, carries.
    pub(crate) async fn acknowledged(&mut self) -> u16 {
        let packet = self.packet().await.expect("a PUBACK comes");
        assert_eq!(packet[..2], [0x40, 2], "{packet:02X?}");
        u16::from_be_bytes([packet[2], packet[3]])
    }
}

/// A CONNECT with a last will at `will/<id>`.
pub(crate) fn connect(id: &str, clean: bool) -> Vec<u8> {
    let flags = 0x04 | u8::from(clean) << 1;
    let will = [text(&format!("will/{id}")), text("gone")].concat();
    packet(0x10, &[text("MQTT"), vec![4, flags, 0, 60], text(id), will].concat())
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    assert!(body.len() < 128, "one length byte is enough here");
    [&[first, body.len() as u8], body].concat()
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes(), text.as_bytes()].concat()
}
