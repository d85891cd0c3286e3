//! Bytes out and in: the two places where a session waits, and what becomes of the bytes that arrived.

use std::future::poll_fn;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::{Life, LinkError, Session, frame_max};
use crate::wire::{Awaited, Mismatch, Step};

/// What waiting for bytes came to.
pub(super) enum Arrival {
    Bytes,
    Nothing,
}

impl Arrival {
    /// Whether the deadline has passed: a device that never stops sending must not hold us for ever.
    pub(super) fn is_last(&self, deadline: Instant) -> bool {
        match self {
            Self::Bytes => Instant::now() >= deadline,
            Self::Nothing => true,
        }
    }
}

/// An answer found: which request it is for, and where its PDU lies until more is received.
pub(super) struct Found {
    pub(super) which: usize,
    pub(super) at: usize,
    pub(super) pdu: Range<usize>,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Session<T> {
    /// Writes out what stands in `sending`. Abandoned in the middle, the session is spent.
    pub(super) async fn send(&mut self, deadline: Instant) -> Result<(), LinkError> {
        self.life = Life::Committed;
        self.tap.sent(&self.sending);
        let Self { io, alarm, sending, .. } = self;
        let mut written = 0;
        let sent = poll_fn(|cx| {
            while let Some(rest @ [_, ..]) = sending.get(written..) {
                match Pin::new(&mut *io).poll_write(cx, rest) {
                    Poll::Ready(Ok(0)) => return Poll::Ready(Err(LinkError::Closed)),
                    Poll::Ready(Ok(more)) => written += more,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                    Poll::Pending => return alarm.poll(cx, deadline).map(|()| Err(LinkError::Stuck)),
                }
            }
            match Pin::new(&mut *io).poll_flush(cx) {
                Poll::Ready(flushed) => Poll::Ready(flushed.map_err(LinkError::from)),
                Poll::Pending => alarm.poll(cx, deadline).map(|()| Err(LinkError::Stuck)),
            }
        })
        .await;
        self.stats.bytes_sent += written as u64;
        self.life = if sent.is_ok() { Life::Idle } else { Life::Spent };
        sent
    }

    /// Waits for bytes until `deadline`. Bytes that are there already are taken even if it has passed.
    pub(super) async fn receive(&mut self, deadline: Instant) -> Result<Arrival, LinkError> {
        let Self { io, alarm, received, config, .. } = self;
        let free = received.free(frame_max(config.framing));
        let arrived = poll_fn(|cx| {
            let mut into = ReadBuf::new(free);
            match Pin::new(&mut *io).poll_read(cx, &mut into) {
                Poll::Ready(read) => Poll::Ready(read.map(|()| Some(into.filled().len()))),
                Poll::Pending => {
                    ready!(alarm.poll(cx, deadline));
                    Poll::Ready(Ok(None))
                }
            }
        })
        .await;
        match arrived {
            Ok(None) => Ok(Arrival::Nothing),
            Ok(Some(0)) => Err(self.end(LinkError::Closed)),
            Ok(Some(len)) => {
                self.received.fill(len);
                let filled = self.received.filled();
                self.tap.came(&filled[filled.len() - len..]);
                self.stats.bytes_received += len as u64;
                Ok(Arrival::Bytes)
            }
            Err(error) => Err(self.end(error.into())),
        }
    }

    /// The next answer among the received bytes; what answers nothing is dropped and counted.
    pub(super) fn next_answer(&mut self, awaited: &[Awaited<'_>]) -> Option<Found> {
        loop {
            match self.deframer.step(self.received.filled(), awaited) {
                Step::Wait => return None,
                Step::Skip { len } => {
                    self.received.consume(len);
                }
                Step::Drop { len, reason } => {
                    self.received.consume(len);
                    self.stats.bytes_dropped += len as u64;
                    self.stats.dropped.count(reason);
                    self.dropped = Some(telling(self.dropped, reason));
                }
                Step::Answer { which, pdu, len } => {
                    let at = self.received.consume(len);
                    return Some(Found { which, at, pdu });
                }
            }
        }
    }

    /// The PDU of an answer found.
    pub(super) fn pdu(&self, found: &Found) -> &[u8] {
        self.deframer.pdu(self.received.from(found.at), found.pdu.clone())
    }

    /// Drops everything received and counts what it was.
    pub(super) fn drop_received(&mut self) {
        while self.next_answer(&[]).is_some() {}
        let rest = self.received.filled().len();
        self.stats.bytes_dropped += rest as u64;
        self.received.consume(rest);
    }

    /// Ends the session.
    pub(super) fn end(&mut self, error: LinkError) -> LinkError {
        self.life = Life::Spent;
        error
    }
}

/// Of what was dropped while one answer was awaited, what tells most: the first that is neither noise nor late.
fn telling(before: Option<Mismatch>, now: Mismatch) -> Mismatch {
    before.filter(|before| !matches!(before, Mismatch::Noise | Mismatch::Late)).unwrap_or(now)
}
