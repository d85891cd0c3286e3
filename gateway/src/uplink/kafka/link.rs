//! One connection to one broker: requests that leave, answers that come in their order, and a deadline for each.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::wire::{self, Malformed, Request};
use crate::uplink::stream::{Failure, Stream, tls};
use crate::uplink::{EndedBy, Loss, Traffic};

/// How much is read at once, bytes.
const READ_BYTES: usize = 16 * 1024;

/// A far future; nothing is waited for.
const NEVER: Duration = Duration::from_secs(365 * 86_400);

/// A connection.
pub struct Link {
    stream: Box<dyn Stream>,
    client_id: Box<str>,
    /// What is to leave, in order; batches in it are those of the producer, not copies.
    out: VecDeque<Bytes>,
    must_flush: bool,
    incoming: BytesMut,
    /// Requests without an answer so far: broker and network keep their order.
    waiting: VecDeque<Waiting>,
    next_correlation: i32,
    timer: Pin<Box<Sleep>>,
    /// When the broker wants to see a login again; the connection is made anew.
    expires_at: Option<Instant>,
    /// Bytes of this connection.
    pub traffic: Traffic,
}

struct Waiting {
    correlation: i32,
    until: Instant,
}

/// How a connection broke.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// An answer did not come in time.
    #[error("the broker did not answer in time")]
    Silent,
    /// What came is no answer.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The login has run out.
    #[error("the login has run out and is made anew")]
    Expired,
    /// The system said so.
    #[error("the network failed: {0}")]
    Stream(#[from] io::Error),
}

impl Link {
    /// A connection over an open way.
    pub fn new(stream: Box<dyn Stream>, client_id: &str) -> Link {
        Link {
            stream,
            client_id: client_id.into(),
            out: VecDeque::new(),
            must_flush: false,
            incoming: BytesMut::new(),
            waiting: VecDeque::new(),
            next_correlation: 0,
            timer: Box::pin(sleep_until(Instant::now() + NEVER)),
            expires_at: None,
            traffic: Traffic::default(),
        }
    }

    /// The login is good until then.
    pub fn expires_at(&mut self, at: Instant) {
        self.expires_at = Some(at);
        self.set_timer();
    }

    /// How many requests wait for their answers.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Writes a request, which leaves when the link is polled; returns its number. An answer is due `within` from now.
    pub fn send<R: Request>(&mut self, request: &R, within: Duration) -> i32 {
        let correlation = self.next_correlation;
        self.next_correlation = correlation.wrapping_add(1);
        wire::write_request(request, correlation, &self.client_id, &mut self.out);
        self.waiting.push_back(Waiting { correlation, until: Instant::now() + within });
        if self.waiting.len() == 1 {
            self.set_timer();
        }
        correlation
    }

    /// One request and its answer, while nothing else is on its way.
    ///
    /// # Errors
    /// The connection is over.
    pub async fn call<R: Request>(&mut self, request: &R, within: Duration) -> Result<R::Answer, Broken> {
        let correlation = self.send(request, within);
        loop {
            let (answered, body) = poll_fn(|cx| self.poll(cx)).await?;
            if answered == correlation {
                return Ok(wire::read_answer::<R>(body)?);
            }
        }
    }

    /// Moves bytes until an answer is there: to which request, and what it says.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(i32, Bytes), Broken>> {
        self.poll_write(cx)?;
        loop {
            if let Some(size) = wire::frame_size(&self.incoming)? {
                return Poll::Ready(self.answer(size));
            }
            match self.poll_read(cx)? {
                Poll::Ready(0) => return Poll::Ready(Err(io::Error::from(io::ErrorKind::UnexpectedEof).into())),
                Poll::Ready(_) => {}
                Poll::Pending => break,
            }
        }
        ready!(self.timer.as_mut().poll(cx));
        let expired = self.expires_at.is_some_and(|at| at <= Instant::now());
        Poll::Ready(Err(if expired { Broken::Expired } else { Broken::Silent }))
    }

    fn answer(&mut self, size: usize) -> Result<(i32, Bytes), Broken> {
        let frame = self.incoming.split_to(size).freeze().slice(size_of::<i32>()..);
        let (correlation, body) = wire::correlation_of(&frame)?;
        let expected = self.waiting.pop_front().map(|waiting| waiting.correlation);
        if expected != Some(correlation) {
            return Err(Malformed { what: "which request it answers" }.into());
        }
        self.set_timer();
        Ok((correlation, body))
    }

    fn set_timer(&mut self) {
        let due = self.waiting.front().map(|waiting| waiting.until);
        let at = [due, self.expires_at].into_iter().flatten().min();
        self.timer.as_mut().reset(at.unwrap_or_else(|| Instant::now() + NEVER));
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while let Some(piece) = self.out.front_mut() {
            if piece.is_empty() {
                self.out.pop_front();
                continue;
            }
            match Pin::new(&mut self.stream).poll_write(cx, piece)? {
                Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(count) => {
                    piece.advance(count);
                    self.traffic.sent_bytes += count as u64;
                    self.must_flush = true;
                }
                Poll::Pending => break,
            }
        }
        if self.must_flush && Pin::new(&mut self.stream).poll_flush(cx)?.is_ready() {
            self.must_flush = false;
        }
        Ok(())
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> io::Result<Poll<usize>> {
        let mut bytes = [0; READ_BYTES];
        let mut buf = ReadBuf::new(&mut bytes);
        match Pin::new(&mut self.stream).poll_read(cx, &mut buf)? {
            Poll::Pending => Ok(Poll::Pending),
            Poll::Ready(()) => {
                self.incoming.extend_from_slice(buf.filled());
                self.traffic.received_bytes += buf.filled().len() as u64;
                Ok(Poll::Ready(buf.filled().len()))
            }
        }
    }
}

impl Broken {
    /// As the end of a connection that was made.
    pub fn loss(&self, node: &str) -> Loss {
        let Failure { cause, advice } = self.failure();
        let by = if self.is_closed() { EndedBy::FarSide } else { EndedBy::Network };
        Loss { reason: format!("{node}: {cause}. {advice}"), by }
    }

    /// As the failure of one that was not.
    pub fn failure(&self) -> Failure {
        let (cause, advice) = match self {
            Broken::Stream(_) if self.is_closed() => (
                "the broker has closed the connection".to_owned(),
                "Its log may tell why; the port may be one that wants TLS (kafkas://) or a login",
            ),
            // An alert of TLS 1.3 comes after the handshake.
            Broken::Stream(cause) if cause.kind() == io::ErrorKind::InvalidData => {
                return tls::handshake_failure(cause);
            }
            Broken::Malformed(_) => {
                ("what answers is no Kafka broker".to_owned(), "Check the port, and whether it wants TLS (kafkas://)")
            }
            broken => (broken.to_string(), "Check the network and the broker"),
        };
        Failure { cause, advice }
    }

    fn is_closed(&self) -> bool {
        use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof, WriteZero};
        let Broken::Stream(cause) = self else { return false };
        matches!(cause.kind(), UnexpectedEof | ConnectionReset | ConnectionAborted | BrokenPipe | WriteZero)
    }
}
