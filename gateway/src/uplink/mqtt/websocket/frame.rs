//! Frames of a WebSocket, without I/O.

pub(super) const BINARY: u8 = 0x2;
pub(super) const PONG: u8 = 0xa;
const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;

/// The largest frame that is accepted, bytes; a broker has little to tell a publisher.
const FRAME_BYTES_MAX: u64 = 128 * 1024;

/// The largest payload of a ping (RFC 6455, 5.5).
const CONTROL_BYTES_MAX: usize = 125;

/// A frame from the far side.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// Bytes of MQTT; where a frame ends means nothing to it (MQTT 5, 6.0).
    Data(Vec<u8>),
    /// To be answered with the same payload.
    Ping(Vec<u8>),
    /// An answer to nothing.
    Pong,
    /// The end.
    Close,
}

/// Cuts bytes into frames.
#[derive(Default)]
pub(super) struct Frames {
    bytes: Vec<u8>,
}

impl Frames {
    /// More bytes have come.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next frame; `None` until it is whole.
    pub(super) fn next_frame(&mut self) -> Result<Option<Frame>, &'static str> {
        let Some((head, length)) = head(&self.bytes)? else { return Ok(None) };
        let Some(payload) = self.bytes.get(head..head + length) else { return Ok(None) };
        let frame = match self.bytes[0] & 0x0f {
            CONTINUATION | TEXT | BINARY => Frame::Data(payload.to_vec()),
            PING if length <= CONTROL_BYTES_MAX => Frame::Ping(payload.to_vec()),
            PONG => Frame::Pong,
            CLOSE => Frame::Close,
            _ => return Err("a frame of an unknown kind"),
        };
        self.bytes.drain(..head + length);
        Ok(Some(frame))
    }
}

/// Lengths of a frame's head and payload; `None` until the head is whole.
fn head(bytes: &[u8]) -> Result<Option<(usize, usize)>, &'static str> {
    let (Some(first), Some(second)) = (bytes.first(), bytes.get(1)) else { return Ok(None) };
    if first & 0x70 != 0 {
        return Err("a frame with an extension that was not asked for");
    }
    if second & 0x80 != 0 {
        return Err("a masked frame, which only clients send");
    }
    let (head, length) = match (second & 0x7f, bytes.get(2..4), bytes.get(2..10)) {
        (126, Some(length), _) => (4, u64::from(u16::from_be_bytes([length[0], length[1]]))),
        (127, _, Some(length)) => (10, length.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))),
        (126 | 127, _, _) => return Ok(None),
        (length, _, _) => (2, u64::from(length)),
    };
    if length > FRAME_BYTES_MAX {
        return Err("a frame larger than 128 KiB");
    }
    Ok(Some((head, length as usize)))
}

/// Writes a whole masked frame, as a client must.
pub(super) fn write_frame(opcode: u8, payload: &[u8], mask: [u8; 4], out: &mut Vec<u8>) {
    out.push(0x80 | opcode);
    match payload.len() {
        length @ ..126 => out.push(0x80 | length as u8),
        length @ 126..=0xffff => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}
