//! One connection: bytes that leave, bytes that come, and the keep-alive between them.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, sleep_until};

use super::keep_alive::{Due, KeepAlive};
use super::packet::{Incoming, Malformed, Version, read, write_ping};
use super::transport::{Failure, Stream};
use crate::uplink::stream::tls;
use crate::uplink::{EndedBy, Loss, Traffic};

/// How much is read at once, bytes.
const READ_BYTES: usize = 8 * 1024;

/// What has left is cut off the buffer when it is this much, bytes.
const LEFT_BYTES_MAX: usize = 64 * 1024;

/// Understands the packet at the head of some bytes and tells its size; `None` until it is whole.
type Reader<T> = fn(Version, &[u8]) -> Result<Option<(T, usize)>, Malformed>;

/// A connection.
pub(super) struct Link {
    stream: Box<dyn Stream>,
    version: Version,
    /// Packets to be sent; bounded by the window of whoever fills it.
    pub(super) out: Vec<u8>,
    /// How much of `out` has left.
    left: usize,
    must_flush: bool,
    incoming: Vec<u8>,
    /// How much of `incoming` has been understood.
    understood: usize,
    alive: KeepAlive,
    pings: u64,
    /// Bytes of this connection.
    pub(super) traffic: Traffic,
}

impl Link {
    pub(super) fn new(stream: Box<dyn Stream>, version: Version, keep_alive: Duration, now: Instant) -> Link {
        Link {
            stream,
            version,
            out: Vec::new(),
            left: 0,
            must_flush: false,
            incoming: Vec::new(),
            understood: 0,
            alive: KeepAlive::new(keep_alive, now),
            pings: 0,
            traffic: Traffic::default(),
        }
    }

    /// The keep-alive that holds from here on.
    pub(super) fn keep_alive(&mut self, period: Duration, now: Instant) {
        self.alive = KeepAlive::new(period, now);
    }

    /// Whether the connection has not been heard since a ping broke a silence on it.
    pub(super) fn broke_silence(&self) -> bool {
        self.alive.broke_silence()
    }

    /// Bytes that were written so far, whether they have left or not.
    pub(super) fn written(&self) -> u64 {
        self.traffic.sent_bytes + (self.out.len() - self.left) as u64
    }

    /// Asks the broker to show that it has read all that was written before; returns how many times that was asked on this
    /// connection.
    pub(super) fn ping(&mut self) -> u64 {
        write_ping(&mut self.out);
        self.pings += 1;
        self.pings
    }

    /// Waits until bytes have moved, or the keep-alive was due. May be dropped and called again.
    pub(super) async fn moved(&mut self) -> Result<(), Broken> {
        let next = self.alive.next();
        tokio::select! {
            biased;
            moved = poll_fn(|cx| self.poll_move(cx)) => return moved.map_err(Broken::Stream),
            () = sleep_until(next) => {}
        }
        match self.alive.due(Instant::now()) {
            Due::Nothing => Ok(()),
            Due::Ping => {
                self.ping();
                Ok(())
            }
            Due::Dead => Err(Broken::Silent),
        }
    }

    /// The first byte that has come and is not understood yet.
    pub(super) fn head(&self) -> Option<u8> {
        self.incoming.get(self.understood).copied()
    }

    /// The next packet, once it is whole.
    pub(super) fn next_packet(&mut self) -> Result<Option<Incoming>, Loss> {
        self.next_as(read)
    }

    /// The next packet as another reader understands it, once it is whole.
    pub(super) fn next_as<T>(&mut self, read: Reader<T>) -> Result<Option<T>, Loss> {
        let malformed = |cause: Malformed| Loss { reason: cause.to_string(), by: EndedBy::FarSide };
        match read(self.version, &self.incoming[self.understood..]).map_err(malformed)? {
            Some((packet, size)) => {
                self.understood += size;
                Ok(Some(packet))
            }
            None => {
                self.incoming.drain(..self.understood);
                self.understood = 0;
                Ok(None)
            }
        }
    }

    /// Sends what is left and ends the stream.
    pub(super) async fn finish(&mut self) -> io::Result<()> {
        self.stream.write_all(&self.out[self.left..]).await?;
        self.stream.shutdown().await
    }

    fn poll_move(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let written = self.poll_write(cx);
        // What the broker said before it closed its side is worth more than the error of writing to it.
        match self.poll_read(cx) {
            Poll::Ready(Ok(0)) => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            Poll::Ready(Ok(_)) => Poll::Ready(Ok(())),
            Poll::Ready(Err(cause)) => Poll::Ready(Err(cause)),
            Poll::Pending => written,
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut moved = false;
        while self.left < self.out.len() {
            match Pin::new(&mut self.stream).poll_write(cx, &self.out[self.left..]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(count)) => {
                    self.left += count;
                    self.traffic.sent_bytes += count as u64;
                    self.alive.sent(Instant::now());
                    (moved, self.must_flush) = (true, true);
                }
                Poll::Ready(Err(cause)) => return Poll::Ready(Err(cause)),
                Poll::Pending => break,
            }
        }
        if self.left == self.out.len() {
            self.out.clear();
            self.left = 0;
        } else if self.left >= LEFT_BYTES_MAX {
            self.out.drain(..self.left);
            self.left = 0;
        }
        if self.must_flush {
            match Pin::new(&mut self.stream).poll_flush(cx) {
                Poll::Ready(Ok(())) => self.must_flush = false,
                Poll::Ready(Err(cause)) => return Poll::Ready(Err(cause)),
                Poll::Pending => {}
            }
        }
        if moved { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut bytes = [0; READ_BYTES];
        let mut buf = ReadBuf::new(&mut bytes);
        std::task::ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf))?;
        let count = buf.filled().len();
        self.incoming.extend_from_slice(buf.filled());
        self.traffic.received_bytes += count as u64;
        self.alive.received(Instant::now());
        Poll::Ready(Ok(count))
    }
}

/// How a connection broke.
#[derive(Debug)]
pub(super) enum Broken {
    /// Nothing came for one and a half keep-alives.
    Silent,
    /// The system said so.
    Stream(io::Error),
}

impl Broken {
    /// As the end of a connection that was made.
    pub(super) fn loss(&self) -> Loss {
        let Failure { cause, advice } = self.failure();
        match self.is_closed() {
            true => Loss { reason: format!("{cause}. Its log may tell why"), by: EndedBy::FarSide },
            false => Loss { reason: format!("{cause}. {advice}"), by: EndedBy::Network },
        }
    }

    /// As the failure of one that was not.
    pub(super) fn failure(&self) -> Failure {
        let cause = match self {
            Broken::Silent => "the broker is silent, and did not answer a ping".into(),
            Broken::Stream(cause) if self.is_closed() => match cause.kind() {
                io::ErrorKind::ConnectionReset => "the broker has reset the connection".into(),
                _ => "the broker has closed the connection".into(),
            },
            // An alert of TLS 1.3 comes after the handshake.
            Broken::Stream(cause) if cause.kind() == io::ErrorKind::InvalidData => {
                return tls::handshake_failure(cause);
            }
            Broken::Stream(cause) => format!("the network failed: {cause}"),
        };
        let advice = match self.is_closed() {
            true => "Its log may tell why; the port may be one that wants TLS or a WebSocket",
            false => "Check the network and the broker",
        };
        Failure { cause, advice }
    }

    fn is_closed(&self) -> bool {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof, WriteZero};
        let Broken::Stream(cause) = self else { return false };
        matches!(cause.kind(), UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe | WriteZero)
    }
}
