//! A Modbus client that trusts nobody.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::wait::soon;

/// One connection; each request has the next transaction id.
pub(crate) struct ModbusClient {
    pub(crate) stream: TcpStream,
    transaction: u16,
}

impl ModbusClient {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = soon(TcpStream::connect(address)).await.expect("the port is open");
        stream.set_nodelay(true).expect("the socket is open");
        Self { stream, transaction: 0 }
    }

    /// The PDU of the answer, checked against the request.
    pub(crate) async fn ask(&mut self, unit: u8, pdu: &[u8]) -> Vec<u8> {
        let sent = self.send(unit, pdu).await;
        let frame = self.frame().await.expect("an answer comes");
        assert_eq!(frame[..4], sent[..4], "transaction and protocol");
        assert_eq!(frame[6], unit, "unit");
        frame[7..].to_vec()
    }

    /// Sends and does not wait; returns the frame.
    pub(crate) async fn send(&mut self, unit: u8, pdu: &[u8]) -> Vec<u8> {
        self.transaction += 1;
        let length = (pdu.len() + 1) as u16;
        let frame = [&self.transaction.to_be_bytes()[..], &[0, 0], &length.to_be_bytes(), &[unit], pdu].concat();
        self.stream.write_all(&frame).await.expect("the connection is open");
        frame
    }

    /// The next frame, as long as it says it is.
    pub(crate) async fn frame(&mut self) -> io::Result<Vec<u8>> {
        let mut frame = vec![0; 6];
        soon(self.stream.read_exact(&mut frame)).await?;
        frame.resize(6 + usize::from(u16::from_be_bytes([frame[4], frame[5]])), 0);
        soon(self.stream.read_exact(&mut frame[6..])).await?;
        Ok(frame)
    }

    /// So many bytes, whatever they are.
    pub(crate) async fn bytes(&mut self, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        soon(self.stream.read_exact(&mut bytes)).await?;
        Ok(bytes)
    }
}

/// A request to read registers.
pub(crate) fn read(function: u8, offset: u16, count: u16) -> Vec<u8> {
    [&[function][..], &offset.to_be_bytes(), &count.to_be_bytes()].concat()
}

/// The words in the answer to such a request.
pub(crate) fn words(answer: &[u8]) -> Vec<u16> {
    assert_eq!(usize::from(answer[1]), answer.len() - 2, "byte count");
    answer[2..].chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
}

/// A whole RTU frame.
pub(crate) fn rtu(unit: u8, pdu: &[u8]) -> Vec<u8> {
    let mut frame = [&[unit], pdu].concat();
    frame.extend(crc(&frame).to_le_bytes());
    frame
}

/// Sends an RTU frame and reads an answer of so many bytes, CRC and all.
pub(crate) async fn ask_rtu(port: &mut (impl AsyncRead + AsyncWrite + Unpin), frame: &[u8], len: usize) -> Vec<u8> {
    port.write_all(frame).await.expect("the port is open");
    let mut answer = vec![0; len];
    soon(port.read_exact(&mut answer)).await.expect("an answer comes");
    assert_eq!(crc(&answer[..len - 2]).to_le_bytes(), answer[len - 2..], "CRC of {answer:02X?}");
    answer
}

fn crc(bytes: &[u8]) -> u16 {
    let mut crc = 0xFFFF;
    for byte in bytes {
        crc ^= u16::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xA001 } else { crc >> 1 };
        }
    }
    crc
}
