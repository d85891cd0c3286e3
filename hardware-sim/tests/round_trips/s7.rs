//! The S7 server over TCP.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hardware_sim::faults::{Fault, FaultProxy, Framing};
use hardware_sim::s7::{Area, Plc, PlcConfig, S7Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::wait::{loopback, soon, until};

/// Rack 0, slot 2; then a PDU of 480 bytes and up to eight jobs.
const CONNECT: &[u8] = &[3, 0, 0, 22, 17, 0xE0, 0, 0, 0, 1, 0, 0xC0, 1, 0x0A, 0xC1, 2, 1, 0, 0xC2, 2, 1, 2];
const SETUP: &[u8] = &[3, 0, 0, 25, 2, 0xF0, 0x80, 0x32, 1, 0, 0, 0, 1, 0, 8, 0, 0, 0xF0, 0, 0, 8, 0, 8, 1, 0xE0];

/// Reads the first byte of data block 1, under this reference.
fn read(reference: u8) -> Vec<u8> {
    let head = [3, 0, 0, 31, 2, 0xF0, 0x80, 0x32, 1, 0, 0, 0, reference, 0, 14, 0, 0];
    [&head[..], &[4, 1, 0x12, 10, 0x10, 2, 0, 1, 0, 1, 0x84, 0, 0, 0]].concat()
}

struct Client(TcpStream);

impl Client {
    async fn connect(address: SocketAddr) -> Client {
        let mut client = Client(soon(TcpStream::connect(address)).await.expect("the port is open"));
        for request in [CONNECT, SETUP] {
            client.send(request).await;
            client.packet().await.expect("an answer");
        }
        client
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.expect("the connection is open");
    }

    async fn packet(&mut self) -> std::io::Result<Vec<u8>> {
        let mut packet = vec![0; 4];
        soon(self.0.read_exact(&mut packet)).await?;
        packet.resize(usize::from(u16::from_be_bytes([packet[2], packet[3]])), 0);
        soon(self.0.read_exact(&mut packet[4..])).await?;
        Ok(packet)
    }

    /// Reference and value of the next answer.
    async fn value(&mut self) -> (u8, u8) {
        let packet = self.packet().await.expect("an answer");
        assert_eq!(packet[19..25], [4, 1, 0xFF, 4, 0, 8], "{packet:02X?}");
        (packet[12], packet[25])
    }
}

fn plc() -> Plc {
    let plc = Plc::new();
    plc.write(Area::Block(1), 0, &[7]);
    plc
}

async fn served(plc: &Plc) -> S7Server {
    S7Server::start(loopback(), plc.clone()).await.expect("loopback can be had")
}

#[tokio::test]
async fn jobs_are_worked_on_side_by_side_and_one_too_many_is_a_breach() {
    let plc = plc();
    let latency = Duration::from_millis(100);
    plc.configure(PlcConfig { latency, jobs_max: 4, ..PlcConfig::default() });
    let server = served(&plc).await;
    let mut client = Client::connect(server.address()).await;
    let asked = Instant::now();
    client.send(&[read(1), read(2), read(3), read(4)].concat()).await;
    for reference in 1..=4 {
        assert_eq!(client.value().await, (reference, 7));
    }
    let took = asked.elapsed();
    assert!(took >= latency && took < latency * 4, "{took:?}");
    assert_eq!(plc.counts().breaches, 0);
    client.send(&[read(1), read(2), read(3), read(4), read(5)].concat()).await;
    for reference in 1..=5 {
        assert_eq!(client.value().await, (reference, 7));
    }
    assert_eq!(plc.counts().breaches, 1);
}

#[tokio::test]
async fn a_plc_with_one_connection_closes_the_second() {
    let plc = plc();
    plc.configure(PlcConfig { connections_max: 1, ..PlcConfig::default() });
    let server = served(&plc).await;
    let first = Client::connect(server.address()).await;
    let mut second = Client(TcpStream::connect(server.address()).await.expect("the port is open"));
    second.send(CONNECT).await;
    assert!(second.packet().await.is_err());
    drop(first);
    until("the place is free again", || server.connections() == 0).await;
    let mut third = Client::connect(server.address()).await;
    third.send(&read(1)).await;
    assert_eq!(third.value().await, (1, 7));
}

#[tokio::test]
async fn a_server_drops_its_connections_and_comes_back_on_the_same_port() {
    let plc = plc();
    let server = served(&plc).await;
    let address = server.address();
    let mut client = Client::connect(address).await;
    server.drop_connections();
    assert!(client.packet().await.is_err());
    let mut client = Client::connect(address).await;
    server.stop().await;
    assert!(client.packet().await.is_err());
    assert!(soon(TcpStream::connect(address)).await.is_err());
    let _server = S7Server::start(address, plc).await.expect("the port is free again");
    Client::connect(address).await;
}

#[tokio::test]
async fn garbage_ends_the_connection_and_not_the_server() {
    let plc = plc();
    let server = served(&plc).await;
    let mut client = Client::connect(server.address()).await;
    client.send(b"GET / HTTP/1.1\r\n\r\n").await;
    assert!(client.packet().await.is_err());
    let mut client = Client::connect(server.address()).await;
    client.send(&read(9)).await;
    assert_eq!(client.value().await, (9, 7));
}

#[tokio::test]
async fn a_proxy_breaks_replies_of_s7() {
    let plc = plc();
    let server = served(&plc).await;
    let proxy = FaultProxy::start(loopback(), server.address(), Framing::S7).await.expect("loopback can be had");
    let mut client = Client::connect(proxy.address()).await;
    proxy.replies().script([Fault::WrongTransaction, Fault::Longer, Fault::Exception(2), Fault::Pass]);
    client.send(&[read(1), read(2), read(3), read(4)].concat()).await;
    assert_eq!(client.value().await, (1 ^ 0x5A, 7));
    assert_eq!(client.packet().await.expect("an answer")[21..], [0xFF, 4, 0, 24, 7, 0x55, 0xAA]);
    assert_eq!(client.packet().await.expect("an answer")[17..], [0x85, 2]);
    assert_eq!(client.value().await, (4, 7));
}
