//! WebSocket (RFC 6455) as MQTT needs it: one handshake, then MQTT's bytes in binary frames.
//!
//! ```text
//! fin, opcode | mask, length | 2 or 8 more bytes of length | 4 bytes of mask | payload
//! ```

mod frame;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use ring::rand::{SecureRandom, SystemRandom};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use self::frame::{Frame, Frames, write_frame};
use crate::uplink::base64::base64;

/// The longest answer to the handshake, bytes.
const ANSWER_BYTES_MAX: usize = 8 * 1024;

/// The most that one frame carries, bytes.
const FRAME_BYTES_MAX: usize = 16 * 1024;

/// While more than this is unsent, pings go without their pongs: a later one stands for them (RFC 6455, 5.5.3).
const UNSENT_BYTES_MAX: usize = 4 * 1024;

/// Every key is answered with its digest together with this (RFC 6455, 1.3).
const KEY_SUFFIX: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Sixteen random bytes in base 64.
pub(super) fn key() -> Result<String, &'static str> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|_| "this machine gives no random numbers")?;
    Ok(base64(&bytes))
}

/// The request that asks for a WebSocket.
pub(super) fn request(host: &str, port: u16, path: &str, key: &str) -> String {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_string() };
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"
    )
}

/// Where the answer ends; `None` until it is whole. The error says what the far side answered instead.
pub(super) fn answer(bytes: &[u8], key: &str) -> Result<Option<usize>, String> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return if bytes.len() > ANSWER_BYTES_MAX { Err("the answer is too long".into()) } else { Ok(None) };
    };
    let head = String::from_utf8_lossy(&bytes[..end]);
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("101") {
        return Err(format!("the far side answered {status:?}"));
    }
    let accepted = lines.filter_map(|line| line.split_once(':')).find_map(|(name, value)| {
        name.trim().eq_ignore_ascii_case("sec-websocket-accept").then(|| value.trim().to_string())
    });
    let expected = base64(digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{KEY_SUFFIX}").as_bytes()).as_ref());
    if accepted.as_deref() == Some(expected.as_str()) {
        Ok(Some(end + 4))
    } else {
        Err("its accept key is wrong".into())
    }
}

/// A stream whose bytes travel in binary frames; pings are answered, a close is the end.
pub(super) struct WebSocket<S> {
    stream: S,
    random: SystemRandom,
    incoming: Frames,
    /// Payload that was unpacked and not read yet.
    ready: Vec<u8>,
    ready_at: usize,
    outgoing: Vec<u8>,
    outgoing_at: usize,
    ended: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// A WebSocket whose handshake is done; `early` came with its answer.
    pub(super) fn new(stream: S, early: &[u8]) -> WebSocket<S> {
        let mut incoming = Frames::default();
        incoming.push(early);
        WebSocket {
            stream,
            random: SystemRandom::new(),
            incoming,
            ready: Vec::new(),
            ready_at: 0,
            outgoing: Vec::new(),
            outgoing_at: 0,
            ended: false,
        }
    }

    fn pack(&mut self, opcode: u8, payload: &[u8]) -> io::Result<()> {
        let mut mask = [0; 4];
        self.random.fill(&mut mask).map_err(|_| io::Error::other("this machine gives no random numbers"))?;
        write_frame(opcode, payload, mask, &mut self.outgoing);
        Ok(())
    }

    /// Unpacks what has come; payload goes to `ready`.
    fn unpack(&mut self) -> io::Result<()> {
        while let Some(frame) =
            self.incoming.next_frame().map_err(|cause| io::Error::new(io::ErrorKind::InvalidData, cause))?
        {
            match frame {
                Frame::Data(payload) => self.ready.extend_from_slice(&payload),
                Frame::Ping(payload) if self.outgoing.len() < UNSENT_BYTES_MAX => self.pack(frame::PONG, &payload)?,
                Frame::Ping(_) => {}
                Frame::Pong => {}
                Frame::Close => self.ended = true,
            }
        }
        Ok(())
    }

    fn poll_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.outgoing_at < self.outgoing.len() {
            let sent = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.outgoing[self.outgoing_at..]))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.outgoing_at += sent;
        }
        self.outgoing.clear();
        self.outgoing_at = 0;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for WebSocket<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        loop {
            this.unpack()?;
            // A pong that cannot leave now leaves with the next write or read.
            if let Poll::Ready(Err(cause)) = this.poll_out(cx) {
                return Poll::Ready(Err(cause));
            }
            if this.ready_at < this.ready.len() {
                let count = buf.remaining().min(this.ready.len() - this.ready_at);
                buf.put_slice(&this.ready[this.ready_at..this.ready_at + count]);
                this.ready_at += count;
                if this.ready_at == this.ready.len() {
                    this.ready.clear();
                    this.ready_at = 0;
                }
                return Poll::Ready(Ok(()));
            }
            if this.ended {
                return Poll::Ready(Ok(()));
            }
            let mut chunk = [0; 4096];
            let mut raw = ReadBuf::new(&mut chunk);
            ready!(Pin::new(&mut this.stream).poll_read(cx, &mut raw))?;
            if raw.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            this.incoming.push(raw.filled());
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for WebSocket<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        ready!(this.poll_out(cx))?;
        let taken = &bytes[..bytes.len().min(FRAME_BYTES_MAX)];
        this.pack(frame::BINARY, taken)?;
        match this.poll_out(cx) {
            Poll::Ready(Err(cause)) => Poll::Ready(Err(cause)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(taken.len())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_out(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_out(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
