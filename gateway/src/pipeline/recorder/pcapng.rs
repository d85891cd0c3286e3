//! Frames as a pcapng file (IETF draft-ietf-opsawg-pcapng) that Wireshark and tshark decode.
//!
//! The session sees bytes and no packets: each piece becomes one TCP segment over IPv4 between the gateway and the device,
//! with numbers that follow one another, so that the dissectors put messages together as they came. The port is the usual
//! one of the protocol, whatever was used, because dissectors go by it; pieces of a serial line come as over TCP port 5020
//! (`tshark -d tcp.port==5020,mbrtu`).
//!
//! ```text
//! section header | interface description (raw IP) | enhanced packet: IPv4 (20) | TCP (20) | bytes ...
//! ```

use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime};

use driver_core::Way;

use super::ring::Frame;

/// LINKTYPE_RAW: an IP packet with nothing around it.
const LINK_RAW: u16 = 101;
const SECTION_HEADER: u32 = 0x0A0D_0D0A;
const INTERFACE: u32 = 1;
const PACKET: u32 = 6;
const BYTE_ORDER: u32 = 0x1A2B_3C4D;
/// Addresses of the block for documentation (RFC 5737).
const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const DEVICE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const GATEWAY_PORT: u16 = 50_000;
/// The longest piece of one segment.
const SEGMENT_MAX: usize = 60_000;

/// Between whom it passed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    device: Ipv4Addr,
    port: u16,
}

impl Ends {
    pub(super) fn of(scheme: &str, address: Option<Ipv4Addr>) -> Ends {
        let port = match scheme {
            "modbus-tcp" | "modbus-tls" => 502,
            "s7" => 102,
            "opc.tcp" => 4840,
            _ => 5020,
        };
        Ends { device: address.unwrap_or(DEVICE), port }
    }
}

/// The whole file.
pub(super) fn file(line: &str, ends: Ends, frames: impl Iterator<Item = Frame>) -> Vec<u8> {
    let mut out = Vec::new();
    block(&mut out, SECTION_HEADER, |body| {
        body.extend_from_slice(&BYTE_ORDER.to_le_bytes());
        body.extend_from_slice(&[1, 0, 0, 0]);
        body.extend_from_slice(&u64::MAX.to_le_bytes());
        option(body, 4, concat!("forebay ", env!("CARGO_PKG_VERSION")).as_bytes());
        option(body, 0, b"");
    });
    block(&mut out, INTERFACE, |body| {
        body.extend_from_slice(&LINK_RAW.to_le_bytes());
        body.extend_from_slice(&[0; 6]);
        option(body, 2, line.as_bytes());
        // Times are in nanoseconds.
        option(body, 9, &[9]);
        option(body, 0, b"");
    });
    let mut sequence = [1_u32, 1];
    for frame in frames {
        for piece in frame.bytes.chunks(SEGMENT_MAX) {
            let packet = segment(ends, frame.way, &mut sequence, piece);
            let at = frame.at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
            let at = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX);
            block(&mut out, PACKET, |body| {
                body.extend_from_slice(&[0; 4]);
                body.extend_from_slice(&((at >> 32) as u32).to_le_bytes());
                body.extend_from_slice(&(at as u32).to_le_bytes());
                body.extend_from_slice(&length(packet.len()).to_le_bytes());
                body.extend_from_slice(&length(packet.len()).to_le_bytes());
                padded(body, &packet);
            });
        }
    }
    out
}

/// One IPv4 packet; `sequence` holds what each side sends next, ours first.
fn segment(ends: Ends, way: Way, sequence: &mut [u32; 2], payload: &[u8]) -> Vec<u8> {
    let ours = (GATEWAY, GATEWAY_PORT);
    let theirs = (ends.device, ends.port);
    let (from, to, mine) = match way {
        Way::Out => (ours, theirs, 0),
        Way::In => (theirs, ours, 1),
    };
    let mut packet = vec![0x45, 0];
    packet.extend_from_slice(&u16::try_from(40 + payload.len()).unwrap_or(u16::MAX).to_be_bytes());
    packet.extend_from_slice(&[0, 0, 0x40, 0, 64, 6, 0, 0]);
    packet.extend_from_slice(&from.0.octets());
    packet.extend_from_slice(&to.0.octets());
    let checksum = checksum(&packet);
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    packet.extend_from_slice(&from.1.to_be_bytes());
    packet.extend_from_slice(&to.1.to_be_bytes());
    packet.extend_from_slice(&sequence[mine].to_be_bytes());
    packet.extend_from_slice(&sequence[1 - mine].to_be_bytes());
    // Five words of header, PSH and ACK, a full window. A checksum of 0 is not looked at by default.
    packet.extend_from_slice(&[0x50, 0x18, 0xFF, 0xFF, 0, 0, 0, 0]);
    packet.extend_from_slice(payload);
    sequence[mine] = sequence[mine].wrapping_add(length(payload.len()));
    packet
}

/// The checksum of an IPv4 header (RFC 1071).
fn checksum(header: &[u8]) -> u16 {
    let sum: u32 = header.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    !((sum & 0xFFFF) as u16).wrapping_add((sum >> 16) as u16)
}

fn block(out: &mut Vec<u8>, kind: u32, write: impl FnOnce(&mut Vec<u8>)) {
    let mut body = Vec::new();
    write(&mut body);
    let total = length(body.len() + 12);
    out.extend_from_slice(&kind.to_le_bytes());
    out.extend_from_slice(&total.to_le_bytes());
    out.extend_from_slice(&body);
    out.extend_from_slice(&total.to_le_bytes());
}

fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    let value = &value[..value.len().min(usize::from(u8::MAX))];
    body.extend_from_slice(&code.to_le_bytes());
    body.extend_from_slice(&u16::try_from(value.len()).unwrap_or(0).to_le_bytes());
    padded(body, value);
}

/// Blocks and options are as long as a multiple of four bytes.
fn padded(body: &mut Vec<u8>, bytes: &[u8]) {
    body.extend_from_slice(bytes);
    body.resize(body.len().next_multiple_of(4), 0);
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
